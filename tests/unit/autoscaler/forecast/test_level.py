"""The level of demand."""

import pytest

from autoscaler.forecast.level import level
from autoscaler.model.demand import DemandSeries
from support.demand_series import make_series


@pytest.mark.parametrize(
    ("series", "tokens_per_second"),
    [
        pytest.param(make_series([1000, 10, 20, 30, 40]), 25.0, id="mean-of-the-window"),
        pytest.param(make_series([8, 40]), 24.0, id="less-than-a-window"),
        pytest.param(
            make_series([20, 0, 0, 40], covered_seconds=[15, 0, 0, 15]),
            30.0,
            id="blind-is-not-quiet",
        ),
        pytest.param(
            make_series([10, 10, 10, 70], covered_seconds=[15, 15, 15, 5]),
            16.0,
            id="an-open-bin-counts-for-its-seconds",
        ),
        pytest.param(make_series([]), None, id="no-bins"),
        pytest.param(
            make_series([5, 5, 0, 0, 0, 0], covered_seconds=[15, 15, 0, 0, 0, 0]),
            None,
            id="blind-window",
        ),
    ],
)
def test_the_level_is_the_mean_of_measured_time(
    series: DemandSeries, tokens_per_second: float | None
) -> None:
    rates = level(series, window_seconds=60.0)
    found = None if rates is None else rates.prompt_tokens_per_second
    assert found == (None if tokens_per_second is None else pytest.approx(tokens_per_second))


def test_all_kinds_of_demand_are_taken_over_the_same_window() -> None:
    rates = level(make_series([500, 100, 200, 300, 400]), window_seconds=60.0)
    assert rates is not None
    assert (rates.requests_per_second, rates.output_tokens_per_second) == (2.5, 0.0)
