"""The fleet of the demo: which services, in which tiers, on which engines, under which requests.

In: the bundled ten hours, a seed, how much of them. Out: `SharedService`s for the replay. The figures
were set by hand, with results in view, so that eight GPUs are just too few at the busiest times when nobody
looks at tiers: they illustrate, and prove nothing about policies.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import as_file, files
from types import MappingProxyType
from typing import Final

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]  # ships no types
import pyarrow.compute as pc  # type: ignore[import-untyped]  # ships no types
from pyarrow import parquet

from autoscaler.replay.baselines.peer_setup import PeerSetup
from autoscaler.replay.shared_fleet import SharedService
from autoscaler.replay.view import Objectives, Setting
from autoscaler.replay.workload import Workload
from collector.model.catalogue import Tier
from collector.model.ids import ServiceName, TierName
from foresail.backtest.cell import initial_replicas
from foresail.backtest.engine_row import read_engine
from foresail.backtest.superpose import superposed
from foresail.demo.errors import DamagedTrace

GPUS: Final = 8
RECORDED_SECONDS: Final = 36_000.0
START_OF_DAY_SECONDS: Final = 9 * 3600.0
"""What the clock on the page shows at the start."""
PROVISION_SECONDS: Final = 120.0
_FILE: Final = "data/ten_hours.parquet"
LARGE: Final = "llama-3.1-8b-l40s-tp1"
SMALL: Final = "qwen3-1.7b-l40s-tp1"


@dataclass(frozen=True, slots=True, kw_only=True)
class TierTerms:
    """What a business class of the demo is promised."""

    tier: Tier
    target_ratio: float  # of requests within both objectives
    time_to_first_token_seconds: float
    output_token_seconds: float
    min_replicas: int


TIERS: Final[Mapping[str, TierTerms]] = MappingProxyType(
    {
        "critical": TierTerms(
            tier=Tier(name=TierName("critical"), violation_price_per_minute=30.0),
            target_ratio=0.99,
            time_to_first_token_seconds=2.0,
            output_token_seconds=0.2,
            min_replicas=1,
        ),
        "standard": TierTerms(
            tier=Tier(name=TierName("standard"), violation_price_per_minute=10.0),
            target_ratio=0.97,
            time_to_first_token_seconds=4.0,
            output_token_seconds=0.2,
            min_replicas=0,
        ),
        "batch": TierTerms(
            tier=Tier(name=TierName("batch"), violation_price_per_minute=1.0),
            target_ratio=0.9,
            time_to_first_token_seconds=30.0,
            output_token_seconds=0.4,
            min_replicas=0,
        ),
    }
)
"""Prices are money per violation-minute, in the money of one GPU-hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetService:
    """One service of the demo."""

    name: str
    tier: str
    engine: str  # performance row
    copies: int  # of the bundled requests, laid on each other


SERVICES: Final = (
    FleetService(name="office", tier="critical", engine=LARGE, copies=8),
    FleetService(name="chat", tier="critical", engine=LARGE, copies=20),
    FleetService(name="code", tier="standard", engine=LARGE, copies=6),
    FleetService(name="agents", tier="standard", engine=LARGE, copies=10),
    FleetService(name="reasoning", tier="standard", engine=SMALL, copies=2),
    FleetService(name="documents", tier="batch", engine=LARGE, copies=20),
)


def fleet_services(*, seconds: float, seed: int) -> tuple[SharedService, ...]:
    """The services with their requests of the first `seconds`. Raises DamagedTrace."""
    recorded = read_recorded()
    return tuple(
        _service(each, recorded=recorded[each.name].between(0.0, seconds), seed=seed + index)
        for index, each in enumerate(SERVICES)
    )


def peer_setup(service: SharedService) -> PeerSetup:
    """What a peer may be told of it: lengths and costs, of all its requests."""
    return PeerSetup.learned(
        setting=service.setting,
        workload=service.workload,
        training_seconds=RECORDED_SECONDS + 1.0,
    )


def _service(service: FleetService, *, recorded: Workload, seed: int) -> SharedService:
    terms = TIERS[service.tier]
    workload = superposed(recorded, copies=service.copies, seed=seed)
    setting = _setting(terms, engine_name=service.engine)
    setup = PeerSetup.learned(
        setting=setting, workload=workload, training_seconds=RECORDED_SECONDS + 1.0
    )
    return SharedService(
        name=ServiceName(service.name),
        tier=terms.tier,
        workload=workload,
        setting=setting,
        initial_replicas=initial_replicas(setup, workload=workload),
        hold_timeout_seconds=300.0,
    )


def _setting(terms: TierTerms, *, engine_name: str) -> Setting:
    engine = read_engine(engine_name)
    return Setting(
        costs=engine.costs,
        limits=engine.limits,
        objectives=Objectives(
            time_to_first_token_seconds=terms.time_to_first_token_seconds,
            output_token_seconds=terms.output_token_seconds,
            target_ratio=terms.target_ratio,
        ),
        provision_seconds=PROVISION_SECONDS,
        min_replicas=terms.min_replicas,
        max_replicas=GPUS // engine.gpus,
        gpus_per_replica=engine.gpus,
    )


def read_recorded() -> dict[str, Workload]:
    """The bundled requests by service, in order of arrival. Raises DamagedTrace."""
    try:
        with as_file(files("foresail.demo.fleet").joinpath(_FILE)) as path:
            table = parquet.read_table(path)
        return {each.name: _workload(table, service=each.name) for each in SERVICES}
    except (pa.ArrowException, OSError, KeyError, ValueError) as problem:
        raise DamagedTrace(
            f"the recorded traffic {_FILE} of the package foresail.demo.fleet cannot be read "
            f"({problem}); install foresail again"
        ) from problem


def _workload(table: pa.Table, *, service: str) -> Workload:
    rows = table.filter(pc.equal(table["service"].cast(pa.string()), service))
    return Workload(
        arrival_seconds=rows["arrival_deciseconds"].to_numpy() / 10.0,
        prompt_tokens=rows["prompt_tokens"].to_numpy().astype(np.int64),
        output_tokens=rows["output_tokens"].to_numpy().astype(np.int64),
    )
