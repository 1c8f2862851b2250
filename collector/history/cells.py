"""A rectangle of bins, all signals at once: what the parts of a history hand to one another.

Shape of the values: (sums, maxima, covered seconds) x signals x services x bins. Pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from collector.model.history import FloatArray, Signal, SignalBins
from collector.model.ids import ServiceName

PARTS = 3
SUMS, MAXIMA, COVERED = range(PARTS)
SIGNALS = tuple(Signal)
"""The order of the signals in `values`; files name them, because it may grow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Bins `first_bin` up to `first_bin + bin_count - 1`; bin n begins n bin widths after the epoch."""

    services: tuple[ServiceName, ...]
    first_bin: int
    values: FloatArray  # (PARTS, len(SIGNALS), len(services), bin_count)

    @property
    def bin_count(self) -> int:
        """How many bins there are."""
        return int(self.values.shape[3])

    @property
    def is_empty(self) -> bool:
        """Whether nothing was measured in any of them."""
        return not bool(self.values[COVERED].any())

    def signals(self) -> dict[Signal, SignalBins]:
        """The same values, by signal."""
        return {
            signal: SignalBins(
                sums=self.values[SUMS, index],
                maxima=self.values[MAXIMA, index],
                covered_seconds=self.values[COVERED, index],
            )
            for index, signal in enumerate(SIGNALS)
        }


def rolled_up(cells: Cells, *, factor: int) -> Cells:
    """Bins `factor` times as wide; the cells must begin and end where wide ones do.

    Sums and cover add up, of maxima the largest stays.
    """
    shape = (*cells.values.shape[:3], cells.bin_count // factor, factor)
    parts = cells.values.reshape(shape)
    values = parts.sum(axis=4)
    values[MAXIMA] = parts[MAXIMA].max(axis=3)
    return Cells(services=cells.services, first_bin=cells.first_bin // factor, values=values)


def pasted(
    pieces: Iterable[Cells], *, services: tuple[ServiceName, ...], first_bin: int, bin_count: int
) -> Cells:
    """One rectangle of these services and bins; where pieces overlap, the later one counts.

    A bin of a piece replaces the whole bin, for all services; bins without cover replace nothing.
    """
    values = np.zeros((PARTS, len(SIGNALS), len(services), bin_count))
    for piece in pieces:
        _paste(piece, onto=values, services=services, first_bin=first_bin)
    return Cells(services=services, first_bin=first_bin, values=values)


def _paste(
    piece: Cells, *, onto: FloatArray, services: tuple[ServiceName, ...], first_bin: int
) -> None:
    begin = max(piece.first_bin, first_bin)
    end = min(piece.first_bin + piece.bin_count, first_bin + onto.shape[3])
    if begin >= end:
        return
    found = piece.values[..., begin - piece.first_bin : end - piece.first_bin]
    is_told = found[COVERED].any(axis=(0, 1))
    target = onto[..., begin - first_bin : end - first_bin]
    target[..., is_told] = 0.0
    rows = {name: row for row, name in enumerate(piece.services)}
    for index, service in enumerate(services):
        if service in rows:
            target[:, :, index, is_told] = found[:, :, rows[service]][..., is_told]
