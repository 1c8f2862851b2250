"""What a policy costs more than the curve at the attainment it has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foresail.backtest.curve import Bound, CurvePoint, Regret, pareto, regret

CURVE = [(0.9, 10.0), (0.99, 20.0), (0.999, 30.0)]


def points(pairs):
    return [CurvePoint(knob=None, attainment_ratio=a, gpu_hours=h) for a, h in pairs]


@pytest.mark.parametrize(
    ("attainment", "hours", "expected", "bound"),
    [
        pytest.param(0.99, 20.0, 1.0, Bound.EXACT, id="on-a-point"),
        pytest.param(0.9, 15.0, 1.5, Bound.EXACT, id="on-the-first"),
        # A tenth as many missed is one step of ten hours: sqrt(10) fewer is half a step.
        pytest.param(1 - 0.1 / 10**0.5, 30.0, 2.0, Bound.EXACT, id="between-two"),
        pytest.param(0.8, 20.0, 2.0, Bound.AT_LEAST, id="worse-than-all"),
        pytest.param(0.9999, 33.0, 1.1, Bound.AT_MOST, id="better-than-all"),
    ],
)
def test_hours_are_compared_at_the_same_attainment(attainment, hours, expected, bound):
    found = regret(points(CURVE), attainment_ratio=attainment, gpu_hours=hours)
    assert found == Regret(ratio=pytest.approx(expected), bound=bound)


def test_values_that_are_beaten_are_no_part_of_the_curve():
    kept = pareto(points([*CURVE, (0.95, 25.0), (0.99, 21.0)]))
    assert [(each.attainment_ratio, each.gpu_hours) for each in kept] == CURVE


@pytest.mark.parametrize("pairs", [[], [(0.9, 0.0)]], ids=["no-points", "no-hours"])
def test_nothing_to_compare_with_is_told_as_nothing(pairs):
    assert regret(points(pairs), attainment_ratio=0.9, gpu_hours=1.0) is None


ratios = st.floats(min_value=0.0, max_value=1.0)
hours = st.floats(min_value=0.1, max_value=1e4)


@given(st.lists(st.tuples(ratios, hours), min_size=1), st.data())
def test_a_point_of_the_curve_itself_costs_at_least_as_much_as_the_curve(pairs, data):
    attainment, cost = data.draw(st.sampled_from(pairs))
    found = regret(points(pairs), attainment_ratio=attainment, gpu_hours=cost)
    assert found is not None
    assert found.ratio >= 1.0 - 1e-9
    assert found.bound is not Bound.AT_MOST
