"""Bucket series of one page as histograms. Pure.

Edges are compared as numbers: `le="1"` and `le="1.0"` are the same bucket. Buckets are cumulative on
the page and separate in a `Histogram`; counts that fall from one edge to the next contradict.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from collector.model.contract import Aggregation
from collector.model.histogram import Histogram
from collector.model.reading import MissingReason
from collector.model.samples import Labels, Sample
from collector.normalise.points import Point

_Buckets = dict[float, float]


def histogram_points(
    *, buckets: Sequence[Sample], sums: Sequence[Sample], scale: float
) -> list[Point[Histogram]]:
    """One point per label set; a label set with half of its series is SERIES_ABSENT."""
    by_labels: dict[Labels, _Buckets | MissingReason] = {}
    for sample in buckets:
        rest = tuple(pair for pair in sample.labels if pair[0] != "le")
        known = by_labels.setdefault(rest, {})
        by_labels[rest] = _with_bucket(known, sample=sample)
    totals = {sample.labels: sample.value for sample in sums}
    return [
        Point(labels=labels, value=_histogram(found, total=totals.get(labels), scale=scale))
        for labels, found in by_labels.items()
    ]


def _with_bucket(known: _Buckets | MissingReason, *, sample: Sample) -> _Buckets | MissingReason:
    if isinstance(known, MissingReason):
        return known
    edge = _edge(dict(sample.labels).get("le", ""))
    if edge is None or not math.isfinite(sample.value) or sample.value < 0:
        return MissingReason.NOT_A_NUMBER
    if known.get(edge, sample.value) != sample.value:
        return MissingReason.CONTRADICTED
    known[edge] = sample.value
    return known


def _edge(text: str) -> float | None:
    try:
        edge = float(text)
    except ValueError:
        return None
    return None if math.isnan(edge) else edge


def _histogram(
    found: Mapping[float, float] | MissingReason, *, total: float | None, scale: float
) -> Histogram | MissingReason:
    if isinstance(found, MissingReason):
        return found
    if total is None or math.inf not in found:
        return MissingReason.SERIES_ABSENT
    if not math.isfinite(total):
        return MissingReason.NOT_A_NUMBER
    edges = sorted(found)
    cumulative = [found[edge] for edge in edges]
    counts = (cumulative[0], *(above - below for below, above in pairwise(cumulative)))
    bounds = tuple(edge * scale for edge in edges[:-1])
    if min(counts) < 0 or -math.inf in found:
        return MissingReason.CONTRADICTED
    return Histogram(upper_bounds=bounds, counts=counts, sum=total * scale)


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
