"""The forecast at the lead time, its spread, and the lesson of past ones."""

import math
from dataclasses import replace

import numpy as np
import pytest

from autoscaler.forecast.lead_time import (
    coverage_ratio,
    forecast_at_lead,
    learn_from,
    look_back_seconds,
)
from autoscaler.model.demand import DemandSeries, Forecast
from autoscaler.model.state import ScaleFit
from collector.model.catalogue import Control
from support.builders import NOW
from support.demand_series import make_series

CONTROL = Control()  # level window 60 s: windows of 2, 6, 20, 60 and 180 bins
LEAD_SECONDS = 120.0
STEADY = make_series([100.0] * 240)


def forecast(series: DemandSeries, fit: ScaleFit | None = None) -> Forecast | None:
    return forecast_at_lead(
        series,
        fit=fit or ScaleFit(),
        control=CONTROL,
        horizon_seconds=LEAD_SECONDS,
        end_timestamp_seconds=NOW,
    )


def taught(fit: ScaleFit, series: DemandSeries, *, end: float = NOW) -> ScaleFit:
    return learn_from(
        fit,
        series=series,
        control=CONTROL,
        horizon_seconds=LEAD_SECONDS,
        end_timestamp_seconds=end,
    )


def watched(work: list[float], *, first: int = 240) -> ScaleFit:
    """The fit after a tick at the end of every bin from the `first`."""
    fit = ScaleFit()
    for end in range(first, len(work)):
        series = make_series(work[max(0, end - 248) : end + 1])
        fit = taught(fit, series, end=15.0 * (end + 1))
    return fit


def errors(mean: float, sigma: float, *, rows: float = 240.0, factor: float = 1.0) -> ScaleFit:
    return ScaleFit(
        error_rows=rows,
        error_sum=rows * mean,
        error_square_sum=rows * (mean * mean + sigma * sigma),
        spread_factor=factor,
    )


def test_a_steady_demand_is_forecast_to_go_on() -> None:
    found = forecast(STEADY)
    assert found is not None
    assert found.level.requests_per_second == pytest.approx(1.0)
    assert found.peak.prompt_tokens_per_second == pytest.approx(100.0)
    assert found.horizon_seconds == 120.0


@pytest.mark.parametrize(
    "series",
    [
        pytest.param(make_series([]), id="no-bins"),
        pytest.param(make_series([5.0] * 8, covered_seconds=[15.0] * 4 + [0.0] * 4), id="blind"),
    ],
)
def test_what_was_not_measured_lately_has_no_forecast(series: DemandSeries) -> None:
    assert forecast(series) is None


def test_no_demand_at_all_is_forecast_to_stay_away() -> None:
    found = forecast(make_series([0.0] * 240))
    assert found is not None
    assert found.upper.requests_per_second == 0.0


@pytest.mark.parametrize(
    ("fit", "median", "p90"),
    [
        pytest.param(errors(0.0, 0.2), 1.0, 1.292, id="as-wide-as-its-errors"),
        pytest.param(errors(0.1, 0.0), 1.105, 1.105, id="a-forecast-too-low-is-raised"),
        pytest.param(errors(0.0, 5.0), 1.0, 2.157, id="bounded"),
        pytest.param(errors(0.0, 0.2, factor=2.0), 1.0, 1.670, id="widened-until-covered"),
        pytest.param(errors(0.0, 0.6, rows=40.0), 1.0, 1.75, id="less-of-a-young-service"),
        pytest.param(errors(0.3, 0.2, rows=39.0), 1.0, 1.434, id="too-few-errors-prior-spread"),
    ],
)
def test_the_spread_is_that_of_past_errors(fit: ScaleFit, median: float, p90: float) -> None:
    found = forecast(STEADY, fit)
    assert found is not None
    assert found.scenario_factors[2] == pytest.approx(median, abs=0.001)
    assert found.scenario_factors[4] == pytest.approx(p90, abs=0.001)


@pytest.mark.parametrize(
    ("work", "sigma"),
    [
        pytest.param(1e9, 0.25, id="many-requests-the-prior"),
        pytest.param(100.0, 0.2813, id="sixty-requests"),
        pytest.param(10.0, 0.4787, id="six-requests"),
    ],
)
def test_few_requests_make_the_first_spread_wider(work: float, sigma: float) -> None:
    found = forecast(make_series([work] * 240))
    assert found is not None
    assert math.log(found.scenario_factors[3]) == pytest.approx(0.5244 * sigma, abs=0.001)


def test_a_bin_is_learned_from_once() -> None:
    once = taught(ScaleFit(), STEADY)
    assert once.rows_total == 1
    assert taught(once, STEADY) == once
    assert taught(once, STEADY, end=NOW + 15.0).rows_total == 2


def test_a_clock_that_went_back_is_followed_and_teaches_nothing() -> None:
    known = taught(ScaleFit(), STEADY)
    back = taught(known, STEADY, end=NOW - 7200.0)
    assert back == replace(known, last_timestamp_seconds=NOW - 7215.0)
    assert taught(back, STEADY, end=NOW - 7185.0).rows_total == 2


@pytest.mark.parametrize(
    "blind",
    [
        pytest.param(slice(-5, -1), id="what-came"),
        pytest.param(slice(0, -12), id="all-before-it-was-asked"),
    ],
)
def test_time_that_was_not_measured_teaches_nothing(blind: slice) -> None:
    covered = [15.0] * 240
    covered[blind] = [0.0] * len(covered[blind])
    after = taught(ScaleFit(), make_series([100.0] * 240, covered_seconds=covered))
    assert after == ScaleFit(last_timestamp_seconds=NOW - 15.0)


def test_what_stands_in_bins_nobody_measured_does_not_matter() -> None:
    covered = [15.0] * 240
    covered[100:110] = [0.0] * 10
    quiet, loud = [100.0] * 240, [100.0] * 240
    loud[100:110] = [1e9] * 10
    assert taught(ScaleFit(), make_series(loud, covered_seconds=covered)) == taught(
        ScaleFit(), make_series(quiet, covered_seconds=covered)
    )


def test_the_open_bin_is_no_outcome() -> None:
    full, begun = [100.0] * 240, [*[100.0] * 239, 9e9]
    assert taught(ScaleFit(), make_series(full)) == taught(ScaleFit(), make_series(begun))


def test_a_short_history_teaches_nothing() -> None:
    assert taught(ScaleFit(), make_series([100.0] * 13)).rows_total == 0
    assert taught(ScaleFit(), make_series([100.0] * 14)).rows_total == 1


def test_a_steady_service_learns_that_it_is_steady() -> None:
    fit = watched([100.0] * 400)
    found = forecast(STEADY, fit)
    assert found is not None
    assert found.scenario_factors == pytest.approx((1.0,) * 5, abs=0.01)
    assert found.peak.prompt_tokens_per_second == pytest.approx(100.0, rel=0.001)
    assert coverage_ratio(fit) == pytest.approx(1.0)


def test_a_noisy_service_is_covered_as_promised() -> None:
    noise = np.random.default_rng(3).lognormal(4.0, 0.5, size=3000)
    assert coverage_ratio(watched(noise.tolist())) == pytest.approx(0.9, abs=0.04)


def test_coverage_is_unknown_while_few_outcomes_were_seen() -> None:
    assert coverage_ratio(watched([100.0] * 279)) is None
    assert coverage_ratio(watched([100.0] * 310)) is not None


def test_a_busy_service_and_a_quiet_one_learn_the_same() -> None:
    noise = np.random.default_rng(5).uniform(50.0, 150.0, size=330)
    quiet, busy = watched(noise.tolist()), watched((1000.0 * noise).tolist())
    assert busy.weights == pytest.approx(quiet.weights)
    assert (busy.error_sum, busy.error_square_sum) == pytest.approx(
        (quiet.error_sum, quiet.error_square_sum)
    )


def test_an_hour_is_looked_back_on() -> None:
    assert look_back_seconds(CONTROL) == 3720.0
