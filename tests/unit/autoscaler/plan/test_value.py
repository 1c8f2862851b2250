"""What each replica of a service is worth."""

import pytest

from autoscaler.plan.size import size
from autoscaler.plan.value import replica_values_per_hour, shortfall_ratio
from collector.model.catalogue import Control
from support.builders import make_assessment, make_fleet, make_rates

CONTROL = Control()  # 0.9 of a lower bound of 1 when sizing up


@pytest.mark.parametrize(
    ("works", "carried", "share"),
    [
        pytest.param((), 0.0, 0.0, id="no-scenario"),
        pytest.param((0.0,), 0.0, 0.0, id="no-demand"),
        pytest.param((2.0,), 0.0, 1.0, id="nothing-carried"),
        pytest.param((2.0,), 1.5, 0.25, id="a-quarter-missing"),
        pytest.param((1.0, 2.0), 1.0, 0.25, id="mean-over-scenarios"),
        pytest.param((2.0,), 5.0, 0.0, id="more-than-enough"),
    ],
)
def test_shortfall_is_the_share_not_carried(
    works: tuple[float, ...], carried: float, share: float
) -> None:
    assert shortfall_ratio(works, carried_work=carried) == pytest.approx(share)


def values(assessment_fields: dict, *, count: int) -> tuple[float, ...]:
    assessment = make_assessment(**assessment_fields)
    need = size(assessment, control=CONTROL)
    return replica_values_per_hour(assessment, need=need, order=(0,) * count, control=CONTROL)


def test_a_replica_is_worth_the_violations_it_avoids() -> None:
    # 1.8 replica-seconds per second at 0.9 each: two replicas, each worth half of 60 money/h.
    assert values({"demand": 1.8}, count=3) == pytest.approx((30.0, 30.0, 0.0))


@pytest.mark.parametrize(
    ("waited_seconds", "value"),
    [
        pytest.param(0.0, 60.0, id="just-held"),
        pytest.param(39.0, 60.0, id="a-start-would-still-come-in-time"),
        pytest.param(40.0, 120.0, id="two-lead-times-before-the-end"),
        pytest.param(500.0, 120.0, id="past-its-end"),
    ],
)
def test_a_held_request_is_worth_twice_when_a_start_is_due(
    waited_seconds: float, value: float
) -> None:
    fields = {
        "demand": 0.0,
        "fleets": (make_fleet(lead_time_seconds=10.0),),  # of a hold of 60
        "held_requests": 1.0,
        "oldest_held_seconds": waited_seconds,
    }
    assert values(fields, count=1) == pytest.approx((value,))


def test_replicas_of_unknown_worth_count_in_full() -> None:
    assert values({"serving": 2}, count=3) == pytest.approx((60.0, 60.0, 0.0))


def test_the_only_replica_of_a_long_queue_is_worth_what_it_would_be_if_that_was_held() -> None:
    backlog = make_rates(200.0)
    fields = {
        "serving": 1,
        "demand": 2.0,
        "backlog_requests": 2000.0,
        "backlog_tokens": backlog,
        "oldest_held_seconds": 500.0,
    }
    first, second = values(fields, count=2)
    assert first == pytest.approx(60.0)
    assert second < 1.0


def test_a_held_request_does_not_make_the_other_replicas_worthless() -> None:
    fields = {"serving": 2, "held_requests": 1.0, "oldest_held_seconds": 30.0}
    assert values(fields, count=2) == pytest.approx((120.0, 60.0))
