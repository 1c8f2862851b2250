"""How the ticks go, as the page and readiness see it."""

import pytest

from autoscaler.series import TickStep
from collector.clock import VirtualClock
from foresail.ports import TickReport
from foresail.stopwatch import Stopwatch


def test_before_the_first_tick_nothing_is_known() -> None:
    assert Stopwatch(clock=VirtualClock(1000.0)).report() == TickReport()


async def test_steps_are_timed_also_when_they_fail() -> None:
    clock = VirtualClock(1000.0)
    ticks = Stopwatch(clock=clock)
    ticks.begin()
    with ticks.step(TickStep.READ):
        await clock.advance(0.25)

    async def fail() -> None:
        with ticks.step(TickStep.DECIDE):
            await clock.advance(0.5)
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert ticks.report().step_seconds == {TickStep.READ: 0.25, TickStep.DECIDE: 0.5}


async def test_a_failed_tick_keeps_the_last_success_and_says_why() -> None:
    clock = VirtualClock(1000.0)
    ticks = Stopwatch(clock=clock)
    ticks.begin()
    ticks.end(problem=None)
    await clock.advance(7.0)
    ticks.begin()
    ticks.end(problem="the ledger is busy")
    assert ticks.report() == TickReport(
        tick_count=2,
        last_success_timestamp_seconds=1000.0,
        last_success_age_seconds=7.0,
        last_problem="the ledger is busy",
    )


async def test_a_success_ends_the_problem_and_a_new_tick_forgets_old_steps() -> None:
    clock = VirtualClock(1000.0)
    ticks = Stopwatch(clock=clock)
    ticks.begin()
    with ticks.step(TickStep.READ):
        await clock.advance(1.0)
    ticks.end(problem="no answer")
    ticks.begin()
    ticks.end(problem=None)
    report = ticks.report()
    assert (report.last_problem, report.step_seconds) == (None, {})
    assert report.last_success_timestamp_seconds == 1001.0
