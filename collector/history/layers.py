"""Several resolutions over one stream of intervals: a ring of fine bins, and shelves of closed ones.

In: intervals. Out: `History` of any kept resolution. A coarse bin is rolled up from the fine ones when
it closes, and put on its shelf; until then it is rolled up when somebody asks. Where shelves are
kept (memory, files) is the adapter's matter.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

from collector.history.bins import BinRing, Pairs
from collector.history.cells import Cells, pasted, rolled_up
from collector.model.history import History, Resolution
from collector.model.ids import ServiceName


class Shelf(Protocol):
    """Closed bins of one resolution."""

    def put(self, cells: Cells, *, covered_until_seconds: float) -> bool:
        """Keeps these bins, replacing those that are there; False: try again with the next one."""
        ...

    def read(self, *, services: tuple[ServiceName, ...], first_bin: int, bin_count: int) -> Cells:
        """These bins; without cover where nothing is kept."""
        ...

    def forget_after(self, bin_number: int) -> None:
        """Drops every later bin."""
        ...

    @property
    def newest_bin(self) -> int | None:
        """The latest bin that is kept."""
        ...


class LayeredHistory:
    """A `HistoryStore` of one ring and one shelf per coarse resolution. One thread at a time."""

    def __init__(
        self,
        *,
        finest: Resolution,
        shelves: Mapping[Resolution, Shelf],
        fine_shelf: Shelf | None = None,
    ) -> None:
        for resolution in shelves:
            _check_coarse(resolution, finest=finest)
        self._finest = finest
        self._coarse = {
            each: shelves[each] for each in sorted(shelves, key=lambda it: it.bin_seconds)
        }
        self._shelves: dict[Resolution, Shelf] = dict(self._coarse)
        if fine_shelf is not None:
            self._shelves[finest] = fine_shelf
        self.ring = BinRing(finest)
        # {resolution: the last bin that is closed and on the shelf, or empty}
        self._closed: dict[Resolution, int | None] = {
            resolution: shelf.newest_bin for resolution, shelf in self._shelves.items()
        }

    @property
    def resolutions(self) -> tuple[Resolution, ...]:
        """The widths of bins that are kept, finest first."""
        return (self._finest, *self._coarse)

    def append(
        self,
        *,
        start_timestamp_seconds: float,
        end_timestamp_seconds: float,
        increases: Pairs,
        levels: Pairs,
    ) -> None:
        """Adds increases and levels over the interval; see `BinRing.append`."""
        frontier = self.ring.frontier_seconds
        begin = max(start_timestamp_seconds, frontier)
        if math.isfinite(begin) and begin < end_timestamp_seconds < math.inf:
            # What the ring is about to lose must be on the shelves before.
            is_long = end_timestamp_seconds - begin >= self._finest.keep_seconds
            self.shelve(until_seconds=math.inf if is_long else begin)
        self.ring.append(
            start_timestamp_seconds=start_timestamp_seconds,
            end_timestamp_seconds=end_timestamp_seconds,
            increases=increases,
            levels=levels,
        )
        if self.ring.was_set_back:
            self._forget_after(end_timestamp_seconds)
        elif self.ring.frontier_seconds > frontier:
            self.shelve(until_seconds=self.ring.frontier_seconds)

    def move(self, *, by_seconds: float) -> None:
        """See `HistoryStore.move`. Coarse bins that are closed already stay where they are, once."""
        self.ring.move(by_seconds=by_seconds)
        if not math.isfinite(self.ring.frontier_seconds):
            return
        if by_seconds < 0:
            self._forget_after(self.ring.frontier_seconds)
        else:
            self._close_coarse_before(self.ring.frontier_seconds)

    def history(
        self,
        *,
        services: Sequence[ServiceName],
        window_seconds: float,
        now_timestamp_seconds: float,
        bin_seconds: float | None = None,
    ) -> History:
        """The bins that touch the last `window_seconds`, the open one included, oldest first.

        Bins that were never measured, not measured yet or are no longer kept have no cover.
        """
        resolution = chosen(self.resolutions, bin_seconds=bin_seconds)
        last, count = span(
            resolution, window_seconds=window_seconds, now_timestamp_seconds=now_timestamp_seconds
        )
        cells = self._cells(
            resolution, services=tuple(services), first_bin=last - count + 1, bin_count=count
        )
        return History(
            services=tuple(services),
            bin_seconds=resolution.bin_seconds,
            end_timestamp_seconds=(last + 1) * resolution.bin_seconds,
            signals=cells.signals(),
        )

    def shelve(self, *, until_seconds: float) -> None:
        """Puts every bin that ends by then on its shelf; `math.inf`: the open ones as they are."""
        for resolution in self._shelves:
            self._shelve(resolution, until_seconds=until_seconds)

    def shelve_finest(self) -> None:
        """Puts the fine bins on their shelf, the open one as it is now."""
        self._shelve(self._finest, until_seconds=math.inf)

    def reopen_bins(self) -> None:
        """Takes every bin that is not over yet as open, whatever the shelves hold of it."""
        for resolution, closed in self._closed.items():
            over = math.floor(self.ring.frontier_seconds / resolution.bin_seconds) - 1
            self._closed[resolution] = None if closed is None else min(closed, over)

    def _shelve(self, resolution: Resolution, *, until_seconds: float) -> None:
        newest, oldest = self.ring.newest_bin, self.ring.oldest_bin
        if newest is None or oldest is None:
            return
        factor = self._factor(resolution)
        closed = self._closed[resolution]
        first = oldest // factor if closed is None else max(closed + 1, oldest // factor)
        last = newest // factor
        if math.isfinite(until_seconds):
            last = min(last, math.floor(until_seconds / resolution.bin_seconds) - 1)
        if last < first:
            return
        cells = self._from_ring(
            resolution, services=self.ring.services, first_bin=first, bin_count=last - first + 1
        )
        covered_until = min(self.ring.frontier_seconds, (last + 1) * resolution.bin_seconds)
        shelf = self._shelves[resolution]
        if cells.is_empty or shelf.put(cells, covered_until_seconds=covered_until):
            self._closed[resolution] = last

    def _cells(
        self,
        resolution: Resolution,
        *,
        services: tuple[ServiceName, ...],
        first_bin: int,
        bin_count: int,
    ) -> Cells:
        if resolution is self._finest:
            return self.ring.cells(services=services, first_bin=first_bin, bin_count=bin_count)
        closed = self._closed[resolution]
        open_first = first_bin if closed is None else max(first_bin, closed + 1)
        open_count = max(0, first_bin + bin_count - open_first)
        pieces = [
            self._coarse[resolution].read(
                services=services, first_bin=first_bin, bin_count=bin_count - open_count
            ),
            self._from_ring(
                resolution, services=services, first_bin=open_first, bin_count=open_count
            ),
        ]
        newest = self._newest_bin(resolution)
        kept = [
            _without_old(piece, oldest_bin=newest - bins_of(resolution) + 1) for piece in pieces
        ]
        return pasted(kept, services=services, first_bin=first_bin, bin_count=bin_count)

    def _newest_bin(self, resolution: Resolution) -> int:
        in_ring = (self.ring.newest_bin or 0) // self._factor(resolution)
        return max(in_ring, self._closed[resolution] or in_ring)

    def _from_ring(
        self,
        resolution: Resolution,
        *,
        services: tuple[ServiceName, ...],
        first_bin: int,
        bin_count: int,
    ) -> Cells:
        factor = self._factor(resolution)
        fine = self.ring.cells(
            services=services, first_bin=first_bin * factor, bin_count=bin_count * factor
        )
        return rolled_up(fine, factor=factor)

    def _forget_after(self, end_timestamp_seconds: float) -> None:
        """The clock was set back: later bins have not happened, the one it lies in is open again."""
        for resolution, shelf in self._shelves.items():
            present = math.floor(end_timestamp_seconds / resolution.bin_seconds)
            shelf.forget_after(present)
            closed = self._closed[resolution]
            self._closed[resolution] = None if closed is None else min(closed, present - 1)

    def _close_coarse_before(self, now_timestamp_seconds: float) -> None:
        """The clock was set forward: what the ring took along lies on the coarse shelves already."""
        for resolution in self._coarse:
            closed = self._closed[resolution]
            if closed is not None:
                over = math.floor(now_timestamp_seconds / resolution.bin_seconds) - 1
                self._closed[resolution] = max(closed, over)

    def _factor(self, resolution: Resolution) -> int:
        return round(resolution.bin_seconds / self._finest.bin_seconds)


def bins_of(resolution: Resolution) -> int:
    """How many bins are kept."""
    return math.ceil(resolution.keep_seconds / resolution.bin_seconds)


def chosen(resolutions: Sequence[Resolution], *, bin_seconds: float | None) -> Resolution:
    """The resolution with these bins, the first one for None. Raises ValueError for any other."""
    if bin_seconds is None:
        return resolutions[0]
    for resolution in resolutions:
        if resolution.bin_seconds == bin_seconds:
            return resolution
    kept = ", ".join(f"{each.bin_seconds:g}" for each in resolutions)
    raise ValueError(f"bin_seconds must be one of {kept}, got {bin_seconds:g}")


def span(
    resolution: Resolution, *, window_seconds: float, now_timestamp_seconds: float
) -> tuple[int, int]:
    """(last bin, how many bins) of a window that ends now; not more than are kept."""
    last = math.floor(now_timestamp_seconds / resolution.bin_seconds)
    wanted = math.ceil(window_seconds / resolution.bin_seconds)
    return last, max(1, min(wanted, bins_of(resolution)))


def _without_old(cells: Cells, *, oldest_bin: int) -> Cells:
    drop = min(max(0, oldest_bin - cells.first_bin), cells.bin_count)
    return Cells(
        services=cells.services,
        first_bin=cells.first_bin + drop,
        values=cells.values[..., drop:],
    )


def _check_coarse(resolution: Resolution, *, finest: Resolution) -> None:
    factor = resolution.bin_seconds / finest.bin_seconds
    if factor < 2 or factor != round(factor):
        raise ValueError(
            f"a coarse bin must be a whole multiple of the finest, {finest.bin_seconds:g} s, got "
            f"{resolution.bin_seconds:g} s"
        )
    if finest.keep_seconds < 2 * resolution.bin_seconds:
        raise ValueError(
            f"the finest bins must be kept for two coarse ones, {2 * resolution.bin_seconds:g} s, got "
            f"{finest.keep_seconds:g} s"
        )
