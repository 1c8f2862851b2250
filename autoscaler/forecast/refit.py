"""Fits the members that need a long past, for all services at once: curves into the future. Pure.

In: days or weeks of coarse bins. Out: `FittedModels`, which `members` looks up until the next refit.
Runs in a worker process; its result enters a later tick as an event. It must not see anything after
the end of its bins.
"""

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
"""Share of a curve's points that must come from data; the others are filled from the next wider one."""


def refit(history: DemandBins, *, task: ForecastTask, ahead_seconds: float) -> FittedModels:
    """Curves from the end of `history` to `ahead_seconds` after it, in the history's unit.

    A curve is not available for a service without what it needs: a day for the daily ones, a week
    for last week's. STATSMODELS is left free for `with_curve`.
    """
    step = history.bin_seconds
    ahead = int(np.ceil(ahead_seconds / step)) + 1
    unit = history.request_size / step
    logs, known = _known_logs(history, unit=unit)
    curves = np.zeros((len(Curve), logs.shape[0], ahead + 1))
    available = np.zeros((len(Curve), logs.shape[0]), dtype=bool)
    day = round(DAY_SECONDS / step)
    usual = (logs * known).sum(axis=1) / np.maximum(known.sum(axis=1), 1.0)
    profile, profile_weight = _seen_before(
        logs, known=known, ahead=ahead, period=day, cycles=PROFILE_DAYS
    )
    profile = np.where(profile_weight > 0, profile, usual[:, None])
    for curve, period in ((Curve.YESTERDAY, day), (Curve.LAST_WEEK, 7 * day)):
        seen, weight = _seen_before(logs, known=known, ahead=ahead, period=period, cycles=1)
        place = list(Curve).index(curve)
        curves[place] = np.where(weight > 0, seen, profile)
        available[place] = (weight > 0).mean(axis=1) >= MIN_KNOWN_RATIO
    curves[list(Curve).index(Curve.PROFILE)] = profile
    available[list(Curve).index(Curve.PROFILE)] = (profile_weight > 0).mean(axis=1) >= MIN_KNOWN_RATIO
    if logs.shape[1] >= day:
        place = list(Curve).index(Curve.FOURIER)
        smooth = fourier_curve(logs, weights=known, bin_seconds=step, ahead=ahead)
        curves[place] = np.clip(smooth, 0.0, logs.max(axis=1, initial=0.0)[:, None])
        available[place] = known.sum(axis=1) >= MIN_KNOWN_RATIO * day
    return FittedModels(
        services=history.services,
        start_timestamp_seconds=_first_point(history, task=task),
        step_seconds=step,
        per_second=np.expm1(curves) * unit[:, None],
        is_available=available,
    )


def _first_point(history: DemandBins, *, task: ForecastTask) -> float:
    """When a demand smoothed as the task does it has the same centre as the history's last bin."""
    return history.end_timestamp_seconds - (history.bin_seconds - task.smooth_seconds) / 2.0


def _known_logs(history: DemandBins, *, unit: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(log(1 + demand / unit), 1.0 where it is known and 0.0 elsewhere)."""
    rate = history.per_second
    known = (history.covered_seconds > 0) & (rate >= 0) & (rate <= MAX_PER_SECOND)
    return np.log1p(np.where(known, rate, 0.0) / unit[:, None]), known.astype(np.float64)


def _seen_before(
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
    models: FittedModels, *, curve: Curve, per_second: FloatArray, is_available: BoolArray
) -> FittedModels:
    """The models with one curve put in. Shapes (n_services, n_points) and (n_services,)."""
    place = list(Curve).index(curve)
    curves, available = models.per_second.copy(), models.is_available.copy()
    curves[place], available[place] = np.maximum(per_second, 0.0), is_available
    return FittedModels(
        services=models.services,
        start_timestamp_seconds=models.start_timestamp_seconds,
        step_seconds=models.step_seconds,
        per_second=curves,
        is_available=available,
    )
