"""The catalogue of a replay: one service with one variant, under the objectives of its setting.

In: the setting and a control. Out: the `Catalogue` that `decide` is given. Pure.
"""

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


def replay_catalogue(setting: Setting, *, control: Control) -> Catalogue:
    """One service with one variant under the setting's objectives."""
    objectives = setting.objectives
    latencies = (
        (Sli.TIME_TO_FIRST_TOKEN, objectives.time_to_first_token_seconds),
        (Sli.INTER_TOKEN_LATENCY, objectives.output_token_seconds),
    )
    variant = Variant(
        name=VARIANT,
        engine=EngineKind.VLLM,
        target=ProcessTarget(command=("replayed",), startup_timeout_seconds=3600.0),
        pool=POOL,
        memory_bytes=REPLICA_BYTES,
        slots=setting.limits.max_sequence_count,
        min_replicas=setting.min_replicas,
        max_replicas=setting.max_replicas,
        cost_per_hour=float(setting.gpus_per_replica),
    )
    service = Service(
        name=SERVICE,
        models=(str(SERVICE),),
        owner="replay",
        tier=TIER,
        objectives=tuple(
            Objective(
                sli=sli,
                threshold_seconds=threshold,
                target_ratio=objectives.target_ratio,
                window_seconds=WINDOW_SECONDS,
            )
            for sli, threshold in latencies
        ),
        variants=(variant,),
        hold_timeout_seconds=600.0,
        max_held_requests=10**6,
    )
    return Catalogue(
        version=1,
        services=(service,),
        tiers=(Tier(name=TIER, violation_price_per_minute=10.0),),
        pools=(
            MemoryPool(
                name=POOL,
                kind=PoolKind.DISCRETE,
                capacity_bytes=(2 * setting.max_replicas + 1) * REPLICA_BYTES,
                reserve_bytes=0,
            ),
        ),
        authority=Authority(mode=Mode.ACTIVE, levels={ActionKind.SCALE: AuthorityLevel.AUTO}),
        control=control,
        digest="replay",
    )
