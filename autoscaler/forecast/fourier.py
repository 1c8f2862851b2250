"""A smooth daily (and weekly) curve for every service in one solve. Pure.

In: log demand with its cover over days. Out: the fitted curve at later bins. Used by `refit` only.
Ridge regression on sines and cosines: the design matrix is shared, the weights differ per service,
so the normal equations of all of them are two matrix products and one batched solve.
"""

import numpy as np

from collector.model.history import FloatArray

DAY_SECONDS = 86400.0
WEEK_SECONDS = 7 * DAY_SECONDS
DAILY_WAVES = 5
"""Down to about five hours: shorter features are left to the profile."""
WEEKLY_WAVES = 3
MIN_WEEKS = 2.0
FADE_HALF_LIFE_SECONDS = WEEK_SECONDS
PENALTY_RATIO = 0.002
"""Of the data's weight, times the square of the wave number: fast waves need more evidence."""
CHUNK_SERVICES = 500
"""Bounds the memory of the solve."""


def fourier_curve(
    logs: FloatArray, *, weights: FloatArray, bin_seconds: float, ahead: int
) -> FloatArray:
    """The fitted log demand at the last bin and the `ahead` bins after it; (n_services, ahead + 1).

    `weights`, (n_services, n_bins): 0 where nothing is known. Phases are relative to the last bin.
    """
    count = logs.shape[1]
    seconds = np.arange(1 - count, ahead + 1) * bin_seconds
    design, waves = _design(seconds, history_seconds=count * bin_seconds)
    fade = 0.5 ** (-seconds[:count] / FADE_HALF_LIFE_SECONDS)
    result = np.empty((logs.shape[0], ahead + 1))
    for begin in range(0, logs.shape[0], CHUNK_SERVICES):
        rows = slice(begin, begin + CHUNK_SERVICES)
        solved = _solve(design[:count], waves=waves, logs=logs[rows], weights=weights[rows] * fade)
        result[rows] = solved @ design[count - 1 :].T
    return result


def _design(seconds: FloatArray, *, history_seconds: float) -> tuple[FloatArray, FloatArray]:
    """(columns of ones, sines and cosines, wave number of each column)."""
    columns, waves = [np.ones_like(seconds)], [0.0]
    periods = [(DAY_SECONDS / wave, float(wave)) for wave in range(1, DAILY_WAVES + 1)]
    if history_seconds >= MIN_WEEKS * WEEK_SECONDS:
        periods += [(WEEK_SECONDS / wave, wave / 7.0) for wave in range(1, WEEKLY_WAVES + 1)]
    for period_seconds, wave in periods:
        angle = 2.0 * np.pi * seconds / period_seconds
        columns += [np.sin(angle), np.cos(angle)]
        waves += [wave, wave]
    return np.stack(columns, axis=1), np.asarray(waves)


def _solve(
    design: FloatArray, *, waves: FloatArray, logs: FloatArray, weights: FloatArray
) -> FloatArray:
    """Coefficients, (n_services, n_columns)."""
    columns = design.shape[1]
    left, right = np.triu_indices(columns)
    gram = np.empty((logs.shape[0], columns, columns))
    gram[:, left, right] = weights @ (design[:, left] * design[:, right])
    gram[:, right, left] = gram[:, left, right]
    total = weights.sum(axis=1)
    penalty = PENALTY_RATIO * np.maximum(total, 1e-9)[:, None] * waves**2 + 1e-9
    gram[:, np.arange(columns), np.arange(columns)] += penalty
    target = (weights * logs) @ design
    return np.asarray(np.linalg.solve(gram, target[..., None])[..., 0])
