"""Notices an engine that ends by itself, and buries it.

In: the handles of serving engines. Out: routes without the dead one at once, `ReplicaDied`, and a
journaled stop effect that removes what it has left behind (children of an engine may outlive it).
The stop is what the next controller reads: an engine is mourned once.
"""

from typing import Final

from autoscaler.execute.ending import finish_terminating
from autoscaler.execute.tools import EffectTools
from autoscaler.model.effect import EffectKind, JournalEntry, Phase
from autoscaler.model.event import ReplicaDied
from autoscaler.ports import EngineHandle
from collector.model.ids import DecisionId, ReplicaId
from collector.model.replica import Replica, ReplicaState

_LOOK_SECONDS: Final = 60.0  # only wakes the watcher; the end of the process is told at once
NOT_DECIDED: Final = DecisionId("died")
"""Stands for the decision in effects that follow from a death."""


def watch_engine(tools: EffectTools, replica_id: ReplicaId, *, handle: EngineHandle) -> None:
    """Has the end of this engine noticed, whenever it comes; once, however often it is asked for."""
    name = f"watch {replica_id}"
    if not tools.watchers.is_running(name):
        tools.watchers.start(_watch(tools, replica_id, handle=handle), name=name)


async def _watch(tools: EffectTools, replica_id: ReplicaId, *, handle: EngineHandle) -> None:
    while not await handle.wait_ended(timeout_seconds=_LOOK_SECONDS):
        pass
    held = tools.registry.held(replica_id)
    if held is not None and held.replica.state is ReplicaState.SERVING:
        await bury(tools, held.replica)


async def bury(tools: EffectTools, replica: Replica) -> None:
    """Takes a dead replica out of everything, and tells."""
    tools.registry.change(replica.replica_id, ReplicaState.FAILED)
    await tools.routes.publish_eventually()
    tools.tell(_death(tools, replica))
    tools.effects.start(_clear_away(tools, replica), name=f"bury {replica.replica_id}")


def _death(tools: EffectTools, replica: Replica) -> ReplicaDied:
    now = tools.ports.clock.timestamp_seconds()
    since = replica.serving_timestamp_seconds
    lived_seconds = max(0.0, now - since) if since is not None else 0.0
    last_words = tools.ports.runner.log_tail(replica.replica_id)
    return ReplicaDied(
        service=replica.service,
        variant=replica.variant,
        replica_id=replica.replica_id,
        died_timestamp_seconds=now,
        lived_seconds=lived_seconds,
        message=f"{replica.replica_id} ended by itself after {lived_seconds:.0f} s: {last_words}",
    )


async def _clear_away(tools: EffectTools, replica: Replica) -> None:
    entry = JournalEntry(
        effect_id=f"{NOT_DECIDED}/{replica.replica_id}",
        decision_id=NOT_DECIDED,
        kind=EffectKind.STOP,
        phase=Phase.PREPARED,
        service=replica.service,
        variant=replica.variant,
        replica_id=replica.replica_id,
        timestamp_seconds=tools.ports.clock.timestamp_seconds(),
    )
    tools.ports.fence.check()
    tools.ports.journal.append_entry(entry)
    for phase in (Phase.DRAINING, Phase.TERMINATING):  # nothing is left to drain
        entry = tools.advance(entry, phase, detail="it had ended by itself")
    await finish_terminating(tools, entry)
