"""The HPA's arithmetic, windows and rates, against its documentation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.replay.baselines.hpa_law import (
    Behaviour,
    HpaController,
    PolicyUnit,
    RatePolicy,
    average_value_replicas,
    pods_metric_replicas,
    value_replicas,
)

ONE_IN_TWO_MINUTES = Behaviour(
    down_window_seconds=0.0,
    down=(RatePolicy(unit=PolicyUnit.PODS, value=1.0, period_seconds=120.0),),
)
DOUBLE_OR_FOUR_A_MINUTE = Behaviour(
    up=(
        RatePolicy(unit=PolicyUnit.RATIO, value=1.0, period_seconds=60.0),
        RatePolicy(unit=PolicyUnit.PODS, value=4.0, period_seconds=60.0),
    )
)


def make_controller(*, min_replicas=1, max_replicas=100, behaviour=None):
    return HpaController(
        min_replicas=min_replicas,
        max_replicas=max_replicas,
        behaviour=behaviour or Behaviour(),
    )


@pytest.mark.parametrize(
    ("values", "unready", "current", "expected"),
    [
        pytest.param([150, 150], 0, 2, 3, id="half more load, half more pods"),
        pytest.param([105, 109], 0, 2, 2, id="within a tenth of the target nothing changes"),
        pytest.param([110, 110], 0, 2, 2, id="a tenth above is within"),
        pytest.param([112, 112], 0, 2, 3, id="more than a tenth above is not"),
        pytest.param([40, 40], 0, 2, 1, id="down to what the load needs"),
        pytest.param([0, 0], 0, 2, 0, id="no load at all"),
        pytest.param([200, 200], 2, 4, 4, id="pods that start already cover the load"),
        pytest.param([300, 300], 1, 3, 6, id="pods that start cover some of it"),
        pytest.param([150], 1, 2, 2, id="counting pods that start must not turn up into down"),
        pytest.param([40, 40], 2, 4, 1, id="going down, pods that start are not counted"),
        pytest.param([], 3, 3, 3, id="nothing measured, nothing changed"),
    ],
)
def test_pods_metric(values, unready, current, expected):
    assert pods_metric_replicas(values, target=100.0, current=current, unready=unready) == expected


@pytest.mark.parametrize(
    ("total", "current", "expected"),
    [
        pytest.param(50, 4, 10, id="total over target, rounded up"),
        pytest.param(21, 4, 4, id="within tolerance"),
        pytest.param(51, 10, 10, id="pending pods count in the average"),
        pytest.param(0, 4, 0, id="an empty queue asks for none"),
        pytest.param(6, 1, 2, id="one too many for one"),
    ],
)
def test_average_value(total, current, expected):
    assert average_value_replicas(total, target=5.0, current=current) == expected


def test_value_scales_the_ready_ones():
    assert value_replicas(1.4, target=0.7, current=5, ready=3) == 6
    assert value_replicas(0.72, target=0.7, current=5, ready=3) == 5


@pytest.mark.parametrize(
    ("current", "expected"),
    [
        pytest.param(1, 5, id="four pods when few"),
        pytest.param(3, 7, id="four pods are still more than double"),
        pytest.param(10, 20, id="double when many"),
    ],
)
def test_up_is_limited_by_the_more_generous_policy(current, expected):
    assert make_controller().ordered(proposed=90, current=current, now_seconds=0) == expected


def test_a_rate_counts_what_was_added_within_its_period():
    controller = make_controller(behaviour=DOUBLE_OR_FOUR_A_MINUTE)
    assert controller.ordered(proposed=90, current=3, now_seconds=0) == 7
    assert controller.ordered(proposed=90, current=7, now_seconds=15) == 7
    assert controller.ordered(proposed=90, current=7, now_seconds=60) == 14


def test_down_waits_until_the_whole_window_asked_for_less():
    controller = make_controller()
    assert controller.ordered(proposed=8, current=8, now_seconds=0) == 8
    for now in range(15, 300, 15):
        assert controller.ordered(proposed=5 if now < 30 else 2, current=8, now_seconds=now) == 8
    assert controller.ordered(proposed=2, current=8, now_seconds=300) == 5
    assert controller.ordered(proposed=2, current=5, now_seconds=315) == 2


def test_down_one_in_two_minutes():
    controller = make_controller(behaviour=ONE_IN_TWO_MINUTES)
    assert controller.ordered(proposed=1, current=4, now_seconds=0) == 3
    assert controller.ordered(proposed=1, current=3, now_seconds=105) == 3
    assert controller.ordered(proposed=1, current=3, now_seconds=120) == 2


def test_up_window_takes_the_least_of_it():
    controller = make_controller(behaviour=Behaviour(up_window_seconds=30.0))
    assert controller.ordered(proposed=4, current=4, now_seconds=0) == 4
    assert controller.ordered(proposed=6, current=4, now_seconds=15) == 4
    assert controller.ordered(proposed=8, current=4, now_seconds=30) == 6


def test_limits_hold_and_zero_is_never_ordered():
    controller = make_controller(min_replicas=0, max_replicas=6)
    assert controller.ordered(proposed=90, current=5, now_seconds=0) == 6
    assert controller.ordered(proposed=0, current=5, now_seconds=1000) == 1


@given(
    st.lists(st.integers(min_value=0, max_value=200), min_size=1, max_size=40),
    st.integers(min_value=1, max_value=30),
)
def test_orders_stay_within_limits_and_rates(proposals, first):
    controller = make_controller(min_replicas=1, max_replicas=30)
    current = first
    for tick, proposed in enumerate(proposals):
        ordered = controller.ordered(proposed=proposed, current=current, now_seconds=tick * 15.0)
        assert 1 <= ordered <= 30
        assert ordered <= max(current, 2 * current, current + 4)
        current = ordered
