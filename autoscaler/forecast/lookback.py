"""The recent past of all services, prepared once per tick for everything that looks at it. Pure.

In: `DemandBins`. Out: a `Lookback`: smoothed demand on a log scale with running sums, so that any
window is one difference. First step of `observe` and `predict`. It must not fill gaps: a moment
that was not measured stays unknown.
"""

from dataclasses import dataclass

import numpy as np

from autoscaler.model.forecast_state import BoolArray, DemandBins, ForecastTask
from collector.model.history import MAX_PER_SECOND, FloatArray

MIN_COVER_RATIO = 0.5
"""A smoothed value needs at least half of its window measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookback:
    """Demand of the last bins. Shapes (n_services, n_bins) where nothing else is said."""

    logs: FloatArray  # log(1 + smoothed demand / unit); 0 where unknown
    is_known: BoolArray
    sums: FloatArray  # (n_services, n_bins + 1) running sum of logs
    counts: FloatArray  # (n_services, n_bins + 1) running count of known bins
    unit: FloatArray  # (n_services,) one request per smoothing window, in demand per second
    end_timestamp_seconds: float
    bin_seconds: float


def look_back(bins: DemandBins, *, task: ForecastTask) -> Lookback:
    """The last `task.look_back_seconds` of the bins, smoothed. Not finite or negative is unknown."""
    keep = max(1, round(task.look_back_seconds / bins.bin_seconds))
    rate, covered = bins.per_second[:, -keep:], bins.covered_seconds[:, -keep:]
    is_measured = (covered > 0) & (rate >= 0) & (rate <= MAX_PER_SECOND)
    covered = np.where(is_measured, covered, 0.0)
    window = max(1, round(task.smooth_seconds / bins.bin_seconds))
    amount = _window_sums(np.where(is_measured, rate, 0.0) * covered, width=window)
    seconds = _window_sums(covered, width=window)
    is_known = seconds >= MIN_COVER_RATIO * window * bins.bin_seconds
    unit = bins.request_size / max(task.smooth_seconds, bins.bin_seconds)
    smoothed = amount / np.where(is_known, seconds, 1.0)
    logs = np.where(is_known, np.log1p(np.maximum(smoothed, 0.0) / unit[:, None]), 0.0)
    return Lookback(
        logs=logs,
        is_known=is_known,
        sums=_running_sum(logs),
        counts=_running_sum(is_known.astype(np.float64)),
        unit=unit,
        end_timestamp_seconds=bins.end_timestamp_seconds,
        bin_seconds=bins.bin_seconds,
    )


def window_mean(look: Lookback, *, bins: int) -> tuple[FloatArray, BoolArray]:
    """(mean log over the last `bins`, whether any of them is known); both (n_services,)."""
    count = min(bins, look.logs.shape[1])
    known = look.counts[:, -1] - look.counts[:, -1 - count]
    total = look.sums[:, -1] - look.sums[:, -1 - count]
    return total / np.maximum(known, 1.0), known > 0


def _window_sums(values: FloatArray, *, width: int) -> FloatArray:
    """Sum of each value and the `width - 1` before it; shorter at the beginning."""
    if width == 1:
        return values
    sums = np.add.accumulate(values, axis=1)
    result = sums.copy()
    result[:, width:] -= sums[:, :-width]
    return result


def _running_sum(values: FloatArray) -> FloatArray:
    sums = np.zeros((values.shape[0], values.shape[1] + 1))
    np.add.accumulate(values, axis=1, out=sums[:, 1:])
    return sums
