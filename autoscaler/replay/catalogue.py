"""The catalogue of a replay: services with one variant each, under the objectives of their settings.

In: settings and a control. Out: the `Catalogue` that `decide` is given. Pure.
"""

from dataclasses import dataclass
from typing import Final

from autoscaler.replay.view import Setting
from collector.model.catalogue import (
    ActionKind,
    Authority,
    AuthorityLevel,
    Catalogue,
    Control,
    MemoryPool,
    Mode,
    Objective,
    PoolKind,
    ProcessTarget,
    Service,
    Sli,
    Tier,
    Variant,
)
from collector.model.ids import PoolName, ServiceName, TierName, VariantName
from collector.model.replica import EngineKind

SERVICE: Final = ServiceName("replayed")
VARIANT: Final = VariantName("replayed")
TIER: Final = TierName("replayed")
POOL: Final = PoolName("replayed")
REPLICA_BYTES: Final = 2**30
WINDOW_SECONDS: Final = 28 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What a service of a replay is declared as, beside its setting."""

    service: ServiceName
    variant: VariantName
    tier: TierName
    pool: PoolName
    memory_bytes: int  # of one replica
    hold_timeout_seconds: float


def replay_catalogue(setting: Setting, *, control: Control) -> Catalogue:
    """One service with one variant under the setting's objectives."""
    declared = Declared(
        service=SERVICE,
        variant=VARIANT,
        tier=TIER,
        pool=POOL,
        memory_bytes=REPLICA_BYTES,
        hold_timeout_seconds=600.0,
    )
    return catalogue_of(
        (declared_service(setting, declared=declared),),
        tiers=(Tier(name=TIER, violation_price_per_minute=10.0),),
        pool=discrete_pool(POOL, capacity_bytes=(2 * setting.max_replicas + 1) * REPLICA_BYTES),
        control=control,
    )


def catalogue_of(
    services: tuple[Service, ...],
    *,
    tiers: tuple[Tier, ...],
    pool: MemoryPool,
    control: Control,
) -> Catalogue:
    """They share one pool, and whatever is decided is done."""
    return Catalogue(
        version=1,
        services=services,
        tiers=tiers,
        pools=(pool,),
        authority=Authority(mode=Mode.ACTIVE, levels={ActionKind.SCALE: AuthorityLevel.AUTO}),
        control=control,
        digest="replay",
    )


def discrete_pool(name: PoolName, *, capacity_bytes: int) -> MemoryPool:
    """Memory of accelerators that nobody else uses."""
    return MemoryPool(
        name=name, kind=PoolKind.DISCRETE, capacity_bytes=capacity_bytes, reserve_bytes=0
    )


def declared_service(setting: Setting, *, declared: Declared) -> Service:
    """With one variant, under the setting's objectives."""
    objectives = setting.objectives
    latencies = (
        (Sli.TIME_TO_FIRST_TOKEN, objectives.time_to_first_token_seconds),
        (Sli.INTER_TOKEN_LATENCY, objectives.output_token_seconds),
    )
    return Service(
        name=declared.service,
        models=(str(declared.service),),
        owner="replay",
        tier=declared.tier,
        objectives=tuple(
            Objective(
                sli=sli,
                threshold_seconds=threshold,
                target_ratio=objectives.target_ratio,
                window_seconds=WINDOW_SECONDS,
            )
            for sli, threshold in latencies
        ),
        variants=(_variant(setting, declared=declared),),
        hold_timeout_seconds=declared.hold_timeout_seconds,
        max_held_requests=10**6,
    )


def _variant(setting: Setting, *, declared: Declared) -> Variant:
    return Variant(
        name=declared.variant,
        engine=EngineKind.VLLM,
        target=ProcessTarget(command=("replayed",), startup_timeout_seconds=3600.0),
        pool=declared.pool,
        memory_bytes=declared.memory_bytes,
        slots=setting.limits.max_sequence_count,
        min_replicas=setting.min_replicas,
        max_replicas=setting.max_replicas,
        cost_per_hour=float(setting.gpus_per_replica),
    )
