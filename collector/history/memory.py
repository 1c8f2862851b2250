"""`HistoryStore` in memory, lost when the process ends.

The finest resolution is a ring of bins; coarser ones, where asked for, are kept as closed bins.
"""

from collections.abc import Sequence

from collector.history.cells import Cells, pasted
from collector.history.layers import LayeredHistory, bins_of
from collector.model.history import Resolution
from collector.model.ids import ServiceName


class MemoryHistoryStore(LayeredHistory):
    """Keeps the last `keep_seconds` in bins of `bin_seconds`, and coarser bins for longer."""

    def __init__(
        self, *, bin_seconds: float, keep_seconds: float, coarser: Sequence[Resolution] = ()
    ) -> None:
        super().__init__(
            finest=Resolution(bin_seconds=bin_seconds, keep_seconds=keep_seconds),
            shelves={resolution: MemoryShelf(resolution) for resolution in coarser},
        )


class MemoryShelf:
    """Closed bins in a dictionary."""

    def __init__(self, resolution: Resolution) -> None:
        self._bin_count = bins_of(resolution)
        self._bins: dict[int, Cells] = {}

    @property
    def newest_bin(self) -> int | None:
        """The latest bin that is kept."""
        return max(self._bins, default=None)

    def put(self, cells: Cells, *, covered_until_seconds: float) -> bool:
        """Keeps the bins that have cover, and drops the oldest ones."""
        for index in range(cells.bin_count):
            one = Cells(
                services=cells.services,
                first_bin=cells.first_bin + index,
                values=cells.values[..., index : index + 1],
            )
            if not one.is_empty:
                self._bins[one.first_bin] = one
        oldest = (self.newest_bin or 0) - self._bin_count + 1
        self._bins = {number: each for number, each in self._bins.items() if number >= oldest}
        return True

    def read(self, *, services: tuple[ServiceName, ...], first_bin: int, bin_count: int) -> Cells:
        """These bins; without cover where nothing is kept."""
        wanted = range(first_bin, first_bin + bin_count)
        pieces = (each for number, each in self._bins.items() if number in wanted)
        return pasted(pieces, services=services, first_bin=first_bin, bin_count=bin_count)

    def forget_after(self, bin_number: int) -> None:
        """Drops every later bin."""
        self._bins = {number: each for number, each in self._bins.items() if number <= bin_number}
