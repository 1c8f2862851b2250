"""What a new controller has to do about what an old one left. Pure.

In: the newest journal entry of every effect, and the engines that live. Out: one step per replica
that needs one. The rules: never start a second time what may already run; leave nothing running that
nobody answers for; keep what serves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from autoscaler.model.effect import TERMINAL, EffectKind, JournalEntry, Phase
from autoscaler.ports import EngineHandle
from collector.model.ids import ReplicaId


class StepKind(StrEnum):
    """What is done."""

    REFUSE = "refuse"  # nothing was touched; it will be decided again
    ADOPT = "adopt"  # it serves on
    CONTINUE_START = "continue_start"  # its process is there, so it is verified
    ROLL_BACK_START = "roll_back_start"
    RESUME_STOP = "resume_stop"
    BURY = "bury"  # it served, and died while nobody looked
    END_UNKNOWN = "end_unknown"  # a process that no journal entry answers for


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to do about one replica."""

    kind: StepKind
    replica_id: ReplicaId
    entry: JournalEntry | None  # the effect it continues; None only for END_UNKNOWN


def recovery_steps(
    entries: Sequence[JournalEntry], *, living: Mapping[ReplicaId, EngineHandle]
) -> tuple[Step, ...]:
    """What to do, oldest effect first, unknown processes last."""
    starts = {entry.replica_id: entry for entry in entries if entry.kind is EffectKind.START}
    stops = _newest_stops(entries)
    steps = [_refusal(entry) for entry in entries if entry.phase is Phase.PREPARED]
    for replica_id, start in starts.items():
        is_alive = _is_this(living.get(replica_id), start)
        kind = _kind(start, stop=stops.get(replica_id), is_alive=is_alive)
        if kind is not None:
            subject = stops[replica_id] if kind is StepKind.RESUME_STOP else start
            steps.append(Step(kind=kind, replica_id=replica_id, entry=subject))
    known = {step.replica_id for step in steps if step.kind is not StepKind.REFUSE}
    steps += [
        Step(kind=StepKind.END_UNKNOWN, replica_id=replica_id, entry=None)
        for replica_id in sorted(living)
        if replica_id not in known
    ]
    return tuple(steps)


def _newest_stops(entries: Sequence[JournalEntry]) -> Mapping[ReplicaId, JournalEntry]:
    """{replica: the stop that counts}: one that is done or under way before one that was undone."""
    stops: dict[ReplicaId, JournalEntry] = {}
    for entry in entries:
        if entry.kind is not EffectKind.STOP:
            continue
        earlier = stops.get(entry.replica_id)
        if earlier is None or not _counts(earlier):
            stops[entry.replica_id] = entry
    return stops


def _counts(stop: JournalEntry) -> bool:
    return stop.phase not in (Phase.PREPARED, Phase.REFUSED, Phase.ROLLED_BACK)


def _is_this(handle: EngineHandle | None, start: JournalEntry) -> bool:
    """Whether the living process is the one journaled; before `SPAWNED` its id is all there is."""
    if handle is None:
        return False
    return start.pid is None or (start.pid, start.process_start_ticks) == (
        handle.pid,
        handle.process_start_ticks,
    )


def _refusal(entry: JournalEntry) -> Step:
    return Step(kind=StepKind.REFUSE, replica_id=entry.replica_id, entry=entry)


def _kind(start: JournalEntry, *, stop: JournalEntry | None, is_alive: bool) -> StepKind | None:
    match start.phase:
        case Phase.SPAWNING | Phase.SPAWNED:
            return StepKind.CONTINUE_START if is_alive else StepKind.ROLL_BACK_START
        case Phase.ROLLING_BACK:
            return StepKind.ROLL_BACK_START
        case Phase.VERIFIED:
            return _kind_of_verified(stop, is_alive=is_alive)
        case _:
            return None


def _kind_of_verified(stop: JournalEntry | None, *, is_alive: bool) -> StepKind | None:
    if stop is not None and _counts(stop):
        return None if stop.phase in TERMINAL else StepKind.RESUME_STOP
    return StepKind.ADOPT if is_alive else StepKind.BURY
