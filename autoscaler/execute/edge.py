"""The edge of an effect's task: one that fails in a way nobody foresaw is undone, not stranded.

In: an effect and its work. Out: a task; when the work raises, the effect ends as a foreseen failure
would: refused while nothing was touched, rolled back after. Used by `executor` and `restore`. Must
not undo anything for a controller that no longer leads, nor a stop whose engine was told to end.
"""

from collections.abc import Awaitable, Callable

from autoscaler.errors import LedgerError, NotLeader
from autoscaler.execute.start import refuse_start, roll_back_start
from autoscaler.execute.stop import put_back
from autoscaler.execute.tools import EffectTools
from autoscaler.model.effect import EffectKind, JournalEntry, Phase
from collector.model.replica import ReplicaState

Work = Callable[[], Awaitable[None]]
"""What the task does; called inside it, so that a task cancelled before leaves nothing unawaited."""


def begin_effect(tools: EffectTools, entry: JournalEntry, work: Work) -> None:
    """Lets the work run, as the task of this effect."""
    tools.effects.start(_seen_through(tools, entry, work), name=entry.effect_id)


async def _seen_through(tools: EffectTools, entry: JournalEntry, work: Work) -> None:
    try:
        await work()
    except NotLeader:
        raise  # somebody else answers for the effect now
    except Exception as error:  # noqa: BLE001  the task's edge: nobody above could undo the effect
        await _undo(tools, _newest(tools, entry), reason=_one_line(error))


async def _undo(tools: EffectTools, entry: JournalEntry, *, reason: str) -> None:
    """Takes the effect back from wherever it has come to; raises NotLeader, with nothing undone.

    One that has ended is left as it is; so is a stop past the point where it can be undone.
    """
    tools.ports.log.error("effect_failed", effect=entry.effect_id, error=reason)
    tools.ports.fence.check()
    state = tools.registry.state(entry.replica_id)
    match entry.kind, state, entry.phase:
        case EffectKind.START, ReplicaState.PENDING, _:
            refuse_start(tools, entry, reason=reason)
        case EffectKind.START, ReplicaState.LOADING, _:
            await roll_back_start(tools, entry, message=reason)
        case EffectKind.STOP, _, Phase.PREPARED:
            tools.advance(entry, Phase.REFUSED, detail=reason)
        case EffectKind.STOP, ReplicaState.DRAINING, Phase.DRAINING:
            await put_back(tools, entry, reason=reason)
        case _:
            pass


def _newest(tools: EffectTools, entry: JournalEntry) -> JournalEntry:
    """How far the effect has come, as journaled; how it began when the journal cannot be read."""
    try:
        entries = tools.ports.journal.latest_entries()
    except LedgerError as error:
        tools.report("journal_not_read", error, effect=entry.effect_id)
        return entry
    return next((each for each in entries if each.effect_id == entry.effect_id), entry)


def _one_line(error: Exception) -> str:
    return " ".join(f"unexpected {type(error).__name__}: {str(error) or repr(error)}".split())
