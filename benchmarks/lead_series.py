"""Demand over days, for bench_lead_forecast: read from traces, or made up to have known habits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pyarrow import parquet

from autoscaler.forecast.demand import OUTPUT_WEIGHT
from autoscaler.model.demand import DemandSeries
from foresail.backtest.forecast_only import BUSY_COUNT

Floats = npt.NDArray[np.float64]

SEED = 7
BIN_SECONDS = 15.0
HOUR_BINS, DAY_BINS = 240, 5760
TEN_MINUTES_BINS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Sums over the bins before each index, so that any window is two look-ups. Shapes (n_bins + 1,)."""

    work: Floats  # rate x seconds
    covered: Floats

    def means(self, begin: npt.NDArray[np.int64], end: npt.NDArray[np.int64]) -> Floats:
        """Mean work of the bins begin..end - 1 that were measured; NaN where none was."""
        last = len(self.work) - 1
        low, high = np.clip(begin, 0, last), np.clip(end, 0, last)
        seconds = self.covered[high] - self.covered[low]
        sums = self.work[high] - self.work[low]
        return np.divide(sums, seconds, out=np.full(len(sums), np.nan), where=seconds > 0)

    def demand(self, begin: int, end: int) -> DemandSeries:
        """The bins begin..end - 1 as `decide` has them; all of it prompt tokens."""
        seconds = np.diff(self.covered[begin : end + 1])
        sums = np.diff(self.work[begin : end + 1])
        rates = np.divide(sums, seconds, out=np.zeros(len(sums)), where=seconds > 0)
        return DemandSeries(
            bin_seconds=BIN_SECONDS,
            requests_per_second=rates,
            prompt_tokens_per_second=rates,
            output_tokens_per_second=np.zeros(len(rates)),
            covered_seconds=seconds,
            work=rates,
        )


def _series(work: Floats) -> Series:
    """Work per bin, all of it measured."""
    return Series(
        work=np.concatenate([np.zeros(1), np.cumsum(work)]),
        covered=np.arange(len(work) + 1) * BIN_SECONDS,
    )


def bursts_at_any_time() -> Series:
    """Eight days with three times the demand for ten minutes at the same 24 times of day."""
    generator = np.random.default_rng(SEED)
    rate = np.full(DAY_BINS, 20.0)
    for begin in generator.integers(0, DAY_BINS - TEN_MINUTES_BINS, 24):
        rate[begin : begin + TEN_MINUTES_BINS] = 60.0
    return _series(generator.poisson(np.tile(rate, 8)) * BIN_SECONDS)


def working_hours() -> Series:
    """Sixteen days from a Monday: a swell by day, slow drift, arrivals more uneven than chance, prompts of
    any length; on working days two to four times as much for ten minutes from each full hour of 8 to 17,
    by a fifth more or less from day to day."""
    generator, days = np.random.default_rng(SEED), 16
    seconds = np.arange(days * DAY_BINS) * BIN_SECONDS
    day, second_of_day = np.divmod(seconds, 86_400.0)
    hour = (second_of_day // 3600.0).astype(np.int64)
    swell = 8.0 * (1.0 + 0.5 * np.sin(2.0 * np.pi * (second_of_day / 86_400.0 - 0.3)))
    drift = np.exp(0.3 * np.repeat(np.cumsum(generator.normal(0.0, 0.02, len(day) // 20)), 20))
    is_burst = (day % 7 < 5) & (hour >= 8) & (hour <= 17) & (seconds % 3600.0 < 600.0)
    size = generator.uniform(2.0, 4.0, 24) * generator.uniform(0.8, 1.2, (days, 24))
    factor = np.where(is_burst, size[day.astype(np.int64), hour], 1.0)
    uneven = generator.gamma(20.0, 1.0 / 20.0, len(day))
    requests = generator.poisson(swell * drift * factor * uneven * BIN_SECONDS)
    shape = np.maximum(0.8 * requests, 1e-9)
    return _series(np.where(requests > 0, generator.gamma(shape, 1000.0), 0.0))


MADE_UP: Mapping[str, Callable[[], Series]] = {
    "bursts at the full hours of working days": working_hours,
    "the same bursts every day, at any time": bursts_at_any_time,
}


def read_series(path: Path) -> Series:
    """Work per bin: prompt tokens, and output tokens of the mean length as `decide` weighs them."""
    columns = parquet.read_table(path, columns=["arrival_s", "prompt_tokens", "output_tokens"])
    arrival, prompt, output = (columns[name].to_numpy() for name in columns.column_names)
    bins = int(arrival[-1] // BIN_SECONDS) + 1
    weights = prompt + OUTPUT_WEIGHT * output.mean()
    place = (arrival // BIN_SECONDS).astype(np.int64)
    work = np.bincount(place, weights=weights, minlength=bins)
    covered = np.where(is_measured(np.bincount(place, minlength=bins)), BIN_SECONDS, 0.0)
    before = np.zeros(1)
    return Series(
        work=np.concatenate([before, np.cumsum(work * (covered > 0))]),
        covered=np.concatenate([before, np.cumsum(covered)]),
    )


def is_measured(requests: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """False in stretches of ten minutes and more without a request, in services as busy as that they
    are not by chance (`foresail.backtest.forecast_only`)."""
    measured = np.ones(len(requests), dtype=bool)
    busy = np.flatnonzero(np.concatenate([[1], requests, [1]]))
    for begin, end in pairwise(busy):
        day = requests[max(0, begin - DAY_BINS) : begin]
        is_busy = day.size > 0 and day.mean() * TEN_MINUTES_BINS > BUSY_COUNT
        if is_busy and end - begin > TEN_MINUTES_BINS:
            measured[begin : end - 1] = False
    return measured
