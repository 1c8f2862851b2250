"""A ring of bins per signal: the finest resolution of every history that is written to here.

Intervals in, cells out. Bins are aligned to multiples of their length since the epoch, so that a
restarted store cuts time at the same places. The work of one `append` is bounded by the ring,
however long the interval. Keeps nothing on disk.
"""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from collector.history.cells import COVERED, MAXIMA, PARTS, SIGNALS, SUMS, Cells
from collector.model.history import FloatArray, Resolution, Signal
from collector.model.ids import ServiceName

Pairs = Mapping[tuple[Signal, ServiceName], float]
_Slots = npt.NDArray[np.intp]
_FIRST_ROWS = 8


class BinRing:
    """The newest bins of one resolution."""

    def __init__(self, resolution: Resolution) -> None:
        self.bin_seconds = resolution.bin_seconds
        self.bin_count = math.ceil(resolution.keep_seconds / resolution.bin_seconds)
        self.frontier_seconds = -math.inf  # up to here everything was appended
        self.newest_bin: int | None = None  # None: nothing appended yet
        self.was_set_back = False  # by the last `append`
        self._rings: dict[Signal, _Ring] = {}

    @property
    def services(self) -> tuple[ServiceName, ...]:
        """Every service that has a row, in the order of first sight."""
        return tuple({name: None for ring in self._rings.values() for name in ring.rows})

    @property
    def oldest_bin(self) -> int | None:
        """The oldest bin that is still kept; None while there is none."""
        return None if self.newest_bin is None else self.newest_bin - self.bin_count + 1

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
        self.was_set_back = False
        if not (math.isfinite(start) and math.isfinite(end)) or end <= start:
            return
        if end < self.frontier_seconds - self.bin_seconds:
            self.was_set_back = True
            self.forget_after(end)
            return
        begin = max(start, self.frontier_seconds)
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
        self.frontier_seconds = end

    def move(self, *, by_seconds: float) -> None:
        """Everything lies so much later, or earlier, by whole bins: the clock was set."""
        if self.newest_bin is None or not math.isfinite(by_seconds):
            return
        bins = round(by_seconds / self.bin_seconds)
        for ring in self._rings.values():
            ring.roll(bins % self.bin_count)
        self.newest_bin += bins
        self.frontier_seconds += bins * self.bin_seconds

    def cells(self, *, services: tuple[ServiceName, ...], first_bin: int, bin_count: int) -> Cells:
        """These bins as copies. Never measured, not measured yet or no longer kept: no cover."""
        values = np.zeros((PARTS, len(SIGNALS), len(services), bin_count))
        numbers = np.arange(first_bin, first_bin + bin_count)
        newest = first_bin - 1 if self.newest_bin is None else self.newest_bin
        is_kept = (numbers <= newest) & (numbers > newest - self.bin_count)
        for index, signal in enumerate(SIGNALS):
            if signal in self._rings:
                self._rings[signal].fill(
                    values[:, index],
                    services=services,
                    slots=numbers % self.bin_count,
                    is_kept=is_kept,
                )
        return Cells(services=services, first_bin=first_bin, values=values)

    def restore(self, cells: Cells, *, frontier_seconds: float) -> None:
        """Takes over bins of an earlier run, in any order; those too old for the ring are left out."""
        last = cells.first_bin + cells.bin_count - 1
        self._move_to(last if self.newest_bin is None else max(last, self.newest_bin))
        numbers = np.arange(cells.first_bin, last + 1)
        is_kept = numbers >= (self.oldest_bin or 0)
        slots = (numbers % self.bin_count)[is_kept]
        for index, signal in enumerate(SIGNALS):
            for row, service in enumerate(cells.services):
                found = cells.values[:, index, row][:, is_kept]
                if found[COVERED].any():
                    self._ring(signal).put(service, slots=slots, values=found)
        self.frontier_seconds = max(self.frontier_seconds, frontier_seconds)

    def _ring(self, signal: Signal) -> "_Ring":
        if signal not in self._rings:
            self._rings[signal] = _Ring(self.bin_count)
        return self._rings[signal]

    def bin_of(self, timestamp_seconds: float) -> int:
        """The bin that holds this moment."""
        return math.floor(timestamp_seconds / self.bin_seconds)

    def _last_touched_bin(self, end_timestamp_seconds: float) -> int:
        """An interval that ends where a bin begins does not reach into it."""
        return math.ceil(end_timestamp_seconds / self.bin_seconds) - 1

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
        first = max(self.bin_of(start), last - self.bin_count + 1)
        numbers = np.arange(first, last + 1)
        left = np.maximum(numbers * self.bin_seconds, start)
        right = np.minimum((numbers + 1) * self.bin_seconds, end)
        seconds = np.maximum(right - left, 0.0)
        return (numbers % self.bin_count)[seconds > 0], seconds[seconds > 0]

    def _move_to(self, newest: int) -> None:
        """Empties the slots that get a new bin."""
        old = newest - self.bin_count if self.newest_bin is None else self.newest_bin
        steps = min(newest - old, self.bin_count)
        if steps > 0:
            self._clear(np.arange(newest - steps + 1, newest + 1))
            self.newest_bin = newest

    def forget_after(self, end: float) -> None:
        """Takes `end` as the present; the bin it lies in is kept as it is."""
        newest = self.bin_of(end)
        if self.newest_bin is not None:
            steps = min(self.newest_bin - newest, self.bin_count)
            self._clear(np.arange(self.newest_bin - steps + 1, self.newest_bin + 1))
        self.newest_bin = newest
        self.frontier_seconds = (newest + 1) * self.bin_seconds

    def _clear(self, numbers: _Slots) -> None:
        for ring in self._rings.values():
            ring.clear(numbers % self.bin_count)


class _Ring:
    """All services of one signal. Shape of cells: parts x rows x slots."""

    def __init__(self, bin_count: int) -> None:
        self.rows: dict[ServiceName, int] = {}
        self._cells: FloatArray = np.zeros((PARTS, _FIRST_ROWS, bin_count))

    def row(self, service: ServiceName) -> int:
        """The service's row, made when it is new.

        The room first, then the name: another thread may be reading coarse bins.
        """
        row = self.rows.get(service, len(self.rows))
        if row >= self._cells.shape[1]:
            self._cells = np.concatenate([self._cells, np.zeros_like(self._cells)], axis=1)
        return self.rows.setdefault(service, row)

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

    def fill(
        self,
        target: FloatArray,
        *,
        services: tuple[ServiceName, ...],
        slots: _Slots,
        is_kept: npt.NDArray[np.bool_],
    ) -> None:
        """Writes the kept slots of these services to `target` (parts x services x slots)."""
        for index, service in enumerate(services):
            row = self.rows.get(service)
            if row is not None:
                target[:, index] = np.where(is_kept, self._cells[:, row, slots], 0.0)

    def put(self, service: ServiceName, *, slots: _Slots, values: FloatArray) -> None:
        """Replaces these slots of a service."""
        row = self.row(service)  # first: it may make room
        self._cells[:, row, slots] = values

    def roll(self, slot_count: int) -> None:
        """Every cell goes so many slots on."""
        self._cells = np.roll(self._cells, slot_count, axis=-1)

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
        self._cells[SUMS][where] += sums
        self._cells[MAXIMA][where] = np.maximum(self._cells[MAXIMA][where], maxima)
        self._cells[COVERED][where] += seconds[None, :]
