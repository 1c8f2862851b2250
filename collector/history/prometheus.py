"""`HistoryStore` over a Prometheus that scrapes the gateways: read-only, for a fleet.

One aggregated range query per signal for all services; `append` does nothing, because Prometheus
scrapes by itself. What a query cannot tell has no cover, and why is reported. Every `history` asks
anew and blocks: call it in a worker thread.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from collector.history.cells import COVERED, MAXIMA, PARTS, SIGNALS, SUMS, Cells
from collector.history.layers import chosen, span
from collector.history.promql import Expression, SignalQueries
from collector.model.catalogue import Catalogue
from collector.model.history import FloatArray, History, Resolution, Signal
from collector.model.ids import ServiceName
from collector.ports import RangeReader

SERVICE_LABEL = "service"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayScrapes:
    """How Prometheus scrapes the gateways, and what it is asked for."""

    interval_seconds: float
    match: Mapping[str, str] = field(default_factory=dict)  # labels of the gateways' series
    signals: Collection[Signal] = SIGNALS  # others are not asked for, and have no cover


class PrometheusHistory:
    """The bins of what Prometheus has, as wide as asked for."""

    def __init__(
        self,
        reader: RangeReader,
        *,
        resolutions: Sequence[Resolution],
        scraped: "GatewayScrapes",
        catalogue: Callable[[], Catalogue],
        report: Callable[[str], None],
    ) -> None:
        """`report` gets a line for what could not be asked. Raises ValueError."""
        for resolution in resolutions:
            _check(resolution, scrape_interval_seconds=scraped.interval_seconds)
        self._reader = reader
        self._resolutions = tuple(resolutions)
        self._scraped = scraped
        self._catalogue = catalogue
        self._report = report

    @property
    def resolutions(self) -> tuple[Resolution, ...]:
        """The widths of bins that may be asked for, finest first."""
        return self._resolutions

    def append(
        self,
        *,
        start_timestamp_seconds: float,
        end_timestamp_seconds: float,
        increases: Mapping[tuple[Signal, ServiceName], float],
        levels: Mapping[tuple[Signal, ServiceName], float],
    ) -> None:
        """Does nothing: Prometheus has scraped it, or it is not known there."""

    def history(
        self,
        *,
        services: Sequence[ServiceName],
        window_seconds: float,
        now_timestamp_seconds: float,
        bin_seconds: float | None = None,
    ) -> History:
        """The bins that touch the last `window_seconds`, the open one included, oldest first.

        Sums are Prometheus's `increase`, so estimates at the edges of a gap; maxima of counters are
        the sums. Cover is the number of scrapes times their interval.
        """
        resolution = chosen(self._resolutions, bin_seconds=bin_seconds)
        last, count = span(
            resolution, window_seconds=window_seconds, now_timestamp_seconds=now_timestamp_seconds
        )
        reading = _Reading(self._reader, resolution, tuple(services), last - count + 1, count)
        cells = self._cells(reading)
        for error in dict.fromkeys(reading.errors):
            self._report(error)
        return History(
            services=tuple(services),
            bin_seconds=resolution.bin_seconds,
            end_timestamp_seconds=(last + 1) * resolution.bin_seconds,
            signals=cells.signals(),
        )

    def _cells(self, reading: "_Reading") -> Cells:
        queries = SignalQueries(
            bin_seconds=reading.resolution.bin_seconds,
            match=self._scraped.match,
            catalogue=self._catalogue(),
        )
        values = np.zeros((PARTS, len(SIGNALS), len(reading.services), reading.bin_count))
        scrapes = reading.values(queries.scrapes())
        limit = reading.resolution.bin_seconds
        covered = np.minimum(np.nan_to_num(scrapes) * self._scraped.interval_seconds, limit)
        for index, signal in enumerate(SIGNALS if covered.any() else ()):
            for expression in queries.sums(signal) if signal in self._scraped.signals else ():
                self._put(values[:, index], expression, reading=reading, covered=covered)
        return Cells(services=reading.services, first_bin=reading.first_bin, values=values)

    def _put(
        self,
        target: FloatArray,
        expression: Expression,
        *,
        reading: "_Reading",
        covered: FloatArray,
    ) -> None:
        """Writes what the expression tells of the services it is about."""
        found = reading.values(expression.text)
        largest = reading.values(expression.maximum) if expression.maximum else found
        is_told = np.isfinite(found) & np.isfinite(largest) & (covered > 0)
        rows = [
            row
            for row, service in enumerate(reading.services)
            if expression.services is None or service in expression.services
        ]
        sums = found * covered if expression.is_level else found
        for part, array in ((SUMS, sums), (MAXIMA, largest), (COVERED, covered)):
            target[part][rows] = np.where(is_told, array, 0.0)[rows]


class _Reading:
    """One `history`: which bins of which services, and what went wrong."""

    def __init__(
        self,
        reader: RangeReader,
        resolution: Resolution,
        services: tuple[ServiceName, ...],
        first_bin: int,
        bin_count: int,
    ) -> None:
        self.resolution = resolution
        self.services = services
        self.first_bin = first_bin
        self.bin_count = bin_count
        self.errors: list[str] = []
        self._reader = reader

    def values(self, expression: str) -> FloatArray:
        """(n_services, n_bins) of the query; NaN where it tells nothing.

        A bin is what the query says at its end.
        """
        width = self.resolution.bin_seconds
        answer = self._reader.read_range(
            expression,
            start_timestamp_seconds=(self.first_bin + 1) * width,
            end_timestamp_seconds=(self.first_bin + self.bin_count) * width,
            step_seconds=width,
        )
        self.errors += answer.errors
        found: FloatArray = np.full((len(self.services), self.bin_count), np.nan)
        rows = {name: row for row, name in enumerate(self.services)}
        for series in answer.series:
            row = rows.get(ServiceName(series.labels.get(SERVICE_LABEL, "")))
            for at, value in series.points if row is not None else ():
                column = round(at / width) - 1 - self.first_bin
                if 0 <= column < self.bin_count:
                    found[row, column] = value
        return found


def _check(resolution: Resolution, *, scrape_interval_seconds: float) -> None:
    if resolution.bin_seconds != round(resolution.bin_seconds):
        raise ValueError(f"bins must be whole seconds, got {resolution.bin_seconds:g} s")
    if not 0 < 2 * scrape_interval_seconds <= resolution.bin_seconds:
        raise ValueError(
            f"a bin must span two scrapes of {scrape_interval_seconds:g} s, got "
            f"{resolution.bin_seconds:g} s"
        )
