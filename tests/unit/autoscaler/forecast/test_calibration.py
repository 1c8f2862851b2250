"""How past errors become the scenarios of the next forecast."""

import numpy as np
import pytest

from autoscaler.forecast.calibration import (
    forecast_peak,
    remember_forecast,
    scenario_factors,
    score_forecasts,
)
from autoscaler.model.demand import DemandSeries
from autoscaler.model.state import MAX_SAMPLES, PastForecast
from collector.model.catalogue import Control
from support.builders import NOW, make_rates, make_service_state

CONTROL = Control()


def tokens(values: list[float]) -> DemandSeries:
    prompt = np.array(values, dtype=float)
    return DemandSeries(
        bin_seconds=15.0,
        requests_per_second=prompt / 100,
        prompt_tokens_per_second=prompt,
        output_tokens_per_second=np.zeros(len(values)),
        covered_seconds=np.full(len(values), 15.0),
    )


def past(*, made: float, due: float, volume: float = 100.0) -> PastForecast:
    return PastForecast(
        made_timestamp_seconds=made, due_timestamp_seconds=due, tokens_per_second=volume
    )


@pytest.mark.parametrize(
    ("requests", "highest"),
    [
        pytest.param(100.0, 1.1282, id="many-arrivals-vary-little"),
        pytest.param(4.0, 1.641, id="few-vary-more"),
        pytest.param(1.0, 2.282, id="one"),
        pytest.param(0.0, 2.282, id="none-is-taken-as-one"),
    ],
)
def test_without_a_record_arrivals_are_taken_as_poisson(requests: float, highest: float) -> None:
    factors = scenario_factors((1.0,) * 19, requests=requests)
    assert len(factors) == 5
    assert factors[2] == 1.0
    assert factors[-1] == pytest.approx(highest)


def test_with_a_record_its_own_quantiles_are_the_scenarios() -> None:
    ratios = tuple(i / 10 for i in range(21))  # 0.0 ... 2.0
    assert scenario_factors(ratios, requests=1e9) == pytest.approx((0.2, 0.6, 1.0, 1.4, 1.8))


def test_a_margin_is_never_more_than_threefold() -> None:
    assert scenario_factors((50.0,) * 20, requests=1.0) == (3.0,) * 5


def test_factors_are_never_negative() -> None:
    assert min(scenario_factors((), requests=1.0)) == 0.0


def test_the_forecast_is_level_times_growth_and_its_scenarios() -> None:
    forecast = forecast_peak(
        tokens([100.0] * 20), control=CONTROL, horizon_seconds=75.0, ratios=(2.0,) * 20
    )
    assert forecast is not None
    assert forecast.peak.prompt_tokens_per_second == pytest.approx(100.0)
    assert forecast.upper.prompt_tokens_per_second == pytest.approx(200.0)


def test_no_level_no_forecast() -> None:
    assert forecast_peak(tokens([]), control=CONTROL, horizon_seconds=75.0, ratios=()) is None


def scored(series: DemandSeries, *forecasts: PastForecast, now: float = NOW) -> tuple:
    state = make_service_state(pending_forecasts=forecasts)
    result = score_forecasts(state, series=series, control=CONTROL, now_timestamp_seconds=now)
    return result.forecast_ratios, result.pending_forecasts


def test_a_due_forecast_is_compared_with_the_peak_that_came() -> None:
    came = tokens([50.0] * 36 + [50.0, 150.0, 80.0, 60.0])
    ratios, pending = scored(came, past(made=NOW - 60, due=NOW))
    assert ratios == pytest.approx((1.5,))
    assert pending == ()


def test_what_came_before_or_after_its_window_is_not_held_against_it() -> None:
    came = tokens([900.0] * 32 + [70.0] * 4 + [900.0] * 4)
    ratios, _ = scored(came, past(made=NOW - 120, due=NOW - 60))
    assert ratios == pytest.approx((0.7,))


def test_a_forecast_that_is_not_due_waits() -> None:
    waiting = past(made=NOW - 30, due=NOW + 30)
    assert scored(tokens([50.0] * 40), waiting) == ((), (waiting,))


@pytest.mark.parametrize(
    ("series", "forecast"),
    [
        pytest.param(tokens([]), past(made=NOW - 60, due=NOW), id="nothing-measured"),
        pytest.param(
            tokens([50.0] * 40), past(made=NOW - 60, due=NOW, volume=0.0), id="forecast-of-nothing"
        ),
    ],
)
def test_what_cannot_be_scored_is_dropped(series: DemandSeries, forecast: PastForecast) -> None:
    assert scored(series, forecast) == ((), ())


def test_a_forecast_of_next_to_nothing_gives_a_finite_score() -> None:
    ratios, _ = scored(tokens([50.0] * 40), past(made=NOW - 60, due=NOW, volume=5e-324))
    assert np.isfinite(ratios).all()


def test_memory_is_bounded() -> None:
    state = make_service_state()
    for i in range(MAX_SAMPLES + 10):
        state = remember_forecast(
            state, peak=make_rates(1.0), now_timestamp_seconds=NOW + i, horizon_seconds=60.0
        )
    assert len(state.pending_forecasts) == MAX_SAMPLES
    assert state.pending_forecasts[-1].due_timestamp_seconds == NOW + MAX_SAMPLES + 9 + 60
