"""What goes wrong under `decide` in a replay of some hours, and what it may and may not do about it.

The demand swells and ebbs between 9 and 30 requests a second; without faults 3 to 12 replicas follow it.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from autoscaler.model.action import Reason
from autoscaler.replay.decide_policy import DecidePolicy
from autoscaler.replay.faults import (
    ClockJump,
    Faults,
    RepeatedSeries,
    SeriesFault,
    SlowStarts,
    Span,
)
from autoscaler.replay.fleet import Provisioning
from autoscaler.replay.run import Conditions, Outcome, replay
from autoscaler.replay.view import FleetView
from autoscaler.replay.work import mean_lengths, work_costs
from autoscaler.replay.workload import Workload
from support.replays import TABLED, is_conserved, make_setting, rising_and_falling

TICK_SECONDS = 15.0
HOURS = 2.0
START_TIMEOUT_SECONDS = 300.0
LEAST_UTILISATION = 0.45
"""Of the busiest minute of the last hour; fewer busy replicas than this nobody can justify."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One decision."""

    ordered: int  # before it
    wanted: int  # by it
    needed: int | None
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What was decided tick by tick, and what came of it."""

    looks: tuple[Look, ...]
    outcome: Outcome

    def between(self, start_seconds: float, end_seconds: float) -> tuple[Look, ...]:
        """Decisions at ticks within [start, end)."""
        return tuple(
            look
            for number, look in enumerate(self.looks, start=1)
            if start_seconds <= number * TICK_SECONDS < end_seconds
        )


class Told(DecidePolicy):
    """`decide`, taken down."""

    looks: list[Look]

    def desired_replicas(self, view: FleetView) -> int:
        """As ever."""
        wanted = super().desired_replicas(view)
        assert self.decision is not None
        look = Look(
            ordered=view.ordered_replicas,
            wanted=wanted,
            needed=self.decision.evidence.needed_replicas,
            reason=self.decision.reason,
        )
        self.looks.append(look)
        return wanted


SETTING = make_setting(costs=TABLED, provision_seconds=90.0, max_replicas=24)


@cache
def demand() -> Workload:
    return rising_and_falling(hours=HOURS, seed=5, low=9.0, high=30.0)


@cache
def story(faults: Faults, start_timeout_seconds: float = START_TIMEOUT_SECONDS) -> Story:
    policy = Told(SETTING)
    policy.looks = []
    outcome = replay(
        demand(),
        setting=SETTING,
        policy=policy,
        conditions=Conditions(
            initial_replicas=4,
            provisioning=Provisioning(start_timeout_seconds=start_timeout_seconds),
            faults=faults,
        ),
    )
    return Story(looks=tuple(policy.looks), outcome=outcome)


RISE = Span(start_seconds=1800.0, end_seconds=2100.0)
FALL = Span(start_seconds=4800.0, end_seconds=5100.0)
LONG = Span(start_seconds=1800.0, end_seconds=2700.0)
JUMP_SECONDS = 2400.0
CONTRADICTING = SeriesFault.CONTRADICTING

CASES: dict[str, tuple[Faults, float]] = {
    "outage-while-it-rises": (Faults(metric_outages=(RISE,)), RISE.end_seconds),
    "outage-while-it-falls": (Faults(metric_outages=(FALL,)), FALL.end_seconds),
    "stuck-pending": (Faults(stuck_starts=(LONG,)), LONG.end_seconds),
    "starts-three-times-as-slow": (
        Faults(slow_starts=(SlowStarts(span=LONG, factor=3.0),)),
        LONG.end_seconds,
    ),
    "series-twice": (Faults(repeated_series=(RepeatedSeries(span=RISE),)), RISE.end_seconds),
    "series-contradicting": (
        Faults(repeated_series=(RepeatedSeries(span=FALL, kind=CONTRADICTING),)),
        FALL.end_seconds,
    ),
    "clock-an-hour-forward": (
        Faults(clock_jumps=(ClockJump(at_seconds=JUMP_SECONDS, by_seconds=3600.0),)),
        JUMP_SECONDS,
    ),
    "clock-an-hour-back": (
        Faults(clock_jumps=(ClockJump(at_seconds=JUMP_SECONDS, by_seconds=-3600.0),)),
        JUMP_SECONDS,
    ),
    "a-replica-dies": (Faults(deaths_seconds=(JUMP_SECONDS,)), JUMP_SECONDS),
}
"""{what: (faults, when they end)}"""

BLIND = {
    "outage-while-it-rises": RISE,
    "outage-while-it-falls": FALL,
    "series-contradicting": FALL,
}
TICKS_TO_NORMAL = 2
STEP_REPLICAS = 1
"""Of need, up or down: noise of a demand at the border between two counts."""


def scale_ins(looks: Iterable[Look]) -> list[Look]:
    return [look for look in looks if look.wanted < look.ordered]


@pytest.fixture(name="plain", scope="module")
def _plain() -> Story:
    return story(Faults())


@pytest.mark.parametrize("name", BLIND)
def test_nothing_is_taken_away_while_blind(name: str) -> None:
    span = BLIND[name]
    blind = story(CASES[name][0]).between(span.start_seconds, span.end_seconds)
    assert len(blind) == 20
    assert scale_ins(blind) == []
    assert {look.reason for look in blind} == {Reason.NO_FRESH_DATA}


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("clock")])
def test_nothing_is_taken_away_within_a_hold_of_a_jump(name: str) -> None:
    after = story(CASES[name][0]).between(JUMP_SECONDS, JUMP_SECONDS + 300.0)
    assert scale_ins(after) == []


@pytest.mark.parametrize("name", CASES)
def test_no_fault_makes_it_run_away(name: str) -> None:
    for number, look in enumerate(story(CASES[name][0]).looks, start=1):
        minute = int(number * TICK_SECONDS // 60)
        busiest = max(work_per_minute()[max(0, minute - 60) : minute + 1])
        justified = math.ceil(busiest / LEAST_UTILISATION) + STEP_REPLICAS
        assert look.wanted <= max(justified, look.ordered)


@cache
def work_per_minute() -> tuple[float, ...]:
    """Busy replicas that the arrivals of each minute mean."""
    workload = demand()
    prompt, output = mean_lengths(workload)
    work = work_costs(SETTING, prompt_tokens=prompt, output_tokens=output)
    minutes = (workload.arrival_seconds // 60).astype(int)
    return tuple(np.bincount(minutes, weights=work.per_request(workload)) / 60)


@pytest.mark.parametrize("name", CASES)
def test_two_ticks_after_the_fault_enough_is_wanted_again(name: str, plain: Story) -> None:
    for look, usual in after_the_fault(name, plain):
        assert look.reason is not Reason.NO_FRESH_DATA
        # Fewer are ordered only where a failed start is waited for.
        is_waiting = look.reason is Reason.START_FAILING
        assert is_waiting or look.wanted >= usual - STEP_REPLICAS


@pytest.mark.parametrize("name", CASES)
def test_two_ticks_after_the_fault_as_much_is_needed_as_without(name: str, plain: Story) -> None:
    for look, usual in after_the_fault(name, plain):
        assert look.needed is not None
        assert abs(look.needed - usual) <= STEP_REPLICAS


def after_the_fault(name: str, plain: Story) -> Iterator[tuple[Look, int]]:
    """Decisions of a minute, each with what would be needed had there been no fault."""
    faults, ended = CASES[name]
    begin = ended + TICKS_TO_NORMAL * TICK_SECONDS
    now, usual = (each.between(begin, begin + 60.0) for each in (story(faults), plain))
    for look, as_usual in zip(now, usual, strict=True):
        assert as_usual.needed is not None
        yield look, as_usual.needed


@pytest.mark.parametrize("name", CASES)
def test_every_request_is_accounted_for(name: str) -> None:
    score = story(CASES[name][0]).outcome.score()
    assert is_conserved(score)
    assert score.unfinished_requests == score.shed_requests == 0
    assert (score.failed_requests > 0) == (name == "a-replica-dies")


def test_series_told_twice_in_the_same_words_change_nothing(plain: Story) -> None:
    assert story(CASES["series-twice"][0]).looks == plain.looks


def test_stuck_starts_are_not_ordered_by_the_dozen() -> None:
    hangs = story(CASES["stuck-pending"][0])
    tries = [
        look.wanted - look.ordered for look in hangs.between(LONG.start_seconds, LONG.end_seconds)
    ]
    assert 1 <= sum(each for each in tries if each > 0) <= 10  # a try per tick would be sixty
    assert hangs.between(3000.0, 3600.0)[-1].ordered >= 9


def test_a_dead_replica_is_replaced_at_the_next_tick() -> None:
    before, after, then = story(CASES["a-replica-dies"][0]).between(
        JUMP_SECONDS - TICK_SECONDS, JUMP_SECONDS + 2 * TICK_SECONDS
    )
    assert after.ordered == before.wanted - 1
    assert then.ordered == before.wanted


EARLY = Span(start_seconds=1800.0, end_seconds=2050.0)
NEVER_SECONDS = 7200.0


def test_starts_that_hang_are_replaced_long_before_they_time_out(plain: Story) -> None:
    """One ordered within the span never comes; the next ones do."""
    hangs = story(Faults(stuck_starts=(EARLY,)), start_timeout_seconds=NEVER_SECONDS)
    stuck = sum(EARLY.holds(life.ordered_seconds) for life in hangs.outcome.lives)
    assert stuck >= 1
    # Twice the P90 of a start, a start, and some ticks after the last of them was ordered.
    since = EARLY.end_seconds + 2 * 125.0 + 125.0 + 60.0
    ready, usual = (ready_at(each.outcome, since) for each in (hangs, plain))
    assert ready >= usual
    pairs = zip(hangs.looks, plain.looks, strict=True)
    assert max(look.wanted - usual.wanted for look, usual in pairs) <= stuck + STEP_REPLICAS


def ready_at(outcome: Outcome, seconds: float) -> int:
    return [each for each in outcome.schedule if each.time_seconds <= seconds][-1].ready_replicas


def test_slow_starts_are_not_doubled(plain: Story) -> None:
    slow = story(Faults(slow_starts=(SlowStarts(span=LONG, factor=3.0),)))
    pairs = zip(slow.looks, plain.looks, strict=True)
    assert max(look.wanted - usual.wanted for look, usual in pairs) <= 2
    hours = slow.outcome.score().gpu_hours / plain.outcome.score().gpu_hours
    assert hours < 1.05


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("clock")])
def test_a_clock_that_was_set_changes_no_decision_by_more_than_a_step(
    name: str, plain: Story
) -> None:
    pairs = zip(story(CASES[name][0]).looks, plain.looks, strict=True)
    assert all(abs(look.wanted - usual.wanted) <= 2 * STEP_REPLICAS for look, usual in pairs)
