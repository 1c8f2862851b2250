"""One replica started: looked at again, admitted, spawned, verified, routed to, or rolled back.

In: a `PREPARED` start entry. Out: journaled phases, a serving replica and `ReplicaReady`, or nothing
left behind and `ReplicaStartFailed`. Between the memory admission and the journaled `SPAWNING`
nothing else runs, so two starts never count on the same memory.
"""

from dataclasses import replace

from autoscaler.errors import EffectError, LedgerError
from autoscaler.execute.death import watch_engine
from autoscaler.execute.second_look import start_refusal
from autoscaler.execute.tools import EffectTools
from autoscaler.model.effect import JournalEntry, Phase
from autoscaler.model.event import ReplicaReady, ReplicaStartFailed
from autoscaler.ports import EngineHandle
from collector.model.catalogue import CapacityPrior, Variant
from collector.model.replica import Replica, ReplicaState


async def start_replica(
    tools: EffectTools, entry: JournalEntry, *, decided_timestamp_seconds: float
) -> None:
    """Carries a prepared start out. Raises NotLeader, with nothing touched since it was known."""
    reason = await tools.ports.recheck(entry)
    variant = tools.declared(entry)
    if reason is None:
        reason = start_refusal(tools, service=entry.service, variant=variant)
    if reason is not None or variant is None:
        refuse_start(tools, entry, reason=reason or "its variant is not declared any more")
        return
    tools.ports.fence.check()
    try:
        entry = _spawning(tools, entry, variant=variant)
        handle = await tools.ports.runner.spawn(
            replica_id=entry.replica_id,
            service=entry.service,
            variant=variant,
            port=known_port(entry),
        )
        entry = tools.advance(of_process(entry, handle), Phase.SPAWNED)
    except (EffectError, LedgerError) as error:
        await roll_back_start(tools, entry, message=str(error))
        return
    await verify_start(
        tools, entry, handle=handle, decided_timestamp_seconds=decided_timestamp_seconds
    )


def refuse_start(tools: EffectTools, entry: JournalEntry, *, reason: str) -> None:
    """Ends a start that has touched nothing."""
    tools.registry.remove(entry.replica_id)
    tools.advance(entry, Phase.REFUSED, detail=reason)


async def verify_start(
    tools: EffectTools,
    entry: JournalEntry,
    *,
    handle: EngineHandle,
    decided_timestamp_seconds: float,
) -> None:
    """Takes a process from `SPAWNED` to serving, or away."""
    tools.registry.attach(entry.replica_id, handle=handle)
    try:
        ready = await _verified(
            tools, entry, handle=handle, decided_timestamp_seconds=decided_timestamp_seconds
        )
        tools.advance(entry, Phase.VERIFIED)
    except (EffectError, LedgerError) as error:
        await roll_back_start(tools, entry, message=str(error))
        return
    tools.registry.change(entry.replica_id, ReplicaState.SERVING)
    watch_engine(tools, entry.replica_id, handle=handle)
    await tools.routes.publish_eventually()
    tools.tell(ready)


async def roll_back_start(tools: EffectTools, entry: JournalEntry, *, message: str) -> None:
    """Leaves nothing of a start behind, and tells why it failed."""
    held = tools.registry.held(entry.replica_id)
    await undo_start(tools, entry, reason=message)
    tools.tell(
        ReplicaStartFailed(
            service=entry.service,
            variant=entry.variant,
            replica_id=entry.replica_id,
            failed_timestamp_seconds=tools.ports.clock.timestamp_seconds(),
            message=message,
            ordered_timestamp_seconds=held.replica.ordered_timestamp_seconds if held else None,
        )
    )


async def undo_start(tools: EffectTools, entry: JournalEntry, *, reason: str) -> None:
    """Leaves nothing of a start behind. The journal may be what failed: then it catches up later."""
    tools.ports.fence.check()
    if entry.phase is not Phase.ROLLING_BACK:
        entry = tools.try_advance(entry, Phase.ROLLING_BACK, detail=reason)
    seconds = tools.process_target(entry).terminate_timeout_seconds
    await tools.end_engine(entry.replica_id, timeout_seconds=seconds)
    tools.try_advance(entry, Phase.ROLLED_BACK, detail=reason)
    if tools.registry.held(entry.replica_id) is not None:
        tools.registry.change(entry.replica_id, ReplicaState.FAILED)


def loading_replica(entry: JournalEntry, *, ordered_timestamp_seconds: float) -> Replica:
    """The replica of a start entry, as it is until it serves."""
    return Replica(
        replica_id=entry.replica_id,
        service=entry.service,
        variant=entry.variant,
        state=ReplicaState.PENDING if entry.port is None else ReplicaState.LOADING,
        ordered_timestamp_seconds=ordered_timestamp_seconds,
        serving_timestamp_seconds=None,
        base_url=None if entry.port is None else engine_url(entry.port),
    )


def engine_url(port: int) -> str:
    """Where an engine of ours listens."""
    return f"http://127.0.0.1:{port}"


def known_port(entry: JournalEntry) -> int:
    """The engine's port. Raises EffectError for an entry that has none yet."""
    if entry.port is None:
        raise EffectError(f"{entry.effect_id} has no port at phase {entry.phase}")
    return entry.port


def _spawning(tools: EffectTools, entry: JournalEntry, *, variant: Variant) -> JournalEntry:
    """From here on the process may exist, so the journal says so before it does."""
    ordered = tools.registry.held(entry.replica_id)
    entry = replace(entry, port=tools.ports.runner.free_port())
    entry = tools.advance(entry, Phase.SPAWNING)
    since = ordered.replica.ordered_timestamp_seconds if ordered else entry.timestamp_seconds
    tools.registry.add(loading_replica(entry, ordered_timestamp_seconds=since), variant=variant)
    return entry


def of_process(entry: JournalEntry, handle: EngineHandle) -> JournalEntry:
    """The entry with the process it is about."""
    return replace(entry, pid=handle.pid, process_start_ticks=handle.process_start_ticks)


async def _verified(
    tools: EffectTools,
    entry: JournalEntry,
    *,
    handle: EngineHandle,
    decided_timestamp_seconds: float,
) -> ReplicaReady:
    """What there is to tell of an engine that has given its first token. Raises EffectError."""
    variant = tools.declared(entry)
    if variant is None:
        raise EffectError(f"variant {entry.variant} is not declared any more")
    base_url = engine_url(known_port(entry))
    await tools.ports.runner.wait_ready(base_url=base_url, handle=handle, variant=variant)
    ready_timestamp_seconds = tools.ports.clock.timestamp_seconds()  # a probe is no lead time
    probed = await _probed(tools, entry, variant=variant)
    if not handle.is_alive():
        raise EffectError(f"the engine ended: {tools.ports.runner.log_tail(entry.replica_id)}")
    return ReplicaReady(
        service=entry.service,
        variant=entry.variant,
        replica_id=entry.replica_id,
        lead_time_seconds=max(0.0, ready_timestamp_seconds - decided_timestamp_seconds),
        probed_capacity=probed,
    )


async def _probed(
    tools: EffectTools, entry: JournalEntry, *, variant: Variant
) -> CapacityPrior | None:
    """What work costs, when neither the owner nor an earlier probe has told."""
    known = tools.ports.knowledge(entry.service, entry.variant).probed_capacity
    if variant.capacity_prior is not None or known is not None:
        return None
    base_url = engine_url(known_port(entry))
    return await tools.ports.runner.probe(base_url=base_url, variant=variant)
