"""Replicas for a demand, and what each is worth."""

from dataclasses import replace

import pytest

from autoscaler.plan.size import replicas_for, size
from collector.model.catalogue import Control
from support.builders import (
    CAPACITY,
    make_assessment,
    make_fleet,
    make_forecast,
    make_rates,
    make_variant,
    with_capacity,
)

CONTROL = Control()  # 0.9 of a lower bound of 1 when sizing up


@pytest.mark.parametrize(
    ("demand", "replicas"),
    [
        pytest.param(0.0, 0, id="nothing"),
        pytest.param(0.01, 1, id="a-trickle-needs-one"),
        pytest.param(0.9, 1, id="exactly-at-target"),
        pytest.param(0.91, 2, id="just-above-target"),
        pytest.param(1.8, 2, id="two-exactly"),
        pytest.param(4.0, 5, id="five"),
    ],
)
def test_each_replica_is_loaded_to_the_target_at_most(demand: float, replicas: int) -> None:
    assert size(make_assessment(demand=demand), control=CONTROL).replicas == replicas


@pytest.mark.parametrize(
    ("factor", "replicas"),
    [
        pytest.param(0.8, 3, id="less-than-the-median"),  # 2.4 of work
        pytest.param(1.0, 4, id="the-median"),  # 3.0
        pytest.param(1.5, 5, id="the-highest-scenario"),  # 4.5
        pytest.param(2.5, 9, id="far-above-it"),  # 7.5
    ],
)
def test_the_forecast_is_sized_for_with_the_headroom(factor: float, replicas: int) -> None:
    forecast = make_forecast(3.0, factors=(0.75, 1.0, 1.5))  # P17, P50, P83
    assessment = make_assessment(demand=1.0, forecast=forecast, headroom_factor=factor)
    need = size(assessment, control=CONTROL)
    assert need.scenario_works == pytest.approx((2.25, 3.0, 4.5))
    assert need.replicas == replicas


def test_no_forecast_is_sized_below_what_is_asked_for_now() -> None:
    forecast = make_forecast(1.0, level=3.5)
    assessment = make_assessment(demand=3.5, forecast=forecast)
    assert size(assessment, control=CONTROL).replicas == 4  # at full use; the forecast alone: 2


@pytest.mark.parametrize(
    ("idle_seconds", "held", "backlog", "replicas"),
    [
        pytest.param(900.0, 0.0, 0.0, 0, id="idle"),
        pytest.param(899.0, 0.0, 0.0, 1, id="not-yet"),
        pytest.param(None, 0.0, 0.0, 1, id="unknown"),
        pytest.param(900.0, 1.0, 1.0, 1, id="one-is-held"),
        pytest.param(900.0, 0.0, 1.0, 1, id="one-is-queued"),
    ],
)
def test_an_idle_service_needs_nothing_though_a_forecast_remembers_demand(
    idle_seconds: float | None, held: float, backlog: float, replicas: int
) -> None:
    assessment = make_assessment(
        serving=1,
        demand=0.1,
        idle_seconds=idle_seconds,
        held_requests=held,
        backlog_requests=backlog,
    )
    assert size(assessment, control=CONTROL).replicas == replicas


def test_an_idle_service_keeps_its_declared_minimum() -> None:
    fleet = make_fleet(serving=1, variant=make_variant(min_replicas=1))
    assessment = make_assessment(demand=0.1, fleets=(fleet,), idle_seconds=5000.0)
    assert size(assessment, control=CONTROL).replicas == 1


@pytest.mark.parametrize(
    ("demand", "minimum", "maximum", "replicas", "unbounded"),
    [
        pytest.param(10.0, 0, 3, 3, 12, id="maximum"),
        pytest.param(0.0, 2, 5, 2, 0, id="minimum"),
        pytest.param(0.5, 0, 0, 0, 1, id="switched-off"),
    ],
)
def test_the_declared_bounds_hold(
    demand: float, minimum: int, maximum: int, replicas: int, unbounded: int
) -> None:
    variant = make_variant(min_replicas=minimum, max_replicas=maximum)
    need = size(
        make_assessment(demand=demand, fleets=(make_fleet(variant=variant),)), control=CONTROL
    )
    assert (need.replicas, need.unbounded_replicas) == (replicas, unbounded)


@pytest.mark.parametrize(
    ("onset", "replicas"),
    [
        pytest.param(None, 4, id="not-measured"),
        pytest.param(1.5, 4, id="less-than-the-level"),
        pytest.param(5.5, 6, id="more-than-the-level"),
    ],
)
def test_a_step_of_demand_is_met_when_it_is_proven(onset: float | None, replicas: int) -> None:
    assessment = make_assessment(
        demand=3.5,
        forecast=make_forecast(1.0),
        demand_onset=None if onset is None else make_rates(onset),
    )
    assert size(assessment, control=CONTROL).replicas == replicas


def test_after_a_step_the_queue_is_carried_beside_what_comes() -> None:
    # The forecast still says 1 request/s; 3.5 come, and 120 that wait are 2 more for a minute.
    assessment = make_assessment(
        demand=3.5,
        forecast=make_forecast(1.0),
        backlog_requests=120.0,
        backlog_tokens=make_rates(2.0),
    )
    need = size(assessment, control=CONTROL)
    assert (need.replicas, need.backlog_decides) == (6, True)


def test_a_backlog_is_work_to_be_done_in_the_drain_time() -> None:
    # 60 requests within 60 s are 1 request/s on top of 0.4.
    assessment = make_assessment(demand=0.4, backlog_requests=60.0, backlog_tokens=make_rates(1.0))
    need = size(assessment, control=CONTROL)
    assert (need.replicas, need.backlog_decides) == (2, True)


def test_a_backlog_that_changes_nothing_is_not_the_reason() -> None:
    assessment = make_assessment(demand=0.4, backlog_requests=1.0, backlog_tokens=make_rates(0.01))
    need = size(assessment, control=CONTROL)
    assert (need.replicas, need.backlog_decides) == (1, False)


def test_a_held_request_needs_one_replica_whatever_the_forecast_says() -> None:
    assert size(make_assessment(demand=0.0, held_requests=1.0), control=CONTROL).replicas == 1


@pytest.mark.parametrize(
    ("serving", "starting", "backlog", "replicas"),
    [
        pytest.param(2, 0, 5.0, 3, id="a-queue-allows-one-more"),
        pytest.param(2, 1, 5.0, 3, id="but-one-at-a-time"),
        pytest.param(2, 0, 0.0, 2, id="no-queue-no-change"),
        pytest.param(2, 0, None, 2, id="unknown-queue-no-change"),
        pytest.param(0, 0, 1.0, 1, id="from-zero"),
    ],
)
def test_unknown_capacity_allows_one_more_per_queue(
    serving: int, starting: int, backlog: float | None, replicas: int
) -> None:
    fleet = make_fleet(serving=serving, starting=starting, capacity=None)
    assessment = make_assessment(demand=5.0, fleets=(fleet,), backlog_requests=backlog)
    assert size(assessment, control=CONTROL).replicas == replicas


@pytest.mark.parametrize(
    ("demand", "completed", "backlog", "replicas"),
    [
        pytest.param(7.0, 4.0, 100.0, 5, id="what-two-complete-at-seventy-percent"),
        pytest.param(8.0, 4.0, 100.0, 6, id="rounded-up"),
        pytest.param(80.0, 4.0, 800.0, 8, id="at-most-four-times-those-that-serve"),
        pytest.param(4.0, 4.0, 100.0, 3, id="one-more-for-a-queue-that-stays"),
        pytest.param(8.0, 4.0, 19.0, 2, id="a-short-queue-proves-nothing"),
        pytest.param(80.0, 4.0, 19.0, 2, id="nor-does-it-for-more-demand"),
        pytest.param(8.0, 0.0, 100.0, 3, id="nothing-completed-yet-one-more"),
        pytest.param(8.0, None, 100.0, 3, id="completions-not-measured-one-more"),
    ],
)
def test_with_unknown_capacity_a_standing_queue_shows_what_a_replica_completes(
    demand: float, completed: float | None, backlog: float, replicas: int
) -> None:
    assessment = make_assessment(
        demand=demand,
        fleets=(make_fleet(serving=2, capacity=None),),
        backlog_requests=backlog,
        completed_requests_per_second=completed,
    )
    assert size(assessment, control=CONTROL).replicas == replicas


@pytest.mark.parametrize(
    ("burn_rate", "backlog", "replicas"),
    [
        pytest.param(0.0, 39.0, 2, id="objectives-are-kept"),
        pytest.param(None, 39.0, 2, id="nobody-knows-whether-they-are"),
        pytest.param(2.0, 9.0, 3, id="missed-with-a-queue-of-a-second"),
        pytest.param(2.0, 7.0, 2, id="missed-and-hardly-a-queue"),
    ],
)
def test_with_unknown_capacity_a_shorter_queue_is_enough_where_objectives_are_missed(
    burn_rate: float | None, backlog: float, replicas: int
) -> None:
    assessment = make_assessment(
        demand=8.0,
        fleets=(make_fleet(serving=2, capacity=None),),
        backlog_requests=backlog,
        completed_requests_per_second=8.0,
        burn_rate=burn_rate,
    )
    assert size(assessment, control=CONTROL).replicas == replicas


@pytest.mark.parametrize(
    ("is_provisional", "backlog", "replicas"),
    [
        pytest.param(False, 100.0, 3, id="well-known"),
        pytest.param(True, 100.0, 5, id="hardly-seen"),
        pytest.param(True, 20.0, 3, id="hardly-seen-without-a-standing-queue"),
    ],
)
def test_what_a_standing_queue_shows_counts_while_capacity_was_hardly_seen(
    is_provisional: bool, backlog: float, replicas: int
) -> None:
    capacity = replace(CAPACITY, low_ratio=3.0, is_provisional=is_provisional)
    assessment = make_assessment(
        demand=7.0,  # three by the estimate, five by what two of them complete
        fleets=(make_fleet(serving=2, capacity=capacity),),
        backlog_requests=backlog,
        completed_requests_per_second=4.0,
    )
    assert size(assessment, control=CONTROL).replicas == replicas


def test_unknown_demand_keeps_the_supply() -> None:
    assert size(make_assessment(serving=3), control=CONTROL).replicas == 3


def test_no_demand_needs_nothing_even_where_a_token_has_no_known_cost() -> None:
    assessment = with_capacity(make_assessment(serving=1, demand=0.0), None)
    assert size(assessment, control=CONTROL).replicas == 0


def test_a_cost_estimate_out_of_this_world_stays_a_number() -> None:
    assert replicas_for(float("inf"), capacity=CAPACITY, utilisation=0.8) > 10**6
