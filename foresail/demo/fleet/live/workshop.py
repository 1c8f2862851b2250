"""What a live fleet puts into its work folder: settings and a catalogue that `foresail up` takes as they are.

In: a folder, ports. Out: two files. Every variant is a command that runs one emulated engine; eight GPUs are
one pool with room for eight replicas. Pure but for the writing.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import yaml

from foresail.backtest.engine_row import MAX_SEQUENCES
from foresail.demo.fleet.live.plan import LARGEST_OUTPUT_TOKENS, LARGEST_PROMPT_TOKENS
from foresail.demo.fleet.services import GPUS, SERVICES, TIERS, FleetService
from foresail.emulate.performance import read_row

START_SECONDS: Final = 15.0
"""Until an engine listens; then it is probed if it is the first of its service. Long enough to matter."""
CONTROL: Final = {
    "level_window": "10s",
    "length_window": "60s",
    "scale_in_hold": "40s",
    "idle_to_zero": "30s",
    "backlog_drain": "10s",
    "stale_after": "10s",
    "start_retry": "2s",
}
"""Short, since the run is minutes long and engines start in a quarter of one."""
_CONTEXT_TOKENS: Final = LARGEST_PROMPT_TOKENS + LARGEST_OUTPUT_TOKENS + 400


def min_replicas(service: FleetService) -> int:
    """One that always runs where users wait for less than a start takes; none for the others."""
    terms = TIERS[service.tier]
    return 1 if terms.time_to_first_token_seconds < START_SECONDS else 0


def write_settings(folder: Path, *, gateway_port: int, controller_port: int) -> Path:
    """foresail.yaml of a live fleet."""
    return _write(
        folder / "foresail.yaml",
        {
            "catalogue": "catalogue.yaml",
            "state_dir": "state",
            "gateway": {"port": gateway_port},
            "controller": {"port": controller_port},
            "ticks": {"ingest": "1s", "decide": "2s"},
            "history": {"bin": "1s", "keep": "1h"},
            "logging": {"format": "json"},
        },
    )


def write_catalogue(folder: Path) -> Path:
    """catalogue.yaml of a live fleet."""
    row = read_row(SERVICES[0].engine)
    replica_bytes = int(row.gpu_memory_bytes)
    return _write(
        folder / "catalogue.yaml",
        {
            "version": 1,
            "authority": {"mode": "active", "scale": "auto"},
            "pools": {"gpus": {"kind": "discrete", "capacity": GPUS * replica_bytes}},
            "tiers": {
                name: {"violation_price_per_minute": terms.tier.violation_price_per_minute}
                for name, terms in TIERS.items()
            },
            "control": CONTROL,
            "services": {
                each.name: _service(each, replica_bytes=replica_bytes) for each in SERVICES
            },
        },
    )


def engine_command(service: FleetService) -> list[str]:
    """How a replica is started, as a catalogue says it."""
    words = {
        "--port": "{port}",
        "--row": service.engine,
        "--model-name": service.name,
        "--start-seconds": f"{START_SECONDS:g}",
        "--max-num-seqs": str(MAX_SEQUENCES),
        "--max-model-len": str(_CONTEXT_TOKENS),
    }
    flags = [word for pair in words.items() for word in pair]
    return ["{python}", "-m", "foresail", "emulate", *flags]


def _service(service: FleetService, *, replica_bytes: int) -> dict[str, object]:
    terms = TIERS[service.tier]
    thresholds = {
        "time_to_first_token": terms.time_to_first_token_seconds,
        "inter_token_latency": terms.output_token_seconds,
    }
    return {
        "owner": "demo",
        "tier": service.tier,
        "objectives": [
            {"sli": sli, "threshold": f"{seconds:g}s", "target": terms.target_ratio, "window": "1h"}
            for sli, seconds in thresholds.items()
        ],
        "hold_timeout": "2m",
        "max_held_requests": 1000,
        "variants": {"emulated": _variant(service, replica_bytes=replica_bytes)},
    }


def _variant(service: FleetService, *, replica_bytes: int) -> dict[str, object]:
    return {
        "engine": "vllm",
        "pool": "gpus",
        "memory": replica_bytes,
        "slots": MAX_SEQUENCES,
        "min_replicas": min_replicas(service),
        "max_replicas": GPUS,
        "cost_per_hour": 1.0,
        "target": {
            "kind": "process",
            "command": engine_command(service),
            "startup_timeout": "2m",
        },
    }


def _write(path: Path, content: Mapping[str, object]) -> Path:
    path.write_text(yaml.safe_dump(dict(content), sort_keys=False), encoding="utf-8")
    return path
