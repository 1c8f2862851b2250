"""What a new controller does about each state an old one can leave behind."""

import pytest

from autoscaler.execute.recovery import Step, recovery_steps
from autoscaler.model.effect import EffectKind, JournalEntry, Phase
from collector.model.ids import ReplicaId
from support.execution import FIRST_REPLICA, SECOND, make_entry
from support.fakes import FakeHandle

PID = 1000


def start(phase: Phase, *, pid: int | None = PID) -> JournalEntry:
    return make_entry(phase, pid=pid)


def stop(phase: Phase, number: int = 1) -> JournalEntry:
    return make_entry(
        phase, kind=EffectKind.STOP, decision_id=SECOND, effect_id=f"{SECOND}/{number}"
    )


SERVED = start(Phase.VERIFIED)
CASES: dict[str, tuple[list[JournalEntry], bool, list[str]]] = {
    "nothing": ([], False, []),
    "start_prepared": ([start(Phase.PREPARED, pid=None)], False, ["refuse"]),
    "start_prepared_and_yet_alive": (
        [start(Phase.PREPARED, pid=None)],
        True,
        ["refuse", "end_unknown"],
    ),
    "spawning_and_alive": ([start(Phase.SPAWNING, pid=None)], True, ["continue_start"]),
    "spawning_and_not_found": ([start(Phase.SPAWNING, pid=None)], False, ["roll_back_start"]),
    "spawned_and_alive": ([start(Phase.SPAWNED)], True, ["continue_start"]),
    "spawned_and_dead": ([start(Phase.SPAWNED)], False, ["roll_back_start"]),
    "spawned_and_another_process_has_the_id": (
        [start(Phase.SPAWNED, pid=77)],
        True,
        ["roll_back_start"],
    ),
    "rolling_back_and_alive": ([start(Phase.ROLLING_BACK)], True, ["roll_back_start"]),
    "rolling_back_and_gone": ([start(Phase.ROLLING_BACK)], False, ["roll_back_start"]),
    "rolled_back": ([start(Phase.ROLLED_BACK)], False, []),
    "rolled_back_and_yet_alive": ([start(Phase.ROLLED_BACK)], True, ["end_unknown"]),
    "refused": ([start(Phase.REFUSED)], False, []),
    "serving": ([SERVED], True, ["adopt"]),
    "died_unseen": ([SERVED], False, ["bury"]),
    "served_and_another_process_has_the_id": ([start(Phase.VERIFIED, pid=77)], True, ["bury"]),
    "stop_prepared": ([SERVED, stop(Phase.PREPARED)], True, ["refuse", "adopt"]),
    "stop_prepared_and_died": ([SERVED, stop(Phase.PREPARED)], False, ["refuse", "bury"]),
    "draining": ([SERVED, stop(Phase.DRAINING)], True, ["resume_stop"]),
    "draining_and_dead": ([SERVED, stop(Phase.DRAINING)], False, ["resume_stop"]),
    "terminating": ([SERVED, stop(Phase.TERMINATING)], True, ["resume_stop"]),
    "terminating_and_gone": ([SERVED, stop(Phase.TERMINATING)], False, ["resume_stop"]),
    "stopped": ([SERVED, stop(Phase.VERIFIED)], False, []),
    "stopped_and_yet_alive": ([SERVED, stop(Phase.VERIFIED)], True, ["end_unknown"]),
    "stop_undone": ([SERVED, stop(Phase.ROLLED_BACK)], True, ["adopt"]),
    "stop_undone_then_stopped": (
        [SERVED, stop(Phase.ROLLED_BACK), stop(Phase.VERIFIED, 2)],
        False,
        [],
    ),
    "stop_undone_then_draining": (
        [SERVED, stop(Phase.ROLLED_BACK), stop(Phase.DRAINING, 2)],
        True,
        ["resume_stop"],
    ),
    "stopped_with_a_late_refusal": (
        [SERVED, stop(Phase.VERIFIED), stop(Phase.REFUSED, 2)],
        False,
        [],
    ),
    "two_stops_prepared": (
        [SERVED, stop(Phase.PREPARED), stop(Phase.PREPARED, 2)],
        True,
        ["refuse", "refuse", "adopt"],
    ),
    "unknown_process": ([], True, ["end_unknown"]),
}


def steps(entries: list[JournalEntry], *, is_alive: bool) -> tuple[Step, ...]:
    return recovery_steps(entries, living={FIRST_REPLICA: FakeHandle(PID)} if is_alive else {})


@pytest.mark.parametrize(("entries", "is_alive", "expected"), CASES.values(), ids=CASES)
async def test_recovery(entries: list[JournalEntry], is_alive: bool, expected: list[str]) -> None:
    assert [step.kind.value for step in steps(entries, is_alive=is_alive)] == expected


async def test_a_resumed_stop_continues_the_stop_and_not_the_start() -> None:
    (step,) = steps([SERVED, stop(Phase.DRAINING)], is_alive=True)
    assert step.entry == stop(Phase.DRAINING)


async def test_every_process_is_answered_for_exactly_once() -> None:
    other = ReplicaId("stray")
    found = recovery_steps(
        [SERVED], living={FIRST_REPLICA: FakeHandle(PID), other: FakeHandle(PID + 1)}
    )
    assert [(step.kind.value, step.replica_id) for step in found] == [
        ("adopt", FIRST_REPLICA),
        ("end_unknown", other),
    ]
