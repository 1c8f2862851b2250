"""Faults as data, and what the lookout makes of them."""

import pytest

from autoscaler.replay.faults import (
    ClockJump,
    Faults,
    RepeatedSeries,
    SeriesFault,
    SlowReplica,
    SlowStarts,
    Span,
)
from autoscaler.replay.fleet import Provisioning
from autoscaler.replay.run import Conditions, replay
from autoscaler.replay.view import FleetView
from support.replays import Script, make_setting, make_workload

TENS = Span(start_seconds=10.0, end_seconds=20.0)
STEADY = make_workload(*[(2.0 * n + 1, 5, 2) for n in range(50)])  # one every 2 s


def seen(
    *orders: tuple[float, int], initial: int = 1, faults: Faults | None = None
) -> dict[float, FleetView]:
    """Views by the true time at which they were taken, every 10 s."""
    policy = Script(*orders)
    replay(
        STEADY,
        setting=make_setting(min_replicas=0),
        policy=policy,
        conditions=Conditions(
            initial_replicas=initial,
            provisioning=Provisioning(sigma=0.0),
            faults=faults or Faults(),
        ),
        end_seconds=100.0,
    )
    return {10.0 * (n + 1): view for n, view in enumerate(policy.views)}


@pytest.mark.parametrize(("at", "holds"), [(9.9, False), (10.0, True), (19.9, True), (20.0, False)])
def test_a_span_has_its_start_and_not_its_end(*, at: float, holds: bool) -> None:
    assert TENS.holds(at) is holds
    assert Faults(metric_outages=(TENS,)).is_dark(at) is holds


@pytest.mark.parametrize(
    ("start", "end"), [(-1.0, 5.0), (5.0, 5.0), (6.0, 5.0), (float("nan"), 1.0)]
)
def test_a_span_that_is_none_is_refused(start: float, end: float) -> None:
    with pytest.raises(ValueError, match="no stretch of time"):
        Span(start_seconds=start, end_seconds=end)


@pytest.mark.parametrize("factor", [0.0, -1.0, float("inf"), float("nan")])
def test_a_slow_replica_that_is_no_number_of_times_as_slow_is_refused(factor: float) -> None:
    with pytest.raises(ValueError, match="a death instead"):
        SlowReplica(at_seconds=1.0, factor=factor)


@pytest.mark.parametrize("factor", [0.0, -1.0, float("inf"), float("nan")])
def test_a_slowness_that_is_no_number_is_refused(factor: float) -> None:
    with pytest.raises(ValueError, match="stuck start"):
        SlowStarts(span=TENS, factor=factor)


def test_stuck_wins_over_slow_and_the_slowest_over_others() -> None:
    slow = (SlowStarts(span=TENS, factor=3.0), SlowStarts(span=TENS, factor=2.0))
    assert Faults(slow_starts=slow).start_factor(15.0) == 3.0
    assert Faults(slow_starts=slow).start_factor(25.0) == 1.0
    assert Faults(slow_starts=slow, stuck_starts=(TENS,)).start_factor(15.0) == float("inf")


def test_jumps_of_the_clock_add_up() -> None:
    faults = Faults(
        clock_jumps=(
            ClockJump(at_seconds=10.0, by_seconds=3600.0),
            ClockJump(at_seconds=20.0, by_seconds=-7200.0),
        )
    )
    assert [faults.clock_seconds(at) for at in (5.0, 10.0, 30.0)] == [5.0, 3610.0, -3570.0]


def test_slow_starts_take_three_times_as_long() -> None:
    slow = Faults(slow_starts=(SlowStarts(span=TENS, factor=3.0),))
    views = seen((10.0, 2), (20.0, 3), faults=slow)
    assert [at for at, view in views.items() if view.lead_times_seconds] == [50.0, 100.0]
    assert views[50.0].lead_times_seconds == (30.0,)
    assert views[100.0].lead_times_seconds == (90.0,)


# --- metrics in the dark ---------------------------------------------------------------------


def test_in_the_dark_the_last_numbers_stay_and_say_how_old_they_are() -> None:
    outage = Faults(metric_outages=(Span(start_seconds=25.0, end_seconds=55.0),))
    views = seen(faults=outage)
    assert [view.read_seconds for view in views.values()] == [
        None, None, 20.0, 20.0, 20.0, None, None, None, None, None,
    ]  # fmt: skip
    assert [views[at].arrived_requests_total for at in (20.0, 30.0, 50.0)] == [10, 10, 10]
    assert len(views[30.0].first_token_seconds) == 0


def test_what_was_told_once_comes_with_the_next_reading() -> None:
    outage = Faults(metric_outages=(Span(start_seconds=25.0, end_seconds=55.0),))
    dark, light = seen(faults=outage), seen()

    def told(views: dict[float, FleetView]) -> int:
        return sum(len(view.first_token_seconds) for view in views.values())

    assert dark[60.0].arrived_requests_total == 30
    assert len(dark[60.0].first_token_seconds) == 20
    assert told(dark) == told(light)


def test_in_the_dark_it_is_still_known_who_was_started_and_who_ended() -> None:
    outage = Faults(
        metric_outages=(Span(start_seconds=25.0, end_seconds=75.0),), deaths_seconds=(45.0,)
    )
    views = seen((10.0, 2), (30.0, 3), faults=outage)
    assert views[30.0].pending_ordered_seconds == (10.0,)
    assert views[40.0].lead_times_seconds == (30.0,)
    assert (views[40.0].ready_replicas, views[40.0].unread_replicas) == (2, (2,))
    assert views[50.0].lives_lost_seconds == (45.0,)
    assert (views[50.0].replicas, views[50.0].unread_replicas) == ((), (2,))
    assert views[60.0].unread_replicas == (2, 3)
    assert (views[60.0].ordered_replicas, views[60.0].pending_replicas) == (3, 1)
    assert views[80.0].unread_replicas == ()


def test_the_first_look_reads_whatever_the_faults_say() -> None:
    outage = Faults(metric_outages=(Span(start_seconds=0.0, end_seconds=30.0),))
    views = seen(faults=outage)
    assert [views[at].read_seconds for at in (10.0, 20.0, 30.0)] == [None, 10.0, None]


# --- other things that are seen wrong ----------------------------------------------------------


def test_repeated_series_are_told_with_the_view() -> None:
    faults = Faults(repeated_series=(RepeatedSeries(span=TENS, kind=SeriesFault.CONTRADICTING),))
    views = seen(faults=faults)
    assert views[10.0].series_fault is SeriesFault.CONTRADICTING
    assert views[20.0].series_fault is SeriesFault.NONE


@pytest.mark.parametrize(
    ("by", "lead"), [(3600.0, 3630.0), (-3600.0, 0.0)], ids=["forward", "back"]
)
def test_a_jump_moves_the_clock_and_the_starts_it_falls_into(by: float, lead: float) -> None:
    jump = Faults(clock_jumps=(ClockJump(at_seconds=25.0, by_seconds=by),))
    views = seen((10.0, 2), (40.0, 3), faults=jump)
    assert [views[at].now_seconds for at in (20.0, 30.0)] == [20.0, 30.0 + by]
    assert views[30.0].pending_ordered_seconds == (10.0,)  # stamped before the jump
    assert views[40.0].lead_times_seconds == (lead,)
    assert views[50.0].pending_ordered_seconds == (40.0 + by,)
    assert views[70.0].lead_times_seconds == (30.0,)
