"""Forecasts of the peak within a lead time and of counts hours ahead, learned from what came."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from autoscaler.forecast.forecaster import observe, predict
from autoscaler.forecast.refit import refit
from autoscaler.forecast.rows import aligned_state, empty_state
from autoscaler.forecast.tasks import COUNT_TASK, PEAK_TASK
from autoscaler.model.forecast_state import (
    Curve,
    DemandBins,
    ForecastInputs,
    ForecastState,
    ForecastTask,
    Prediction,
)
from collector.model.ids import ServiceName

CHAT, CODE = ServiceName("chat"), ServiceName("code")
DAY_BINS = 144  # of ten minutes
END = 1_000_000.0

Rates = npt.NDArray[np.float64]


def bins_of(
    *rates: Rates,
    width: float = 15.0,
    end: float = END,
    names: tuple[ServiceName, ...] = (CHAT, CODE),
) -> DemandBins:
    values = np.stack(rates)
    return DemandBins(
        services=names[: len(rates)],
        bin_seconds=width,
        end_timestamp_seconds=end,
        per_second=np.nan_to_num(values),
        covered_seconds=np.where(np.isnan(values), 0.0, width),
        request_size=np.ones(len(rates)),
    )


def poisson(mean_per_second: Rates, *, width: float, seed: int = 3) -> Rates:
    return np.random.default_rng(seed).poisson(mean_per_second * width) / width


def ask(
    state: ForecastState, inputs: ForecastInputs, *, horizon: float, quantiles: tuple[float, ...]
) -> Prediction:
    horizons = np.full(len(inputs.bins.services), horizon)
    return predict(state, inputs=inputs, horizon_seconds=horizons, quantiles=quantiles)


def inputs_at(
    rates: Rates, *, now: int, task: ForecastTask, with_models: bool = True
) -> ForecastInputs:
    end = END + now * task.bin_seconds
    seen = bins_of(rates[:now], width=task.bin_seconds, end=end)
    models = refit(seen, task=task, ahead_seconds=task.horizon_seconds[-1]) if with_models else None
    return ForecastInputs(task=task, bins=seen, models=models)


def walked(
    rates: Rates, *, task: ForecastTask, until: int, with_models: bool = False
) -> ForecastState:
    state = empty_state((CHAT,), task=task)
    for now in range(1, until + 1):
        state = observe(state, inputs=inputs_at(rates, now=now, task=task, with_models=with_models))
    return state


def test_a_new_service_is_learning_and_gets_the_margin_of_random_arrivals_and_more() -> None:
    inputs = ForecastInputs(task=PEAK_TASK, bins=bins_of(np.full(20, 1.0)), models=None)
    found = ask(empty_state((CHAT,), task=PEAK_TASK), inputs, horizon=15.0, quantiles=(0.5, 0.9))
    assert found.is_learning.all()
    assert found.is_known.all()
    assert found.per_second[0, 0] == pytest.approx(1.0, rel=0.01)
    # 60 requests a minute vary by 13 %, and 15 % are unknown: 1 + 1.28 x 0.2
    assert found.per_second[0, 1] == pytest.approx(1.28, abs=0.03)


def test_a_service_that_was_not_measured_is_unknown_not_quiet() -> None:
    bins = bins_of(np.full(130, np.nan), np.full(130, 2.0))
    inputs = ForecastInputs(task=PEAK_TASK, bins=bins, models=None)
    found = ask(empty_state((CHAT, CODE), task=PEAK_TASK), inputs, horizon=60.0, quantiles=(0.9,))
    assert found.is_known.tolist() == [False, True]
    assert found.per_second[0, 0] == 0.0


def test_the_peak_of_random_arrivals_is_covered_nine_times_in_ten() -> None:
    rates = poisson(np.full(900, 2.0), width=15.0)
    smoothed = np.convolve(rates, np.ones(4) / 4, mode="full")[: len(rates)]
    state, hits = empty_state((CHAT,), task=PEAK_TASK), []
    for now in range(1, 880):
        inputs = inputs_at(rates, now=now, task=PEAK_TASK, with_models=False)
        state = observe(state, inputs=inputs)
        if now > 300:
            upper = ask(state, inputs, horizon=120.0, quantiles=(0.9,)).per_second[0, 0]
            hits.append(smoothed[now : now + 8].max() <= upper)
    assert 0.85 <= np.mean(hits) <= 0.95


def test_a_daily_pattern_is_known_six_hours_ahead() -> None:
    wave = 5.0 + 4.0 * np.sin(2 * np.pi * np.arange(4 * DAY_BINS) / DAY_BINS)
    rates = poisson(wave, width=600.0)
    now = 3 * DAY_BINS + 90  # falling; the rise lies ahead
    state = walked(rates, task=COUNT_TASK, until=now, with_models=True)
    inputs = inputs_at(rates, now=now, task=COUNT_TASK)
    found = ask(state, inputs, horizon=21600.0, quantiles=(0.5, 0.9))
    assert found.per_second[0, 0] == pytest.approx(wave[now + 35], rel=0.15)
    assert not found.is_learning.any()


def test_after_a_level_shift_yesterday_loses_its_weight_within_hours() -> None:
    rates = poisson(np.where(np.arange(3 * DAY_BINS) < 2 * DAY_BINS, 5.0, 1.0), width=600.0)
    now = 2 * DAY_BINS + 18
    state = walked(rates, task=COUNT_TASK, until=now, with_models=True)
    found = ask(state, inputs_at(rates, now=now, task=COUNT_TASK), horizon=3600.0, quantiles=(0.5,))
    assert found.per_second[0, 0] == pytest.approx(1.0, rel=0.2)


def test_what_falls_into_an_outage_is_neither_scored_nor_learned() -> None:
    rates = np.full(60, 3.0)
    rates[30:] = np.nan
    before = walked(rates, task=PEAK_TASK, until=30)
    after = walked(rates, task=PEAK_TASK, until=60)
    # the smoothing window stays half measured for two more bins
    assert after.residual_total[0, 0] == before.residual_total[0, 0] + 2
    assert np.nan_to_num(after.residuals).max() < 0.01


def test_missed_promises_end_the_trust_and_the_forecast_is_the_level_of_now() -> None:
    steady = walked(poisson(np.full(300, 2.0), width=15.0), task=PEAK_TASK, until=120)
    broken = replace(
        steady,
        covered=np.full_like(steady.covered, 0.5),
        scored=np.full_like(steady.scored, 60.0),
        residuals=np.full_like(steady.residuals, -2.0),
        residual_total=np.full_like(steady.residual_total, 100),
    )
    inputs = inputs_at(np.full(140, 2.0), now=140, task=PEAK_TASK, with_models=False)
    found = ask(broken, inputs, horizon=60.0, quantiles=(0.5, 0.9))
    assert not found.is_trusted.any()
    assert found.coverage_ratio[0] == 0.5
    assert found.per_second[0, 0] == pytest.approx(2.0, rel=0.01)


def test_observing_the_same_bins_twice_changes_nothing() -> None:
    rates = poisson(np.full(200, 2.0), width=15.0)
    inputs = inputs_at(rates, now=150, task=PEAK_TASK, with_models=False)
    once = observe(walked(rates, task=PEAK_TASK, until=149), inputs=inputs)
    twice = observe(once, inputs=inputs)
    for name, array in once.arrays().items():
        np.testing.assert_array_equal(array, twice.arrays()[name], err_msg=name)


def test_forecasts_made_before_the_clock_went_back_are_dropped() -> None:
    rates = np.full(200, 2.0)
    state = walked(rates, task=PEAK_TASK, until=150)
    back = observe(state, inputs=inputs_at(rates, now=20, task=PEAK_TASK, with_models=False))
    horizon = np.asarray(PEAK_TASK.horizon_seconds)[:, None]
    latest = END + 20 * 15.0
    assert (back.pending_due[np.isfinite(back.pending_due)] <= latest + horizon[-1]).all()
    assert back.residual_total.sum() == state.residual_total.sum()


def test_a_service_that_joins_knows_nothing_and_the_others_keep_what_they_know() -> None:
    known = walked(poisson(np.full(100, 2.0), width=15.0), task=PEAK_TASK, until=90)
    both = aligned_state(known, services=(CODE, CHAT), task=PEAK_TASK)
    assert both.residual_total[0].sum() == 0
    np.testing.assert_array_equal(both.residual_total[1], known.residual_total[0])
    np.testing.assert_array_equal(both.loss[1], known.loss[0])
    again = aligned_state(both, services=(CHAT,), task=PEAK_TASK)
    np.testing.assert_array_equal(again.residuals, known.residuals)


def test_yesterday_is_unknown_where_nothing_was_measured() -> None:
    rates = np.full(2 * DAY_BINS, 2.0)
    rates[DAY_BINS + 6 : DAY_BINS + 18] = np.nan
    models = refit(bins_of(rates, width=600.0), task=COUNT_TASK, ahead_seconds=4 * 3600.0)
    known = models.is_known[list(Curve).index(Curve.YESTERDAY), 0]
    # smoothing reaches one bin into the gap from each side
    assert known[:7].all()
    assert not known[8:17].any()
    assert known[20:].all()


def test_last_week_is_used_once_there_is_one() -> None:
    week = refit(
        bins_of(np.full(8 * DAY_BINS, 2.0), width=600.0), task=COUNT_TASK, ahead_seconds=3600.0
    )
    days = refit(
        bins_of(np.full(6 * DAY_BINS, 2.0), width=600.0), task=COUNT_TASK, ahead_seconds=3600.0
    )
    place = list(Curve).index(Curve.LAST_WEEK)
    assert week.is_known[place].all()
    assert not days.is_known[place].any()
