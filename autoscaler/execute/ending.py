"""The last step of every stop: the engine, and all it has started, is gone.

In: an entry at `TERMINATING`. Out: `VERIFIED` in the journal and a stopped replica. Used by `stop`,
`death` and `restore`. Must not ask whether requests are in flight: that was settled before.
"""

from autoscaler.errors import LedgerError
from autoscaler.execute.tools import EffectTools
from autoscaler.model.effect import JournalEntry, Phase
from collector.model.replica import ReplicaState


async def finish_terminating(tools: EffectTools, entry: JournalEntry) -> None:
    """Takes a replica from `TERMINATING` to gone."""
    seconds = tools.process_target(entry).terminate_timeout_seconds
    await tools.end_engine(entry.replica_id, timeout_seconds=seconds)
    if tools.registry.state(entry.replica_id) is ReplicaState.DRAINING:
        tools.registry.change(entry.replica_id, ReplicaState.STOPPED)
    try:
        tools.advance(entry, Phase.VERIFIED, detail=entry.detail)
    except LedgerError as error:  # the next start of the controller finds it gone and says so
        tools.report("stop_not_journaled", error, replica_id=entry.replica_id)
