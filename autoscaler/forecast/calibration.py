"""How wrong past forecasts were, turned into scenarios for the next one. Pure.

The sample of actual/forecast ratios is used as it is (split conformal: its quantiles are the
quantiles of the next error if errors keep their habits). With too few of them, arrivals are taken as
Poisson, which is the least that real arrivals vary.
"""

from dataclasses import replace

import numpy as np

from autoscaler.forecast.level_slope import growth_ratio, level, smoothed_peak
from autoscaler.model.demand import DemandSeries, Forecast, Rates
from autoscaler.model.state import MAX_SAMPLES, PastForecast, ServiceState, bounded
from collector.model.catalogue import Control

MIN_RATIOS = 20
SCENARIO_QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)
NORMAL_QUANTILES = (-1.282, -0.524, 0.0, 0.524, 1.282)
"""Standard normal deviates of SCENARIO_QUANTILES."""
MAX_FACTOR = 3.0
"""A margin above this would be a guess about another service, not about this one."""
MAX_RATIO = 1e6
"""Keeps the error of a forecast of next to nothing a number."""
SMOOTHING_RATIO = 0.25
"""Peaks are means over this share of the level window: shorter bursts are a queue, not a demand."""


def forecast_peak(
    series: DemandSeries, *, control: Control, horizon_seconds: float, ratios: tuple[float, ...]
) -> Forecast | None:
    """Scenarios of the maximum demand within the horizon; None when nothing was measured lately."""
    now = level(series, window_seconds=control.level_window_seconds)
    if now is None:
        return None
    growth = growth_ratio(
        series,
        now=now,
        slope_window_seconds=control.slope_window_seconds,
        horizon_seconds=horizon_seconds,
    )
    return Forecast(
        level=now,
        peak=now.scaled(growth),
        scenario_factors=scenario_factors(
            ratios, requests=now.requests_per_second * control.level_window_seconds
        ),
        horizon_seconds=horizon_seconds,
    )


def scenario_factors(ratios: tuple[float, ...], *, requests: float) -> tuple[float, ...]:
    """Rising factors on the point forecast, one per SCENARIO_QUANTILES.

    `requests` is how many arrivals the level was taken from.
    """
    if len(ratios) >= MIN_RATIOS:
        factors = np.quantile(np.asarray(ratios), SCENARIO_QUANTILES)
    else:
        factors = 1.0 + np.asarray(NORMAL_QUANTILES) / np.sqrt(max(1.0, requests))
    return tuple(float(factor) for factor in np.clip(factors, 0.0, MAX_FACTOR))


def remember_forecast(
    state: ServiceState, *, peak: Rates, now_timestamp_seconds: float, horizon_seconds: float
) -> ServiceState:
    """The state with this forecast waiting to be scored."""
    past = PastForecast(
        made_timestamp_seconds=now_timestamp_seconds,
        due_timestamp_seconds=now_timestamp_seconds + horizon_seconds,
        tokens_per_second=peak.tokens_per_second,
    )
    return replace(state, pending_forecasts=(*state.pending_forecasts, past)[-MAX_SAMPLES:])


def score_forecasts(
    state: ServiceState, *, series: DemandSeries, control: Control, now_timestamp_seconds: float
) -> ServiceState:
    """The state with every forecast that is due compared with what came and taken off the list.

    A forecast of nothing, or one whose window was not measured, is dropped without a score.
    """
    now = now_timestamp_seconds
    due = [f for f in state.pending_forecasts if f.due_timestamp_seconds <= now]
    ratios = state.forecast_ratios
    for past in due:
        actual = _actual_peak(past, series=series, control=control, now=now)
        if actual is not None and past.tokens_per_second > 0:
            ratios = bounded(ratios, min(actual / past.tokens_per_second, MAX_RATIO))
    waiting = tuple(f for f in state.pending_forecasts if f.due_timestamp_seconds > now)
    return replace(state, pending_forecasts=waiting, forecast_ratios=ratios)


def _actual_peak(
    past: PastForecast, *, series: DemandSeries, control: Control, now: float
) -> float | None:
    age = round((now - past.made_timestamp_seconds) / series.bin_seconds)
    length = max(
        1, round((past.due_timestamp_seconds - past.made_timestamp_seconds) / series.bin_seconds)
    )
    tokens = series.prompt_tokens_per_second + series.output_tokens_per_second
    start = max(0, len(tokens) - max(age, 1))
    bins = max(1, round(SMOOTHING_RATIO * control.level_window_seconds / series.bin_seconds))
    return smoothed_peak(
        tokens[start : start + length], series.covered_seconds[start : start + length], bins=bins
    )
