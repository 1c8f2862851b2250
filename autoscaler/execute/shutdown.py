"""Ends every engine in good order: what serves is drained, what starts is undone.

In: the registry and the journal after all effects were cancelled. Out: no engine of this state
directory, each end journaled. Used by `Executor.close` when the owner wants nothing left running.
"""

from autoscaler.execute.ending import finish_terminating
from autoscaler.execute.start import refuse_start, undo_start
from autoscaler.execute.stop import StopTerms, finish_draining, take_away
from autoscaler.execute.tools import EffectTools
from autoscaler.model.effect import TERMINAL, EffectKind, JournalEntry, Phase
from collector.model.ids import DecisionId
from collector.model.replica import Replica, ReplicaState

_REASON = "Foresail was told to stop its engines"
_LEFT_OVER_SECONDS = 10.0  # from SIGTERM to SIGKILL for what no journal entry answers for


async def stop_all(tools: EffectTools, *, terms: StopTerms) -> None:
    """Returns when no engine is left. Raises NotLeader and LedgerError."""
    for entry in tools.ports.journal.latest_entries():
        if entry.phase not in TERMINAL:
            _finish_open(tools, entry, terms=terms)
    for held in tools.registry.holding():
        if held.replica.state is ReplicaState.SERVING:
            _stop_serving(tools, held.replica, terms=terms)
    await tools.effects.wait_idle()
    for replica_id in tools.ports.runner.find_all():
        await tools.end_engine(replica_id, timeout_seconds=_LEFT_OVER_SECONDS)


def _finish_open(tools: EffectTools, entry: JournalEntry, *, terms: StopTerms) -> None:
    match (entry.kind, entry.phase):
        case (EffectKind.START, Phase.PREPARED):
            refuse_start(tools, entry, reason=_REASON)
            return
        case (EffectKind.START, _):
            work = undo_start(tools, entry, reason=_REASON)
        case (EffectKind.STOP, Phase.PREPARED):
            tools.advance(entry, Phase.REFUSED, detail=_REASON)
            return
        case (EffectKind.STOP, Phase.DRAINING):
            work = finish_draining(tools, entry, terms=terms)
        case _:
            work = finish_terminating(tools, entry)
    tools.effects.start(work, name=entry.effect_id)


def _stop_serving(tools: EffectTools, replica: Replica, *, terms: StopTerms) -> None:
    now = tools.ports.clock.timestamp_seconds()
    decision_id = DecisionId(f"shutdown-{now:.3f}")
    entry = JournalEntry(
        effect_id=f"{decision_id}/{replica.replica_id}",
        decision_id=decision_id,
        kind=EffectKind.STOP,
        phase=Phase.PREPARED,
        service=replica.service,
        variant=replica.variant,
        replica_id=replica.replica_id,
        timestamp_seconds=now,
        detail=_REASON,
    )
    tools.ports.journal.append_entry(entry)
    tools.effects.start(take_away(tools, entry, terms=terms), name=entry.effect_id)
