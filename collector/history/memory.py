"""`HistoryStore` in memory: a ring of bins per signal, lost when the process ends.

Bins are aligned to multiples of their length since the epoch, so that a restarted store cuts time
at the same places. The work of one `append` is bounded by the ring, however long the interval.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from collector.model.history import FloatArray, History, Signal, SignalBins
from collector.model.ids import ServiceName

Pairs = Mapping[tuple[Signal, ServiceName], float]
_Slots = npt.NDArray[np.intp]
_SUMS, _MAXIMA, _COVERED = range(3)
_FIRST_ROWS = 8


class MemoryHistoryStore:
    """Keeps the last `keep_seconds` in bins of `bin_seconds`."""

    def __init__(self, *, bin_seconds: float, keep_seconds: float) -> None:
        if bin_seconds <= 0 or keep_seconds < bin_seconds:
            raise ValueError(
                f"0 < bin_seconds <= keep_seconds must hold, got {bin_seconds} and {keep_seconds}"
            )
        self._bin_seconds = bin_seconds
        self._bin_count = math.ceil(keep_seconds / bin_seconds)
        self._rings: dict[Signal, _Ring] = {}
        self._frontier_seconds = -math.inf  # up to here everything was appended
        self._newest_bin: int | None = None  # None: nothing appended yet

    def append(
        self,
        *,
        start_timestamp_seconds: float,
        end_timestamp_seconds: float,
        increases: Pairs,
        levels: Pairs,
    ) -> None:
        """Adds increases and levels over the interval, split over its bins in proportion.

        What was appended already is not covered twice: only the part after it counts. An interval
        that ends more than a bin before it means that the clock was set back; what lies after its
        end has then not happened yet and is forgotten.
        """
        start, end = start_timestamp_seconds, end_timestamp_seconds
        if not (math.isfinite(start) and math.isfinite(end)) or end <= start:
            return
        if end < self._frontier_seconds - self._bin_seconds:
            self._forget_after(end)
            return
        begin = max(start, self._frontier_seconds)
        if end <= begin:
            return
        self._move_to(self._last_touched_bin(end))
        slots, seconds = self._bins_between(begin, end)
        for signal, rows, values in self._by_signal(increases):
            self._ring(signal).add_increases(
                rows=rows, slots=slots, seconds=seconds, increases=values / (end - start)
            )
        for signal, rows, values in self._by_signal(levels):
            self._ring(signal).add_levels(rows=rows, slots=slots, seconds=seconds, levels=values)
        self._frontier_seconds = end

    def history(
        self,
        *,
        services: Sequence[ServiceName],
        window_seconds: float,
        now_timestamp_seconds: float,
    ) -> History:
        """The bins that touch the last `window_seconds`, the open one included, oldest first.

        Bins that were never measured, not measured yet or are no longer kept have no cover.
        """
        last = self._bin_of(now_timestamp_seconds)
        count = max(1, min(math.ceil(window_seconds / self._bin_seconds), self._bin_count))
        numbers = np.arange(last - count + 1, last + 1)
        newest = last - self._bin_count if self._newest_bin is None else self._newest_bin
        is_kept = (numbers <= newest) & (numbers > newest - self._bin_count)
        slots = numbers % self._bin_count
        return History(
            services=tuple(services),
            bin_seconds=self._bin_seconds,
            end_timestamp_seconds=(last + 1) * self._bin_seconds,
            signals={
                signal: self._ring(signal).bins(services=services, slots=slots, is_kept=is_kept)
                for signal in Signal
            },
        )

    def _ring(self, signal: Signal) -> "_Ring":
        if signal not in self._rings:
            self._rings[signal] = _Ring(self._bin_count)
        return self._rings[signal]

    def _bin_of(self, timestamp_seconds: float) -> int:
        return math.floor(timestamp_seconds / self._bin_seconds)

    def _last_touched_bin(self, end_timestamp_seconds: float) -> int:
        """An interval that ends where a bin begins does not reach into it."""
        return math.ceil(end_timestamp_seconds / self._bin_seconds) - 1

    def _by_signal(self, pairs: Pairs) -> list[tuple[Signal, _Slots, FloatArray]]:
        """(signal, rows, values) for every signal that occurs; values that are no number left out."""
        grouped: dict[Signal, tuple[list[int], list[float]]] = {}
        for (signal, service), value in pairs.items():
            if math.isfinite(value):
                rows, values = grouped.setdefault(signal, ([], []))
                rows.append(self._ring(signal).row(service))
                values.append(value)
        return [
            (signal, np.array(rows, dtype=np.intp), np.array(values))
            for signal, (rows, values) in grouped.items()
        ]

    def _bins_between(self, start: float, end: float) -> tuple[_Slots, FloatArray]:
        """(slots, seconds of the interval in each) of all kept bins it touches."""
        last = self._last_touched_bin(end)
        first = max(self._bin_of(start), last - self._bin_count + 1)
        numbers = np.arange(first, last + 1)
        left = np.maximum(numbers * self._bin_seconds, start)
        right = np.minimum((numbers + 1) * self._bin_seconds, end)
        seconds = np.maximum(right - left, 0.0)
        return (numbers % self._bin_count)[seconds > 0], seconds[seconds > 0]

    def _move_to(self, newest: int) -> None:
        """Empties the slots that get a new bin."""
        old = newest - self._bin_count if self._newest_bin is None else self._newest_bin
        steps = min(newest - old, self._bin_count)
        if steps > 0:
            self._clear(np.arange(newest - steps + 1, newest + 1))
            self._newest_bin = newest

    def _forget_after(self, end: float) -> None:
        """Takes `end` as the present; the bin it lies in is kept as it is."""
        newest = self._bin_of(end)
        if self._newest_bin is not None:
            steps = min(self._newest_bin - newest, self._bin_count)
            self._clear(np.arange(self._newest_bin - steps + 1, self._newest_bin + 1))
        self._newest_bin = newest
        self._frontier_seconds = (newest + 1) * self._bin_seconds

    def _clear(self, numbers: _Slots) -> None:
        for ring in self._rings.values():
            ring.clear(numbers % self._bin_count)


class _Ring:
    """All services of one signal. Shape of cells: (sums, maxima, covered) x rows x slots."""

    def __init__(self, bin_count: int) -> None:
        self._rows: dict[ServiceName, int] = {}
        self._cells: FloatArray = np.zeros((3, _FIRST_ROWS, bin_count))

    def row(self, service: ServiceName) -> int:
        """The service's row, made when it is new."""
        row = self._rows.setdefault(service, len(self._rows))
        if row >= self._cells.shape[1]:
            self._cells = np.concatenate([self._cells, np.zeros_like(self._cells)], axis=1)
        return row

    def add_increases(
        self, *, rows: _Slots, slots: _Slots, seconds: FloatArray, increases: FloatArray
    ) -> None:
        """Adds increases per second over the seconds of each slot."""
        parts = increases[:, None] * seconds[None, :]
        self._add(rows=rows, slots=slots, seconds=seconds, sums=parts, maxima=parts)

    def add_levels(
        self, *, rows: _Slots, slots: _Slots, seconds: FloatArray, levels: FloatArray
    ) -> None:
        """Adds levels that held over the seconds of each slot."""
        areas = levels[:, None] * seconds[None, :]
        maxima = np.broadcast_to(levels[:, None], areas.shape)
        self._add(rows=rows, slots=slots, seconds=seconds, sums=areas, maxima=maxima)

    def bins(
        self, *, services: Sequence[ServiceName], slots: _Slots, is_kept: npt.NDArray[np.bool_]
    ) -> SignalBins:
        """The slots of these services as copies; zero and without cover where nothing is kept."""
        found: FloatArray = np.zeros((3, len(services), len(slots)))
        for index, service in enumerate(services):
            row = self._rows.get(service)
            if row is not None:
                found[:, index] = np.where(is_kept, self._cells[:, row, slots], 0.0)
        return SignalBins(sums=found[_SUMS], maxima=found[_MAXIMA], covered_seconds=found[_COVERED])

    def clear(self, slots: _Slots) -> None:
        """Empties these slots."""
        self._cells[:, :, slots] = 0.0

    def _add(
        self,
        *,
        rows: _Slots,
        slots: _Slots,
        seconds: FloatArray,
        sums: FloatArray,
        maxima: FloatArray,
    ) -> None:
        where = np.ix_(rows, slots)
        self._cells[_SUMS][where] += sums
        self._cells[_MAXIMA][where] = np.maximum(self._cells[_MAXIMA][where], maxima)
        self._cells[_COVERED][where] += seconds[None, :]
