"""Holt-Winters smoothing with fixed weights, additive in trend and season. Pure.

In: a series, the newest value last, and the length of its season. Out: the next value. The first
states are those statsmodels calls heuristic (Hyndman and others 2008, section 2.6.1).
"""

from dataclasses import dataclass

import numpy as np

from autoscaler.replay.workload import FloatArray

_FIRST_POINTS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Smoothing:
    """Weights of the newest value, each between 0 and 1."""

    level: float
    trend: float
    season: float


def is_enough(points: int, *, season_points: int) -> bool:
    """Two seasons, and enough for a trend through their moving average."""
    return points >= max(2 * season_points, _FIRST_POINTS + 2 * (season_points // 2))


def next_value(series: FloatArray, *, season_points: int, smoothing: Smoothing) -> float:
    """One step ahead. Raises ValueError on a series that is too short."""
    if not is_enough(len(series), season_points=season_points):
        raise ValueError(
            f"{len(series)} points are too few for a season of {season_points}; two seasons are needed"
        )
    level, trend, seasons = _first_states(series, season_points=season_points)
    beta = smoothing.trend
    for place, value in enumerate(series.tolist()):
        at = place % season_points
        before = level + trend
        season = seasons[at]
        new_level = smoothing.level * (value - season) + (1 - smoothing.level) * before
        seasons[at] = smoothing.season * (value - before) + (1 - smoothing.season) * season
        trend = beta * (new_level - level) + (1 - beta) * trend
        level = new_level
    return level + trend + seasons[len(series) % season_points]


def _first_states(series: FloatArray, *, season_points: int) -> tuple[float, float, list[float]]:
    half = season_points // 2
    smooth = _centred_means(series, season_points=season_points)
    seasons = _mean_seasons(series[half : half + len(smooth)] - smooth, season_points, offset=half)
    steps = np.arange(1, _FIRST_POINTS + 1)
    trend, level = np.polyfit(steps, smooth[:_FIRST_POINTS], 1)
    return float(level), float(trend), seasons


def _centred_means(series: FloatArray, *, season_points: int) -> FloatArray:
    weights = np.full(season_points, 1.0 / season_points)
    if season_points % 2 == 0:
        weights = np.convolve(weights, [0.5, 0.5])
    return np.convolve(series, weights, mode="valid")


def _mean_seasons(detrended: FloatArray, season_points: int, *, offset: int) -> list[float]:
    places = (np.arange(len(detrended)) + offset) % season_points
    sums = np.bincount(places, weights=detrended, minlength=season_points)
    means = sums / np.bincount(places, minlength=season_points)
    centred: list[float] = (means - means.mean()).tolist()
    return centred
