"""How well demand would have been forecast: a walk through a recorded series, and its table. Pure.

In: demand per ten minutes of some services, with what was measured. Out: per service and horizon the
error of the median, pinball losses and coverage, beside the two naive forecasts. It asks the same
forecaster as the controller, bin by bin, and shows it nothing that came later.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from autoscaler.forecast.forecaster import observe, predict
from autoscaler.forecast.refit import refit
from autoscaler.forecast.rows import empty_state
from autoscaler.forecast.tasks import COUNT_TASK
from autoscaler.model.forecast_state import BoolArray, DemandBins, ForecastInputs, ForecastState
from collector.model.history import FloatArray
from collector.model.ids import ServiceName

BIN_SECONDS = COUNT_TASK.bin_seconds
BINS_PER_DAY = 144
HORIZON_SECONDS = (600.0, 3600.0, 21600.0, 86400.0)
QUANTILES = (0.5, 0.9)
HISTORY_BINS = 14 * BINS_PER_DAY
BUSY_COUNT = 50.0
"""A service with so many requests per bin is not without any by chance: such a bin is an outage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CountSeries:
    """Demand of some services over the same ten-minute bins. Shapes (n_services, n_bins)."""

    services: tuple[ServiceName, ...]
    counts: FloatArray  # requests, or any unit of demand
    is_measured: BoolArray
    request_size: FloatArray  # (n_services,) demand of one request in the unit of `counts`


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastScore:
    """One service at one horizon, over the bins with demand from the second day on."""

    service: ServiceName
    horizon_seconds: float
    scored_bins: int
    left_out_ratio: float  # of the bins from the second day on: without demand, or not measured
    wape_ratio: float  # sum of absolute errors of the median / sum of demand
    last_value_wape_ratio: float
    yesterday_wape_ratio: float
    pinball_median: float  # mean, in requests per bin
    pinball_p90: float
    p90_coverage_ratio: float

    @property
    def better_naive_wape_ratio(self) -> float:
        """The error of the better of the two naive forecasts."""
        return min(self.last_value_wape_ratio, self.yesterday_wape_ratio)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastWalk:
    """What was forecast for each bin, shapes (n_horizons, n_services, n_bins); NaN: nothing."""

    median: FloatArray
    upper: FloatArray


def score_forecasts(
    series: CountSeries, *, on_progress: Callable[[float], None] | None = None
) -> tuple[ForecastScore, ...]:
    """Scores by service and horizon. Needs two days; horizons longer than the series are left out.

    `on_progress` gets the share done, 0..1. Raises ValueError for a series under two days.
    """
    bins = series.counts.shape[1]
    if bins < 2 * BINS_PER_DAY:
        raise ValueError(
            f"the series has {bins / BINS_PER_DAY:.1f} days, a forecast is scored from the second "
            "day on and needs 2; give a longer one"
        )
    walk = _walk(series, on_progress=on_progress)
    return tuple(
        _score(series, walk=walk, row=row, place=place)
        for row in range(len(series.services))
        for place in range(len(HORIZON_SECONDS))
    )


def without_outages(counts: FloatArray) -> BoolArray:
    """Which bins of a record without cover were measured, as far as can be told, by the past alone.

    A bin without demand in a service that had more than BUSY_COUNT per bin on the day before is an
    outage; the bin after an outage is only part covered.
    """
    is_measured = np.ones(counts.shape, dtype=bool)
    for row, values in enumerate(counts):
        for place in range(1, len(values)):
            day = values[max(0, place - BINS_PER_DAY) : place]
            seen = day[is_measured[row, max(0, place - BINS_PER_DAY) : place]]
            is_busy = seen.size > 0 and seen.mean() > BUSY_COUNT
            after_outage = not is_measured[row, place - 1] and values[place - 1] == 0
            is_measured[row, place] = not (is_busy and (values[place] == 0 or after_outage))
    return is_measured


def table_rows(scores: Sequence[ForecastScore]) -> Iterator[tuple[str, ...]]:
    """The scores as cells, first the heading."""
    yield (
        "service",
        "ahead",
        "WAPE",
        "last value",
        "day ago",
        "pinball P50",
        "pinball P90",
        "P90 held",
        "left out",
    )
    for each in scores:
        yield (
            each.service,
            _span(each.horizon_seconds),
            f"{each.wape_ratio:.3f}",
            f"{each.last_value_wape_ratio:.3f}",
            f"{each.yesterday_wape_ratio:.3f}",
            f"{each.pinball_median:.4g}",
            f"{each.pinball_p90:.4g}",
            f"{100 * each.p90_coverage_ratio:.1f} %",
            f"{100 * each.left_out_ratio:.1f} %",
        )


EXPLAINED = (
    "WAPE: error of the median over the demand, then that of the last value and of the same time a day ago; "
    "pinball: loss in requests per bin of ten minutes; P90 held: how often demand stayed below the upper "
    "quantile, 90 % is right; left out: bins without demand or not measured"
)
"""What the columns mean."""


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _walk(series: CountSeries, *, on_progress: Callable[[float], None] | None) -> ForecastWalk:
    services, bins = series.counts.shape
    shape = (len(HORIZON_SECONDS), services, bins)
    walk = ForecastWalk(median=np.full(shape, np.nan), upper=np.full(shape, np.nan))
    state = empty_state(series.services, task=COUNT_TASK)
    for now in range(1, bins):
        state = _step(series, state=state, now=now, walk=walk)
        if on_progress is not None:
            on_progress(now / (bins - 1))
    return walk


def _step(
    series: CountSeries, *, state: ForecastState, now: int, walk: ForecastWalk
) -> ForecastState:
    """Forecasts what follows the first `now` bins into `walk` and returns the state after them."""
    look_back = round(COUNT_TASK.look_back_seconds / BIN_SECONDS) + 1
    models = refit(
        _bins(series, begin=max(0, now - HISTORY_BINS), end=now),
        task=COUNT_TASK,
        ahead_seconds=HORIZON_SECONDS[-1],
    )
    recent = _bins(series, begin=max(0, now - look_back), end=now)
    inputs = ForecastInputs(task=COUNT_TASK, bins=recent, models=models)
    state = observe(state, inputs=inputs)
    for place, horizon in enumerate(HORIZON_SECONDS):
        target = now + round(horizon / BIN_SECONDS) - 1
        if target < series.counts.shape[1]:
            found = predict(
                state,
                inputs=inputs,
                horizon_seconds=np.full(len(series.services), horizon),
                quantiles=QUANTILES,
            )
            counts = np.where(found.is_known[:, None], found.per_second * BIN_SECONDS, np.nan)
            walk.median[place, :, target], walk.upper[place, :, target] = counts.T
    return state


def _bins(series: CountSeries, *, begin: int, end: int) -> DemandBins:
    """Bins without demand are given as not measured: the question is how much comes when some does."""
    counts = series.counts[:, begin:end]
    is_known = series.is_measured[:, begin:end] & (counts > 0)
    return DemandBins(
        services=series.services,
        bin_seconds=BIN_SECONDS,
        end_timestamp_seconds=end * BIN_SECONDS,
        per_second=np.where(is_known, counts, 0.0) / BIN_SECONDS,
        covered_seconds=np.where(is_known, BIN_SECONDS, 0.0),
        request_size=series.request_size,
    )


def _score(series: CountSeries, *, walk: ForecastWalk, row: int, place: int) -> ForecastScore:
    counts = series.counts[row]
    ahead = round(HORIZON_SECONDS[place] / BIN_SECONDS)
    median, upper = walk.median[place, row], walk.upper[place, row]
    is_scored = series.is_measured[row] & (counts > 0) & ~np.isnan(median)
    is_scored[:BINS_PER_DAY] = False
    came = counts[is_scored]
    return ForecastScore(
        service=series.services[row],
        horizon_seconds=HORIZON_SECONDS[place],
        scored_bins=len(came),
        left_out_ratio=1.0 - len(came) / (len(counts) - BINS_PER_DAY),
        wape_ratio=_wape(median[is_scored], came=came),
        last_value_wape_ratio=_wape(_shifted(counts, by=ahead)[is_scored], came=came),
        yesterday_wape_ratio=_wape(_shifted(counts, by=BINS_PER_DAY)[is_scored], came=came),
        pinball_median=_pinball(median[is_scored], came=came, quantile=0.5),
        pinball_p90=_pinball(upper[is_scored], came=came, quantile=0.9),
        p90_coverage_ratio=float((came <= upper[is_scored]).mean()) if len(came) else float("nan"),
    )


def _shifted(counts: FloatArray, *, by: int) -> FloatArray:
    """Naive forecasts: the value `by` bins before."""
    return np.concatenate([np.zeros(by), counts[:-by]])


def _wape(forecast: FloatArray, *, came: FloatArray) -> float:
    return float(np.abs(forecast - came).sum() / came.sum()) if len(came) else float("nan")


def _pinball(forecast: FloatArray, *, came: FloatArray, quantile: float) -> float:
    over = came - forecast
    losses = np.maximum(quantile * over, (quantile - 1.0) * over)
    return float(losses.mean()) if len(came) else float("nan")
