"""What the demo puts into its work folder: models, settings, catalogue.

In: the folder and what one engine was measured to cost. Out: files that `foresail up` would take as
they are; an owner may copy them. Pure but for the writing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from collector.model.catalogue import CapacityPrior
from foresail.demo.tiny_model import SHAPES, write_tiny_model

MODEL_SHAPE: Final = "medium"
SLOTS: Final = 2
CONTEXT_TOKENS: Final = 4096
REPLICAS_THAT_FIT: Final = 3.5
"""Into the pool: fewer than the services may have together, so that memory is worth deciding on."""
GROWTH_RATIO: Final = 1.35
"""Of a replica under load over one that has just been measured (109 to 131-155 MiB seen)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoService:
    """One service of the demo."""

    name: str
    tier: str
    time_to_first_token_seconds: float
    target_ratio: float
    min_replicas: int
    max_replicas: int


SERVICES: Final = (
    DemoService(
        name="code",
        tier="gold",
        time_to_first_token_seconds=1.0,
        target_ratio=0.95,
        min_replicas=1,
        max_replicas=2,
    ),
    DemoService(
        name="chat",
        tier="silver",
        time_to_first_token_seconds=1.0,
        target_ratio=0.9,
        min_replicas=1,
        max_replicas=2,
    ),
    DemoService(
        name="batch",
        tier="bronze",
        time_to_first_token_seconds=10.0,
        target_ratio=0.9,
        min_replicas=0,
        max_replicas=1,
    ),
)
PRICES: Final = {"gold": 10.0, "silver": 3.0, "bronze": 1.0}
CONTROL: Final = {
    "level_window": "6s",
    "length_window": "20s",
    "scale_in_hold": "15s",
    "idle_to_zero": "20s",
    "backlog_drain": "4s",
    "stale_after": "5s",
    "start_retry": "2s",
}
"""Short, since the demo's hour passes in minutes and its engines start in a second."""
TICKS: Final = {"ingest": "500ms", "decide": "1s"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One engine of the demo on this machine."""

    capacity: CapacityPrior
    memory_bytes: int  # of one serving replica


def engine_command(*, model: Path, name: str) -> list[str]:
    """How a replica is started, as a catalogue says it."""
    return [
        "{python}",
        "-m",
        "foresail.demo.llama_server",
        "--port",
        "{port}",
        "--model",
        str(model),
        "--alias",
        name,
        "--slots",
        str(SLOTS),
        "--context",
        str(CONTEXT_TOKENS),
    ]


def write_models(folder: Path) -> dict[str, Path]:
    """{service: its model file}, written; one shape, different weights."""
    paths = {service.name: folder / f"{service.name}.gguf" for service in SERVICES}
    for seed, path in enumerate(paths.values()):
        write_tiny_model(path, shape=SHAPES[MODEL_SHAPE], seed=seed)
    return paths


def write_settings(folder: Path, *, gateway_port: int, controller_port: int) -> Path:
    """foresail.yaml of the demo."""
    return _write(
        folder / "foresail.yaml",
        {
            "catalogue": "catalogue.yaml",
            "state_dir": "state",
            "gateway": {"port": gateway_port},
            "controller": {"port": controller_port},
            "ticks": TICKS,
            "history": {"bin": "1s", "keep": "1h"},
            "logging": {"format": "json"},
        },
    )


def write_catalogue(folder: Path, *, models: Mapping[str, Path], measured: Measured) -> Path:
    """catalogue.yaml of the demo: three services, one pool that cannot hold all they may want."""
    return _write(
        folder / "catalogue.yaml",
        {
            "version": 1,
            "authority": {"mode": "active", "scale": "auto"},
            "pools": {
                "desk": {
                    "kind": "unified",
                    "capacity": int(measured.memory_bytes * GROWTH_RATIO * REPLICAS_THAT_FIT),
                }
            },
            "tiers": {
                tier: {"violation_price_per_minute": price} for tier, price in PRICES.items()
            },
            "control": CONTROL,
            "services": {
                service.name: _service(service, model=models[service.name], measured=measured)
                for service in SERVICES
            },
        },
    )


def _service(service: DemoService, *, model: Path, measured: Measured) -> dict[str, object]:
    return {
        "owner": "demo",
        "tier": service.tier,
        "objectives": [
            {
                "sli": "time_to_first_token",
                "threshold": f"{service.time_to_first_token_seconds:g}s",
                "target": service.target_ratio,
                "window": "1h",
            }
        ],
        "hold_timeout": "30s",
        "max_held_requests": 200,
        "variants": {"llama": _variant(service, model=model, measured=measured)},
    }


def _variant(service: DemoService, *, model: Path, measured: Measured) -> dict[str, object]:
    return {
        "engine": "llama_cpp",
        "pool": "desk",
        "memory": measured.memory_bytes,
        "slots": SLOTS,
        "min_replicas": service.min_replicas,
        "max_replicas": service.max_replicas,
        "cost_per_hour": 0.1,
        "keep_alive": False,
        "capacity": {
            "prompt_seconds_per_token": measured.capacity.prompt_seconds_per_token,
            "output_seconds_per_token": measured.capacity.output_seconds_per_token,
        },
        "target": {
            "kind": "process",
            "command": engine_command(model=model, name=service.name),
            "required_files": [str(model)],
            "startup_timeout": "60s",
        },
    }


def _write(path: Path, content: Mapping[str, object]) -> Path:
    path.write_text(yaml.safe_dump(dict(content), sort_keys=False), encoding="utf-8")
    return path
