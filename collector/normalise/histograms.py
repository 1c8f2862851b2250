"""Bucket series as histograms. Pure.

Edges are compared as numbers: `le="1"` and `le="1.0"` are the same bucket. Buckets are cumulative on
the page and separate in a `Histogram`; counts that fall from one edge to the next contradict.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import sub

from collector.model.contract import Aggregation
from collector.model.histogram import Histogram
from collector.model.reading import MissingReason
from collector.model.samples import Labels
from collector.normalise.points import Known, Line, Part, Point, labels_without


@dataclass(frozen=True, slots=True)
class HistogramPart:
    """One histogram: where its buckets and its sum stand on the page."""

    upper_bounds: tuple[float, ...]  # scaled, rising, without +Inf
    buckets: tuple[int, ...]  # indices of the cumulative counts, the one of +Inf last
    doubles: tuple[tuple[int, int], ...]  # two spellings of one edge must agree
    total: int  # index of the sum of all observed values
    scale: float

    def value(self, values: Sequence[float]) -> Histogram | MissingReason:
        """The histogram, or why these values are none."""
        if any(values[one] != values[other] for one, other in self.doubles):
            return MissingReason.CONTRADICTED
        cumulative = [values[index] for index in self.buckets]
        total = values[self.total] * self.scale
        if not all(map(math.isfinite, cumulative)) or min(cumulative) < 0:
            return MissingReason.NOT_A_NUMBER
        if not math.isfinite(total):
            return MissingReason.NOT_A_NUMBER
        counts = (cumulative[0], *map(sub, cumulative[1:], cumulative))
        if min(counts) < 0:
            return MissingReason.CONTRADICTED
        return Histogram(upper_bounds=self.upper_bounds, counts=counts, sum=total)


def histogram_points(
    *, buckets: Sequence[Line], sums: Sequence[Line], scale: float
) -> list[Point[Histogram]]:
    """One point per label set; a label set with half of its series is SERIES_ABSENT."""
    by_labels: dict[Labels, list[Line]] = {}
    for line in buckets:
        by_labels.setdefault(labels_without(line.labels, "le"), []).append(line)
    totals = {line.labels: line for line in sums}
    return [
        Point(labels, _part(lines, total=totals.get(labels), scale=scale))
        for labels, lines in by_labels.items()
    ]


def _part(lines: Sequence[Line], *, total: Line | None, scale: float) -> Part[Histogram]:
    if any(line.is_contradicted for line in (*lines, *([total] if total else []))):
        return Known(MissingReason.CONTRADICTED)
    by_edge: dict[float, int] = {}
    doubles: list[tuple[int, int]] = []
    for line in lines:
        edge = _edge(dict(line.labels).get("le", ""))
        if edge is None:
            return Known(MissingReason.NOT_A_NUMBER)
        first = by_edge.setdefault(edge, line.place)
        if first != line.place:
            doubles.append((first, line.place))
    if total is None or math.inf not in by_edge:
        return Known(MissingReason.SERIES_ABSENT)
    *edges, _ = sorted(by_edge)
    bounds = tuple(edge * scale for edge in edges)
    if -math.inf in bounds or any(above <= below for below, above in pairwise(bounds)):
        return Known(MissingReason.CONTRADICTED)
    return HistogramPart(
        upper_bounds=bounds,
        buckets=tuple(by_edge[edge] for edge in (*edges, math.inf)),
        doubles=tuple(doubles),
        total=total.place,
        scale=scale,
    )


def _edge(text: str) -> float | None:
    try:
        edge = float(text)
    except ValueError:
        return None
    return None if math.isnan(edge) else edge


def combined_histograms(
    how: Aggregation, histograms: Sequence[Histogram]
) -> Histogram | MissingReason:
    """The sum of all; CONTRADICTED when their edges differ (`how` is SUM, the contract checks it)."""
    first = histograms[0]
    if how is not Aggregation.SUM or any(
        each.upper_bounds != first.upper_bounds for each in histograms
    ):
        return MissingReason.CONTRADICTED
    counts = zip(*(each.counts for each in histograms), strict=True)
    return Histogram(
        upper_bounds=first.upper_bounds,
        counts=tuple(math.fsum(column) for column in counts),
        sum=math.fsum(each.sum for each in histograms),
    )
