"""The last question before a start: does the variant still allow it, and does it fit now?

In: the registry and the memory as they are at this moment. Out: a refusal in one line, or None. Does
not give way to other tasks, so that what it saw still holds when `SPAWNING` is journaled.
"""

from collections.abc import Iterator

from autoscaler.execute.admission import MemoryHolder, memory_refusal
from autoscaler.execute.registry import Held
from autoscaler.execute.tools import EffectTools
from collector.model.catalogue import MemoryPool, ProcessTarget, Variant
from collector.model.ids import PoolName, ServiceName
from collector.model.reading import Missing, MissingReason, fresh_value
from collector.model.replica import ReplicaState

_UNKNOWN = Missing(reason=MissingReason.NOT_READ_YET, source="proc")


def start_refusal(
    tools: EffectTools, *, service: ServiceName, variant: Variant | None
) -> str | None:
    """Why one more replica of the variant may not be started now; None when it may."""
    if variant is None:
        return "its variant is not declared any more"
    if not isinstance(variant.target, ProcessTarget):
        return f"variant {variant.name} is run by somebody else"
    pool = _declared_pool(tools, variant.pool)
    if pool is None:
        return f"pool {variant.pool} is not declared any more"
    available = tools.ports.memory.pool_available_bytes().get(pool.name, _UNKNOWN)
    return memory_refusal(
        needed_bytes=_footprint_bytes(tools, service=service, variant=variant),
        holders=tuple(_holders(tools, pool.name)),
        pool=pool,
        available_bytes=fresh_value(available),
    )


def _declared_pool(tools: EffectTools, name: PoolName) -> MemoryPool | None:
    pools = tools.ports.catalogue().pools
    return next((pool for pool in pools if pool.name == name), None)


def _footprint_bytes(tools: EffectTools, *, service: ServiceName, variant: Variant) -> int:
    """The most one was seen to hold; what was declared while none has been measured."""
    measured = tools.ports.knowledge(service, variant.name).footprint_bytes
    return max(measured, default=variant.memory_bytes)


def _holders(tools: EffectTools, pool: PoolName) -> Iterator[MemoryHolder]:
    """Everybody in the pool. One that is only ordered is not: its own second look will count us."""
    memory = tools.ports.memory.replica_memory_bytes()
    for held in tools.registry.holding():
        replica, variant = held.replica, held.variant
        if replica.state is ReplicaState.PENDING or (variant and variant.pool != pool):
            continue
        yield MemoryHolder(
            footprint_bytes=_footprint_bytes(tools, service=replica.service, variant=variant)
            if variant
            else 0,  # not declared: what it was measured to hold counts, in every pool
            measured_bytes=fresh_value(memory.get(replica.replica_id, _UNKNOWN)),
            is_growing=_is_growing(held),
        )


def _is_growing(held: Held) -> bool:
    return held.replica.state is ReplicaState.LOADING
