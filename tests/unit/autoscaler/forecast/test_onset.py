"""What the last half minute proves."""

import pytest

from autoscaler.forecast.onset import onset
from autoscaler.model.demand import DemandSeries
from support.demand_series import make_series


def proven(series: DemandSeries) -> float | None:
    rates = onset(series)
    return None if rates is None else rates.prompt_tokens_per_second


# A request has a hundredth of these tokens per second: 800 are 8 a second, 240 in half a minute.
@pytest.mark.parametrize(
    ("series", "tokens_per_second"),
    [
        pytest.param(
            make_series([100, 100, 800, 800]), 800 * (1 - 2 * (2 / 240) ** 0.5), id="a-step"
        ),
        pytest.param(
            make_series([800, 800, 100, 100]), 100 * (1 - 2 * (2 / 30) ** 0.5), id="its-end"
        ),
        pytest.param(make_series([0, 0, 20, 20]), 0.0, id="six-requests-prove-nothing"),
        pytest.param(make_series([800, 800, 0, 0]), 0.0, id="nothing-now"),
        pytest.param(
            make_series([100, 100, 100, 700], covered_seconds=[15, 15, 15, 5]),
            250 * (1 - 2 * (2 / 50) ** 0.5),
            id="an-open-bin-counts-for-its-seconds",
        ),
        pytest.param(make_series([]), None, id="no-bins"),
        pytest.param(make_series([5, 5, 0, 0], covered_seconds=[15, 15, 0, 0]), None, id="blind"),
    ],
)
def test_it_is_the_last_bins_less_what_chance_may_have_brought(
    series: DemandSeries, tokens_per_second: float | None
) -> None:
    assert proven(series) == (
        None if tokens_per_second is None else pytest.approx(tokens_per_second)
    )
