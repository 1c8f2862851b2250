"""`HistoryStore` in append-only day files: what a desk has seen survives its controller.

A folder per resolution with a file per day (`day_shelf`). A bin is written when it closes, and the
open one when the store is closed; after SIGKILL the open bin is lost, nothing else. The finest
resolution is also in memory, so that decisions read no files; coarser ones are read when asked for,
which takes up to seconds for a year: ask in a worker thread.
"""

import math
from collections.abc import Sequence
from pathlib import Path

from collector.errors import SourceError
from collector.history.day_shelf import DayShelf, Report
from collector.history.layers import LayeredHistory, bins_of
from collector.model.history import Resolution

MINUTES = Resolution(bin_seconds=60.0, keep_seconds=3 * 86400.0)
FIVE_MINUTES = Resolution(bin_seconds=300.0, keep_seconds=400 * 86400.0)
COARSER = (MINUTES, FIVE_MINUTES)
DEFAULT_MAX_BYTES = 1 << 30


class DayFileHistory(LayeredHistory):
    """The history under one folder, which no other process writes. `close` it at the end."""

    def __init__(
        self,
        folder: Path,
        *,
        finest: Resolution,
        report: Report,
        coarser: Sequence[Resolution] = COARSER,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> None:
        """Opens the files and takes over what they hold. Raises SourceError and ValueError.

        `report` gets one line for each damage that was found and each write that failed.
        """
        self._max_bytes = max_bytes
        self._files = {
            resolution: DayShelf(
                folder=folder / f"{resolution.bin_seconds:g}s",
                resolution=resolution,
                report=report,
            )
            for resolution in (finest, *coarser)
        }
        try:
            frontier = max(0.0, self._files[finest].open())
            for resolution in coarser:
                self._files[resolution].open()
        except OSError as error:
            raise SourceError(f"{folder}: the history cannot be opened: {error}") from error
        super().__init__(
            finest=finest,
            shelves={each: self._files[each] for each in coarser},
            fine_shelf=self._files[finest],
        )
        self._take_over(frontier)

    def close(self) -> None:
        """Writes the open bin."""
        if math.isfinite(self.ring.frontier_seconds):
            self.reopen_bins()
            self.shelve_finest()

    def tidy(self) -> None:
        """Compacts days that are over and drops what is no longer kept or too much.

        Takes up to a second per day that is over; may run in another thread. Raises SourceError.
        """
        try:
            for shelf in self._files.values():
                shelf.tidy()
            self._drop_excess()
        except OSError as error:
            raise SourceError(f"the history cannot be tidied: {error}") from error

    def _take_over(self, frontier_seconds: float) -> None:
        shelf = self._files[self.resolutions[0]]
        if shelf.newest_bin is None:
            return
        count = bins_of(self.resolutions[0])
        cells = shelf.read_all(first_bin=shelf.newest_bin - count + 1, bin_count=count)
        self.ring.restore(cells, frontier_seconds=frontier_seconds)
        self.reopen_bins()

    def _drop_excess(self) -> None:
        """Deletes the oldest days until all files together are small enough; today's are kept."""
        found = [file for shelf in self._files.values() for file in shelf.files()]
        found.sort(key=lambda file: file.day)
        sizes = {file.path: file.path.stat().st_size for file in found}
        excess = sum(sizes.values()) - self._max_bytes
        for file in found:
            if excess <= 0 or file.day == found[-1].day:
                return
            file.path.unlink()
            excess -= sizes[file.path]
