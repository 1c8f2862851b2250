"""When the next tick is due and whether it decides."""

import pytest

from foresail.pace import Pace


def make_pace() -> Pace:
    """Every 5 s a look, every 15 s a decision; the first of both was at 100 s."""
    pace = Pace(ingest_interval_seconds=5.0, decide_interval_seconds=15.0)
    pace.ticked(100.0, decided=True)
    return pace


def test_the_first_tick_is_due_at_once_and_decides() -> None:
    pace = Pace(ingest_interval_seconds=5.0, decide_interval_seconds=15.0)
    assert pace.wait_seconds(0.0) == 0.0
    assert pace.is_decision_due(0.0)


@pytest.mark.parametrize(
    ("now", "wait_seconds", "decides"),
    [
        pytest.param(100.0, 5.0, False, id="right after a tick"),
        pytest.param(104.0, 1.0, False, id="before the next look"),
        pytest.param(105.0, 0.0, False, id="a look is due"),
        pytest.param(115.0, 0.0, True, id="a decision is due"),
        pytest.param(400.0, 0.0, True, id="long overdue"),
    ],
)
def test_looks_and_decisions_have_their_own_intervals(
    *, now: float, wait_seconds: float, decides: bool
) -> None:
    pace = make_pace()
    assert pace.wait_seconds(now) == wait_seconds
    assert pace.is_decision_due(now) is decides


def test_a_look_does_not_put_the_decision_off() -> None:
    pace = make_pace()
    pace.ticked(105.0, decided=False)
    pace.ticked(110.0, decided=False)
    assert pace.wait_seconds(110.0) == 5.0
    assert pace.is_decision_due(115.0)


def test_a_tick_that_took_too_long_is_not_made_up_for() -> None:
    pace = make_pace()
    pace.ticked(200.0, decided=True)
    assert pace.wait_seconds(200.0) == 5.0
    assert not pace.is_decision_due(214.0)


@pytest.mark.parametrize(
    ("woken_at", "decided_at"),
    [
        pytest.param(103.0, 103.0, id="at once"),
        pytest.param(100.05, 100.2, id="a burst shares one decision"),
        pytest.param(114.9, 114.9, id="just before it was due"),
        pytest.param(120.0, 115.0, id="never later than planned"),
    ],
)
def test_a_wake_brings_the_decision_forward(woken_at: float, decided_at: float) -> None:
    pace = make_pace()
    pace.wake(woken_at)
    assert not pace.is_decision_due(decided_at - 0.01)
    assert pace.is_decision_due(decided_at)


def test_a_wake_does_not_change_the_pace_afterwards() -> None:
    pace = make_pace()
    pace.wake(103.0)
    pace.ticked(103.0, decided=True)
    assert not pace.is_decision_due(117.0)
    assert pace.is_decision_due(118.0)
