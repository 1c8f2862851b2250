"""Fits the members that need a long past, for all services at once: curves into the future. Pure.

In: days or weeks of coarse bins. Out: `FittedModels`, which `members` looks up until the next refit.
Runs in a worker process; its result enters a later tick as an event. It must not see anything after
the end of its bins.
"""

from dataclasses import replace

import numpy as np

from autoscaler.forecast.fourier import fourier_curve
from autoscaler.model.forecast_state import (
    BoolArray,
    Curve,
    DemandBins,
    FittedModels,
    ForecastTask,
)
from collector.model.history import MAX_PER_SECOND, FloatArray

DAY_SECONDS = 86400.0
PROFILE_DAYS = 7
PROFILE_FADE_RATIO = 0.7
"""A day counts this much of the day after it: a week of days smooths noise, the last ones lead."""
SMOOTHING = (0.5, 1.0, 0.5)
MIN_KNOWN_RATIO = 0.1
"""Share of the history that must have been measured for a smooth curve through it."""


def refit(history: DemandBins, *, task: ForecastTask, ahead_seconds: float) -> FittedModels:
    """Curves from the end of `history` to `ahead_seconds` after it, in the history's unit.

    A curve is unknown where its past was not measured: before there is a day of it, nearly
    everywhere. STATSMODELS is left free for `with_curve`.
    """
    step = history.bin_seconds
    ahead = int(np.ceil(ahead_seconds / step)) + 1
    unit = history.request_size / step
    logs, known = _known_logs(history, unit=unit)
    day = round(DAY_SECONDS / step)
    curves = {
        Curve.YESTERDAY: seen_before(logs, known=known, ahead=ahead, period=day, cycles=1),
        Curve.PROFILE: seen_before(logs, known=known, ahead=ahead, period=day, cycles=PROFILE_DAYS),
        Curve.LAST_WEEK: seen_before(logs, known=known, ahead=ahead, period=7 * day, cycles=1),
        Curve.FOURIER: _fourier(logs, known=known, ahead=ahead, bin_seconds=step),
        Curve.STATSMODELS: (np.zeros((len(logs), ahead + 1)), np.zeros((len(logs), ahead + 1))),
    }
    return FittedModels(
        services=history.services,
        start_timestamp_seconds=_first_point(history, task=task),
        step_seconds=step,
        per_second=np.stack([np.expm1(curves[each][0]) * unit[:, None] for each in Curve]),
        is_known=np.stack([curves[each][1] > 0 for each in Curve]),
    )


def _fourier(
    logs: FloatArray, *, known: FloatArray, ahead: int, bin_seconds: float
) -> tuple[FloatArray, FloatArray]:
    """(smooth curve within what was ever seen, its weight): none with less than a day of history."""
    if logs.shape[1] * bin_seconds < DAY_SECONDS:
        return np.zeros((len(logs), ahead + 1)), np.zeros((len(logs), ahead + 1))
    smooth = fourier_curve(logs, weights=known, bin_seconds=bin_seconds, ahead=ahead)
    is_fitted = known.mean(axis=1) >= MIN_KNOWN_RATIO
    weight = np.repeat(is_fitted[:, None], ahead + 1, axis=1).astype(np.float64)
    return np.clip(smooth, 0.0, logs.max(axis=1, initial=0.0)[:, None]), weight


def _first_point(history: DemandBins, *, task: ForecastTask) -> float:
    """When a demand smoothed as the task does it has the same centre as the history's last bin."""
    return history.end_timestamp_seconds - (history.bin_seconds - task.smooth_seconds) / 2.0


def _known_logs(history: DemandBins, *, unit: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(log(1 + demand / unit), 1.0 where it is known and 0.0 elsewhere)."""
    rate = history.per_second
    known = (history.covered_seconds > 0) & (rate >= 0) & (rate <= MAX_PER_SECOND)
    return np.log1p(np.where(known, rate, 0.0) / unit[:, None]), known.astype(np.float64)


def seen_before(
    logs: FloatArray, *, known: FloatArray, ahead: int, period: int, cycles: int
) -> tuple[FloatArray, FloatArray]:
    """(faded mean log at the same phase of the last `cycles` periods, its weight).

    Both (n_services, ahead + 1), for the last bin and the `ahead` after it; weight 0 where nothing
    was known. The last bin itself is compared with the period before, as all others are.
    """
    total = np.zeros((logs.shape[0], ahead + 1))
    weight = np.zeros_like(total)
    steps = np.arange(ahead + 1)
    lag = period * np.maximum(1, np.ceil(steps / period)).astype(np.int64)
    for cycle in range(cycles):
        for offset, share in zip((-1, 0, 1), SMOOTHING, strict=True):
            index = logs.shape[1] - 1 + steps - lag - cycle * period + offset
            usable = np.flatnonzero((index >= 0) & (index < logs.shape[1]))
            part = known[:, index[usable]] * share * PROFILE_FADE_RATIO**cycle
            total[:, usable] += logs[:, index[usable]] * part
            weight[:, usable] += part
    return total / np.where(weight > 0, weight, 1.0), weight


def with_curve(
    models: FittedModels, *, curve: Curve, per_second: FloatArray, is_known: BoolArray
) -> FittedModels:
    """The models with one curve put in; both of shape (n_services, n_points)."""
    place = list(Curve).index(curve)
    curves, known = models.per_second.copy(), models.is_known.copy()
    curves[place], known[place] = np.where(is_known, per_second, 0.0), is_known
    return replace(models, per_second=curves, is_known=known)
