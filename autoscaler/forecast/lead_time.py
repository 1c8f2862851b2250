"""The demand forecast for the end of a lead time, with its spread, and the lesson of past ones. Pure.

In: a service's demand series, what its fit has learned, the horizon. Out: a `Forecast` for `assess`;
in `observe`, the fit after the newest closed bin. A forecast made a lead time ago needs not be kept:
the bins it was made from are in the history, so it is made again and compared with what came.
"""

import math
from dataclasses import replace
from typing import Final

from autoscaler.forecast.day_profile import change_ratio
from autoscaler.forecast.gaps import bridged
from autoscaler.forecast.level import level
from autoscaler.forecast.multiscale import (
    ANCHOR,
    learn_row,
    point,
    scale_means,
    window_bins,
    with_change,
)
from autoscaler.model.demand import DemandSeries, Forecast, scenario_deviates
from autoscaler.model.state import DayProfile, ScaleFit
from collector.model.catalogue import Control
from collector.model.history import FloatArray

SCENARIOS: Final = 5
FLOOR_RATIO: Final = 0.02
"""Of the anchor, added to both sides of an error: next to nothing against nothing is no error."""
ERROR_HALF_LIFE_ROWS: Final = 2880.0
"""Half a day of rows of 15 s. A spread of the last hour alone falls in a quiet one, and the burst that
ends it finds no margin; replayed on recorded traffic that costs 2 to 3 % at equal attainment."""
FULLY_KNOWN_ROWS: Final = 240.0
MIN_ERROR_ROWS: Final = 40.0
PRIOR_SIGMA: Final = 0.25
"""Spread of the logarithm until enough errors were seen: recorded traffic at two minutes' lead."""
P90_RATIO: Final = 0.9
P90_DEVIATES: Final = 1.2816
SPREAD_STEP: Final = 0.003
"""Change of the spread's logarithm per row: errors that are not normal, or not what they were, move it
until nine in ten are covered. Source: Gibbs and Candes, adaptive conformal inference (2021)."""
ROUNDING: Final = 1e-9
MAX_SPREAD_FACTOR: Final = 2.0
MAX_SIGMA: Final = 0.6
"""A spread above this would be a guess about another service, not about this one."""
FIRST_FACTOR: Final = 1.5
MAX_FACTOR: Final = 3.0
ROWS_PER_SOLUTION: Final = 20
MIN_TARGET_COVER_RATIO: Final = 0.9
MAX_HORIZON_LEVELS: Final = 15.0
LONGEST_LEVELS: Final = 45.0


def look_back_seconds(control: Control) -> float:
    """How much history a forecast and its lesson need."""
    return (LONGEST_LEVELS + MAX_HORIZON_LEVELS + 2.0) * control.level_window_seconds


def forecast_at_lead(
    series: DemandSeries,
    *,
    fit: ScaleFit,
    control: Control,
    horizon_seconds: float,
    end_timestamp_seconds: float,
) -> Forecast | None:
    """The demand `horizon_seconds` from now; None when nothing was measured lately.

    `end_timestamp_seconds`: of the series' last, open bin.
    """
    now = level(series, window_seconds=control.level_window_seconds)
    bins = _bins(series, control=control)
    whole = bridged(series)
    means = scale_means(whole.work, whole.covered_seconds, bins=bins)
    if now is None or means is None:
        return None
    anchor = level(whole, window_seconds=bins[ANCHOR] * series.bin_seconds) or now
    mean, sigma = _spread(fit, requests=now.requests_per_second * control.level_window_seconds)
    limit = _largest_factor(fit)
    factors = (min(limit, math.exp(mean + sigma * each)) for each in scenario_deviates(SCENARIOS))
    change = change_ratio(
        fit.day_profile,
        asked_timestamp_seconds=end_timestamp_seconds,
        horizon_seconds=horizon_seconds,
        control=control,
    )
    made = point(fit, with_change(means, change))
    ahead = made / float(means[ANCHOR]) if means[ANCHOR] > 0 else 1.0
    return Forecast(
        level=now,
        peak=anchor.scaled(ahead),
        scenario_factors=tuple(factors),
        horizon_seconds=horizon_seconds,
    )


def learn_from(
    fit: ScaleFit,
    *,
    series: DemandSeries,
    control: Control,
    horizon_seconds: float,
    end_timestamp_seconds: float,
) -> ScaleFit:
    """The fit after the newest closed bin; unchanged if it was there at the last look.

    `end_timestamp_seconds`: of the series' last, open bin. Time that was not measured teaches nothing.
    """
    closed = end_timestamp_seconds - series.bin_seconds
    if fit.last_timestamp_seconds is not None and closed <= fit.last_timestamp_seconds:
        late = closed < fit.last_timestamp_seconds - series.bin_seconds
        return replace(fit, last_timestamp_seconds=closed) if late else fit  # the clock went back
    row = _row(
        series,
        profile=fit.day_profile,
        control=control,
        horizon_seconds=horizon_seconds,
        closed_timestamp_seconds=closed,
    )
    if row is None:
        return replace(fit, last_timestamp_seconds=closed)
    columns, came = row
    fit = _with_error(fit, columns=columns, came=came, closed_timestamp_seconds=closed)
    is_solved = fit.rows_total % ROWS_PER_SOLUTION == 0
    return learn_row(fit, columns=columns, came=came, is_solved=is_solved)


def _row(
    series: DemandSeries,
    *,
    profile: DayProfile,
    control: Control,
    horizon_seconds: float,
    closed_timestamp_seconds: float,
) -> tuple[FloatArray, float] | None:
    """(columns when it was asked, what came); None where too little of either was measured."""
    work, covered = series.work[:-1], series.covered_seconds[:-1]
    target = max(1, round(control.level_window_seconds / series.bin_seconds))
    ahead = max(1, round(horizon_seconds / series.bin_seconds))
    asked = len(work) - target - ahead
    seconds = covered[-target:]
    if asked < 1 or seconds.sum() < MIN_TARGET_COVER_RATIO * target * series.bin_seconds:
        return None
    means = scale_means(work[:asked], covered[:asked], bins=_bins(series, control=control))
    if means is None or means[ANCHOR] <= 0:
        return None
    change = change_ratio(
        profile,
        asked_timestamp_seconds=closed_timestamp_seconds - (target + ahead) * series.bin_seconds,
        horizon_seconds=ahead * series.bin_seconds,
        control=control,
    )
    came = float((work[-target:] * seconds).sum() / seconds.sum())
    return with_change(means, change), came


def _with_error(
    fit: ScaleFit, *, columns: FloatArray, came: float, closed_timestamp_seconds: float
) -> ScaleFit:
    floor = FLOOR_RATIO * float(columns[ANCHOR])
    error = math.log((came + floor) / (point(fit, columns) + floor))
    keep = 0.5 ** (1.0 / ERROR_HALF_LIFE_ROWS)
    mean, sigma = _spread(fit, requests=math.inf)
    is_covered = error <= mean + P90_DEVIATES * sigma + ROUNDING
    step = SPREAD_STEP * (P90_RATIO - 1.0 if is_covered else P90_RATIO)
    factor = fit.spread_factor * math.exp(step) if fit.error_rows >= MIN_ERROR_ROWS else 1.0
    return replace(
        fit,
        covered_rows=keep * fit.covered_rows + is_covered,
        spread_factor=min(MAX_SPREAD_FACTOR, max(1.0 / MAX_SPREAD_FACTOR, factor)),
        rows_total=fit.rows_total + 1,
        error_rows=keep * fit.error_rows + 1.0,
        error_sum=keep * fit.error_sum + error,
        error_square_sum=keep * fit.error_square_sum + error * error,
        last_timestamp_seconds=closed_timestamp_seconds,
    )


def _spread(fit: ScaleFit, *, requests: float) -> tuple[float, float]:
    """(mean, standard deviation) of the logarithm of what comes over what was forecast.

    `requests` is how many arrivals the present level was taken from: with few errors seen, the least
    that arrivals vary.
    """
    if fit.error_rows < MIN_ERROR_ROWS:
        return 0.0, min(MAX_SIGMA, math.hypot(PRIOR_SIGMA, 1.0 / math.sqrt(max(1.0, requests))))
    mean = fit.error_sum / fit.error_rows
    variance = max(0.0, fit.error_square_sum / fit.error_rows - mean * mean)
    return mean, min(MAX_SIGMA, fit.spread_factor * math.sqrt(variance))


def coverage_ratio(fit: ScaleFit) -> float | None:
    """Share of outcomes at or under their P90, old ones fading; None while too few were seen."""
    return fit.covered_rows / fit.error_rows if fit.error_rows >= MIN_ERROR_ROWS else None


def _largest_factor(fit: ScaleFit) -> float:
    """What a first hour's surprises may multiply a forecast by is less than a known service's."""
    known = min(1.0, fit.error_rows / FULLY_KNOWN_ROWS)
    return FIRST_FACTOR + (MAX_FACTOR - FIRST_FACTOR) * known


def _bins(series: DemandSeries, *, control: Control) -> tuple[int, ...]:
    return window_bins(
        level_window_seconds=control.level_window_seconds, bin_seconds=series.bin_seconds
    )
