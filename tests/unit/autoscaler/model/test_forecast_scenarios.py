"""Scenarios of a forecast, and the demand between and beyond them."""

import pytest

from autoscaler.model.demand import factor_at, scenario_deviates
from support.builders import make_forecast

FIVE = (0.5, 0.75, 1.0, 1.5, 2.0)


def test_five_scenarios_are_the_middles_of_five_equal_shares() -> None:
    assert scenario_deviates(5) == pytest.approx((-1.2816, -0.5244, 0.0, 0.5244, 1.2816), abs=1e-4)


@pytest.mark.parametrize(
    ("factors", "deviates", "factor"),
    [
        pytest.param(FIVE, 0.0, 1.0, id="median"),
        pytest.param(FIVE, 0.5244005127080407, 1.5, id="p70"),
        pytest.param(FIVE, 1.2815515655446008, 2.0, id="p90"),
        pytest.param(FIVE, 2.038702618, 2.5, id="beyond-as-steep-as-before"),
        pytest.param(FIVE, -1.2815515655446008, 0.5, id="p10"),
        pytest.param(FIVE, 0.9029760391, 1.75, id="between-two"),
        pytest.param(FIVE, -9.0, 0.0, id="never-below-nothing"),
        pytest.param((1.3,), 2.0, 1.3, id="one-scenario-is-all-there-is"),
    ],
)
def test_the_factor_at_a_deviate(
    factors: tuple[float, ...], deviates: float, factor: float
) -> None:
    assert factor_at(factors, deviates) == pytest.approx(factor)


def test_a_multiple_of_a_forecast_keeps_its_mix() -> None:
    much = make_forecast(2.0, factors=FIVE).times(1.5)
    assert (much.requests_per_second, much.prompt_tokens_per_second) == (3.0, 300.0)
    assert make_forecast(2.0, factors=FIVE).upper.requests_per_second == 4.0
