"""The day files of one resolution: `YYYY-MM-DD.bins` in one folder, a record per closed bin.

In: cells of closed bins. Out: cells, and one-line messages about damage. A day that is over is
compacted to one block, and deleted when it is no longer kept. Every change is an append or a
replacement of a whole file, so that a process killed anywhere leaves a readable folder.
"""

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from collector.errors import PayloadError
from collector.history.blocks import Block, packed_block, unpacked_block
from collector.history.cells import Cells, pasted
from collector.history.layers import bins_of
from collector.history.records import (
    append_record,
    cut_tail,
    replace_records,
    scan_records,
    sync_folder,
)
from collector.model.history import Resolution
from collector.model.ids import ServiceName

DAY_SECONDS = 86400.0
_NAME = re.compile(r"\d{4}-\d\d-\d\d")
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayFile:
    """One file that is there."""

    day: int  # days since the epoch
    path: Path


class DayShelf:
    """Closed bins of one resolution on disk. Compaction may run in another thread."""

    def __init__(self, *, folder: Path, resolution: Resolution, report: Report) -> None:
        if DAY_SECONDS % resolution.bin_seconds:
            raise ValueError(
                f"a day must be a whole number of bins, got bins of {resolution.bin_seconds:g} s"
            )
        self._folder = folder
        self._resolution = resolution
        self._report = report
        self._bins_per_day = round(DAY_SECONDS / resolution.bin_seconds)
        self._lock = threading.Lock()  # compaction replaces what `put` appends to
        self._newest: int | None = None
        self._compacted: set[Path] = set()
        self._is_failing = False  # the last write failed

    @property
    def newest_bin(self) -> int | None:
        """The latest bin that is kept."""
        return self._newest

    def open(self) -> float:
        """Looks through the newest day and cuts what a killed write left behind.

        Returns up to when everything is covered, -inf when nothing is there. Raises OSError.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        for leftover in self._folder.glob("*.unfinished"):
            leftover.unlink()
        for file in sorted(self.files(), key=lambda it: -it.day):
            self._mend(file)
            blocks = list(self._blocks(file, is_told=False))
            if blocks:
                self._newest = max(_last_bin(block.cells) for block in blocks)
                return blocks[-1].covered_until_seconds
        return float("-inf")

    def files(self) -> tuple[DayFile, ...]:
        """Every day that is there, oldest first."""
        found = [
            DayFile(day=day, path=path)
            for path in self._folder.glob("*.bins")
            if (day := _day_of(path.stem)) is not None
        ]
        return tuple(sorted(found, key=lambda it: it.day))

    def put(self, cells: Cells, *, covered_until_seconds: float) -> bool:
        """Appends these bins to the files of their days.

        False when the disk fails, which is reported once: nothing is lost if it recovers in time.
        """
        with self._lock:
            try:
                for day, part in self._by_day(cells):
                    self._append(part, day=day, covered_until_seconds=covered_until_seconds)
            except OSError as error:
                if not self._is_failing:
                    self._report(f"{self._folder}: history is in memory only for now: {error}")
                self._is_failing = True
                return False
            self._is_failing = False
            return True

    def read(self, *, services: tuple[ServiceName, ...], first_bin: int, bin_count: int) -> Cells:
        """These bins; without cover where nothing is kept or can be read."""
        days = range(
            first_bin // self._bins_per_day, (first_bin + bin_count - 1) // self._bins_per_day + 1
        )
        pieces = (
            block.cells
            for file in (self.files() if bin_count else ())
            if file.day in days
            for block in self._blocks(file, is_told=False)
        )
        return pasted(pieces, services=services, first_bin=first_bin, bin_count=bin_count)

    def read_all(self, *, first_bin: int, bin_count: int) -> Cells:
        """The same for every service that occurs."""
        days = (first_bin // self._bins_per_day, (first_bin + bin_count - 1) // self._bins_per_day)
        blocks = [
            block.cells
            for file in self.files()
            if days[0] <= file.day <= days[1]
            for block in self._blocks(file, is_told=True)
        ]
        services = tuple({name: None for each in blocks for name in each.services})
        return pasted(blocks, services=services, first_bin=first_bin, bin_count=bin_count)

    def forget_after(self, bin_number: int) -> None:
        """Drops every later bin, newest day first. A failing disk is reported, not raised."""
        with self._lock:
            try:
                for file in reversed(self.files()):
                    if file.day * self._bins_per_day > bin_number:
                        file.path.unlink()
                    elif (file.day + 1) * self._bins_per_day - 1 > bin_number:
                        _replace(file.path, self._one_block(file, last_bin=bin_number))
                sync_folder(self._folder)
            except OSError as error:
                self._report(f"{self._folder}: the future cannot be forgotten: {error}")
            self._newest = None if self._newest is None else min(self._newest, bin_number)

    def tidy(self) -> None:
        """Deletes days that are no longer kept and compacts those that are over. Raises OSError."""
        if self._newest is None:
            return
        today = self._newest // self._bins_per_day
        oldest = (self._newest - bins_of(self._resolution) + 1) // self._bins_per_day
        for file in self.files():
            if file.day < oldest:
                with self._lock:
                    file.path.unlink()
            elif file.day < today and file.path not in self._compacted:
                self._compact(file)

    def _append(self, cells: Cells, *, day: int, covered_until_seconds: float) -> None:
        end = (_last_bin(cells) + 1) * self._resolution.bin_seconds
        block = Block(cells=cells, covered_until_seconds=min(covered_until_seconds, end))
        path = self._path(day)
        append_record(path, packed_block(block))
        self._compacted.discard(path)
        self._newest = max(_last_bin(cells), self._newest or _last_bin(cells))

    def _compact(self, file: DayFile) -> None:
        """A day that is over becomes one block; a file that is one already is left alone.

        The work is done without the lock, because `put` is called by the control loop.
        """
        content = file.path.read_bytes()
        scan = scan_records(content)
        is_one = len(scan.payloads) <= 1 and not (scan.damaged_bytes or scan.cut_bytes)
        last_bin = (file.day + 1) * self._bins_per_day - 1
        payload = None if is_one else self._one_block(file, last_bin=last_bin)
        with self._lock:
            if file.path.stat().st_size != len(content):
                return  # a late bin came in; the next time
            if not is_one:
                _replace(file.path, payload)
            self._compacted.add(file.path)

    def _one_block(self, file: DayFile, *, last_bin: int) -> bytes | None:
        """All bins of the file up to this one as one payload; None when there are none."""
        blocks = list(self._blocks(file, is_told=True))
        first = file.day * self._bins_per_day
        services = tuple({name: None for each in blocks for name in each.cells.services})
        cells = pasted(
            (each.cells for each in blocks),
            services=services,
            first_bin=first,
            bin_count=last_bin - first + 1,
        )
        if cells.is_empty:
            return None
        end = (last_bin + 1) * self._resolution.bin_seconds
        until = min(blocks[-1].covered_until_seconds, end)
        return packed_block(Block(cells=_trimmed(cells), covered_until_seconds=until))

    def _mend(self, file: DayFile) -> None:
        scan = scan_records(file.path.read_bytes())
        if not scan.is_ours:
            aside = file.path.with_suffix(".damaged")
            file.path.replace(aside)
            self._report(
                f"{file.path} is no history of this format; it was set aside as {aside.name}"
            )
        elif scan.cut_bytes:
            keep = max(scan.sound_bytes, 0)
            cut_tail(file.path, sound_bytes=keep)
            self._report(f"{file.path}: a cut write of {scan.cut_bytes} bytes was dropped")

    def _blocks(self, file: DayFile, *, is_told: bool) -> Iterator[Block]:
        """The readable blocks of a file, oldest first."""
        try:
            scan = scan_records(file.path.read_bytes())
        except OSError as error:
            self._report(f"{file.path} cannot be read: {error}")
            return
        if is_told and scan.damaged_bytes:
            self._report(f"{file.path}: {scan.damaged_bytes} damaged bytes were left out")
        for payload in scan.payloads:
            try:
                yield unpacked_block(payload)
            except PayloadError as error:
                self._report(f"{file.path}: {error}")

    def _by_day(self, cells: Cells) -> Iterator[tuple[int, Cells]]:
        """The cells cut at midnight; days without cover left out."""
        first, last = cells.first_bin, _last_bin(cells)
        for day in range(first // self._bins_per_day, last // self._bins_per_day + 1):
            begin = max(first, day * self._bins_per_day) - first
            end = min(last + 1, (day + 1) * self._bins_per_day) - first
            part = Cells(
                services=cells.services,
                first_bin=first + begin,
                values=cells.values[..., begin:end],
            )
            if not part.is_empty:
                yield day, _trimmed(part)

    def _path(self, day: int) -> Path:
        name = datetime.fromtimestamp(day * DAY_SECONDS, tz=UTC).strftime("%Y-%m-%d")
        return self._folder / f"{name}.bins"


def _replace(path: Path, payload: bytes | None) -> None:
    if payload is None:
        path.unlink()
    else:
        replace_records(path, [payload])


def _day_of(name: str) -> int | None:
    """Days since the epoch; None for another name."""
    if not _NAME.fullmatch(name):
        return None
    try:
        moment = datetime.strptime(name, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return round(moment.timestamp() / DAY_SECONDS)


def _last_bin(cells: Cells) -> int:
    return cells.first_bin + cells.bin_count - 1


def _trimmed(cells: Cells) -> Cells:
    """Without the bins at both ends that nobody measured."""
    told = np.flatnonzero(cells.values.any(axis=(0, 1, 2)))
    if not len(told):
        return cells
    begin, end = int(told[0]), int(told[-1]) + 1
    return Cells(
        services=cells.services,
        first_bin=cells.first_bin + begin,
        values=cells.values[..., begin:end],
    )
