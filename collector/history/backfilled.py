"""`HistoryStore` in memory whose past, from before this process, comes out of Prometheus.

What is appended is kept as in `memory`; where nothing was appended, bins are those that `backfill`
read. So decisions never wait for Prometheus, and look further back than the controller's start.
Coarser bins are asked of Prometheus each time, which blocks: ask for them in a worker thread.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from collector.history.cells import MAXIMA, SIGNALS, Cells
from collector.history.layers import chosen
from collector.history.memory import MemoryHistoryStore
from collector.history.prometheus import GatewayScrapes, PrometheusHistory
from collector.model.catalogue import Catalogue
from collector.model.history import FloatArray, History, Resolution, Signal, SignalBins
from collector.model.ids import ServiceName
from collector.ports import RangeReader

CHUNK_SECONDS: Final = 3600.0
"""Read at once, all signals and services: more is an answer of tens of megabytes in a fleet."""

LEVELS: Final = frozenset({Signal.PENDING_REQUESTS})
LEVEL_ROWS: Final = [row for row, signal in enumerate(SIGNALS) if signal in LEVELS]

MIN_SCRAPES_PER_BIN: Final = 2  # `increase` needs two
MIN_COVER_RATIO: Final = 0.75
"""Of a bin of the past that counts, and then as whole; scrapes are never quite regular."""


class BackfilledHistory:
    """The history of a controller beside a Prometheus that scrapes its gateway."""

    def __init__(
        self,
        reader: RangeReader,
        *,
        resolutions: Sequence[Resolution],
        scraped: GatewayScrapes,
        catalogue: Callable[[], Catalogue],
        report: Callable[[str], None],
    ) -> None:
        """Of the coarser `resolutions` those remain whose bins hold two scrapes.

        `report` gets a line for what coarse bins could not be asked. Raises ValueError.
        """
        finest, *coarser = resolutions
        self._finest = finest
        self._live = _memory(finest)
        self._past: MemoryHistoryStore | None = None
        self._errors: list[str] = []
        shortest = MIN_SCRAPES_PER_BIN * scraped.interval_seconds
        self._factor = math.ceil(shortest / finest.bin_seconds)
        self._scraped_bins = PrometheusHistory(
            reader,
            resolutions=(_times(finest, factor=self._factor),),
            scraped=scraped,
            catalogue=catalogue,
            report=self._errors.append,
        )
        self._coarse = PrometheusHistory(
            reader,
            resolutions=[
                each
                for each in coarser
                if each.bin_seconds >= max(shortest, finest.bin_seconds + 1)
            ],
            scraped=scraped,
            catalogue=catalogue,
            report=report,
        )

    @property
    def resolutions(self) -> tuple[Resolution, ...]:
        """The widths of bins that may be asked for, finest first."""
        return (self._finest, *self._coarse.resolutions)

    def append(
        self,
        *,
        start_timestamp_seconds: float,
        end_timestamp_seconds: float,
        increases: Mapping[tuple[Signal, ServiceName], float],
        levels: Mapping[tuple[Signal, ServiceName], float],
    ) -> None:
        """Adds increases and levels over the interval; see `BinRing.append`."""
        self._live.append(
            start_timestamp_seconds=start_timestamp_seconds,
            end_timestamp_seconds=end_timestamp_seconds,
            increases=increases,
            levels=levels,
        )

    def move(self, *, by_seconds: float) -> None:
        """Of what was appended; Prometheus has a clock of its own."""
        self._live.move(by_seconds=by_seconds)

    def history(
        self,
        *,
        services: Sequence[ServiceName],
        window_seconds: float,
        now_timestamp_seconds: float,
        bin_seconds: float | None = None,
    ) -> History:
        """The bins that touch the last `window_seconds`; what was appended wins over what was read."""
        resolution = chosen(self.resolutions, bin_seconds=bin_seconds)
        stores = (self._live, self._past) if resolution is self._finest else (self._coarse,)
        found = [
            store.history(
                services=services,
                window_seconds=window_seconds,
                now_timestamp_seconds=now_timestamp_seconds,
                bin_seconds=bin_seconds,
            )
            for store in stores
            if store is not None
        ]
        return found[0] if len(found) == 1 else _joined(found[0], past=found[1])

    def backfill(
        self, *, services: Sequence[ServiceName], now_timestamp_seconds: float
    ) -> tuple[str, ...]:
        """Reads the past of these services, newest first; what stopped it, a line each.

        Blocks; one call at a time, in a worker thread. What was read until it was stopped counts,
        unless an earlier call has read more.
        """
        self._errors.clear()
        past, end = _memory(self._finest), now_timestamp_seconds
        (resolution,) = self._scraped_bins.resolutions
        chunk = resolution.bin_seconds * max(1, round(CHUNK_SECONDS / resolution.bin_seconds))
        while end > now_timestamp_seconds - self._finest.keep_seconds and not self._errors:
            piece = self._scraped_bins.history(
                services=services, window_seconds=chunk, now_timestamp_seconds=end
            )
            past.ring.restore(fine_cells(piece, factor=self._factor), frontier_seconds=end)
            end -= chunk
        if not self._errors or self._past is None:
            self._past = past
        return tuple(dict.fromkeys(self._errors))


def _memory(finest: Resolution) -> MemoryHistoryStore:
    return MemoryHistoryStore(bin_seconds=finest.bin_seconds, keep_seconds=finest.keep_seconds)


def _times(resolution: Resolution, *, factor: int) -> Resolution:
    width = resolution.bin_seconds * factor
    return Resolution(bin_seconds=width, keep_seconds=max(width, resolution.keep_seconds))


def _joined(live: History, *, past: History) -> History:
    """The same bins; those without cover in `live` are those of `past`."""
    signals = {}
    for signal, bins in live.signals.items():
        other, is_told = past.signals[signal], bins.covered_seconds > 0
        signals[signal] = SignalBins(
            sums=np.where(is_told, bins.sums, other.sums),
            maxima=np.where(is_told, bins.maxima, other.maxima),
            covered_seconds=np.where(is_told, bins.covered_seconds, other.covered_seconds),
        )
    return History(
        services=live.services,
        bin_seconds=live.bin_seconds,
        end_timestamp_seconds=live.end_timestamp_seconds,
        signals=signals,
    )


def fine_cells(read: History, *, factor: int) -> Cells:
    """Each bin cut into `factor` equal ones; bins that were not scraped throughout have no cover."""
    parts = [
        _cut(read.signals[signal], is_level=signal in LEVELS, bin_seconds=read.bin_seconds)
        for signal in SIGNALS
    ]
    values = np.repeat(np.stack(parts, axis=1) / factor, factor, axis=3)
    values[MAXIMA, LEVEL_ROWS] *= factor  # a level is as high in each part
    last = round(read.end_timestamp_seconds / read.bin_seconds) * factor
    return Cells(services=read.services, first_bin=last - values.shape[3], values=values)


def _cut(bins: SignalBins, *, is_level: bool, bin_seconds: float) -> FloatArray:
    """(PARTS, n_services, n_bins), bins taken as whole or not at all."""
    covered = bins.covered_seconds
    is_whole = covered >= MIN_COVER_RATIO * bin_seconds
    scale = np.where(is_whole & is_level, bin_seconds / np.maximum(covered, 1e-9), 1.0)
    parts = np.stack([bins.sums * scale, bins.maxima, np.full_like(covered, bin_seconds)])
    return np.where(is_whole, parts, 0.0)
