"""Level plus damped upward slope: the maximum demand within the horizon. Pure.

A first member: it sees the last minutes only. A forecast may raise capacity, never force it down, so
a falling slope counts as level.
"""

import numpy as np

from autoscaler.model.demand import DemandSeries, Rates
from collector.model.history import FloatArray

SLOPE_DAMPING_RATIO = 0.5
"""Share of the fitted slope that is believed: a ramp seen so far goes on half as steeply."""


def level(series: DemandSeries, *, window_seconds: float) -> Rates | None:
    """Mean demand of the last `window_seconds`; None when nothing in it was measured."""
    count = _bins(series, window_seconds)
    covered = series.covered_seconds[-count:]
    if covered.sum() <= 0:
        return None
    return Rates(
        requests_per_second=_mean(series.requests_per_second[-count:], covered),
        prompt_tokens_per_second=_mean(series.prompt_tokens_per_second[-count:], covered),
        output_tokens_per_second=_mean(series.output_tokens_per_second[-count:], covered),
    )


def growth_ratio(
    series: DemandSeries, *, now: Rates, slope_window_seconds: float, horizon_seconds: float
) -> float:
    """How many times `now` the demand may reach within the horizon by trend alone; at least 1.

    Least squares on prompt + output tokens per second, weighted by cover; looks ahead at most half
    of what it looked back.
    """
    count = _bins(series, slope_window_seconds)
    covered = series.covered_seconds[-count:]
    if now.tokens_per_second <= 0 or (covered > 0).sum() < 3:
        return 1.0
    tokens = (series.prompt_tokens_per_second + series.output_tokens_per_second)[-count:]
    ahead_seconds = min(horizon_seconds, slope_window_seconds / 2)
    slope = _weighted_slope(tokens, weights=covered) / series.bin_seconds
    return 1.0 + max(0.0, slope) * SLOPE_DAMPING_RATIO * ahead_seconds / now.tokens_per_second


def smoothed_peak(
    tokens_per_second: FloatArray, covered_seconds: FloatArray, *, bins: int
) -> float | None:
    """The highest mean over `bins` neighbouring covered bins; None when none is covered."""
    if not covered_seconds.any():
        return None
    kernel = np.ones(max(1, min(bins, len(covered_seconds))))
    sums = np.convolve(tokens_per_second * covered_seconds, kernel, mode="valid")
    seconds = np.convolve(covered_seconds, kernel, mode="valid")
    means = np.divide(sums, seconds, out=np.zeros_like(sums), where=seconds > 0)
    return float(means.max())


def _bins(series: DemandSeries, window_seconds: float) -> int:
    return max(1, round(window_seconds / series.bin_seconds))


def _mean(values: FloatArray, weights: FloatArray) -> float:
    return float((values * weights).sum() / weights.sum())


def _weighted_slope(values: FloatArray, *, weights: FloatArray) -> float:
    positions = np.arange(len(values), dtype=np.float64)
    center = (positions * weights).sum() / weights.sum()
    spread = (weights * (positions - center) ** 2).sum()
    mean = (values * weights).sum() / weights.sum()
    return (
        float((weights * (positions - center) * (values - mean)).sum() / spread) if spread else 0.0
    )
