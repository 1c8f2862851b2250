"""A cumulative latency histogram, and what can honestly be said from its buckets.

Counts may be fractional: inter-token latencies are weighted by tokens per chunk.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_ROUNDING_RATIO = 1e-9
"""Of all observations: buckets are differences of cumulative sums, so their last digits wander."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Observations by bucket. Shapes: `upper_bounds` (n,), `counts` (n + 1,), last one above all."""

    upper_bounds: tuple[float, ...]  # strictly rising, in the unit of the signal, without +Inf
    counts: tuple[float, ...]  # per bucket, not cumulative over buckets; one more than bounds
    sum: float  # of all observed values

    def __post_init__(self) -> None:
        if len(self.counts) != len(self.upper_bounds) + 1:
            raise ValueError(
                f"counts has {len(self.counts)} entries for {len(self.upper_bounds)} upper_bounds; "
                "it must have exactly one more"
            )
        if any(b <= a for a, b in zip(self.upper_bounds, self.upper_bounds[1:], strict=False)):
            raise ValueError(f"upper_bounds must rise strictly, got {self.upper_bounds}")
        if any(count < 0 for count in self.counts):
            raise ValueError(f"counts must not be negative, got {self.counts}")

    @property
    def total(self) -> float:
        """Number of observations."""
        return sum(self.counts)


def good_count(histogram: Histogram, *, threshold: float) -> float | None:
    """Observations at or under `threshold`; None when it is not a bucket edge.

    Only an edge gives an exact count; between two edges the answer would be a guess.
    """
    edges = histogram.upper_bounds
    index = bisect_left(edges, threshold * (1 - 1e-9))
    if index == len(edges) or abs(edges[index] - threshold) > 1e-9 * max(threshold, 1e-9):
        return None
    return sum(histogram.counts[: index + 1])


def quantile(histogram: Histogram, *, q: float) -> float | None:
    """The value below which a share `q` (0..1) lies, interpolated in its bucket; None when empty.

    Above the last edge the last edge is returned, so the answer is then a lower bound.
    Source: the interpolation of Prometheus' histogram_quantile.
    """
    total = histogram.total
    if total <= 0:
        return None
    rank, below, lower = q * total, 0.0, 0.0
    for upper, count in zip(histogram.upper_bounds, histogram.counts, strict=False):
        if below + count >= rank and count > 0:
            return lower + (upper - lower) * (rank - below) / count
        below, lower = below + count, upper
    return histogram.upper_bounds[-1] if histogram.upper_bounds else None


def histogram_increase(current: Histogram, *, previous: Histogram | None) -> Histogram:
    """What was observed since `previous`; all of `current` after a restart or a change of edges.

    Edges that went are no change of that kind: without them `previous` is compared as well.

    A bucket that fell by no more than the rounding of weighted counts stands still; only a real fall
    is a restart.
    """
    if previous is None or not set(current.upper_bounds) <= set(previous.upper_bounds):
        return current
    if previous.upper_bounds != current.upper_bounds:
        previous = coarsened(previous, upper_bounds=current.upper_bounds)
    counts = tuple(c - p for c, p in zip(current.counts, previous.counts, strict=True))
    if any(count < -_ROUNDING_RATIO * max(1.0, previous.total) for count in counts):
        return current
    return Histogram(
        upper_bounds=current.upper_bounds,
        counts=tuple(max(0.0, count) for count in counts),
        sum=current.sum - previous.sum,
    )


def coarsened(histogram: Histogram, *, upper_bounds: Iterable[float]) -> Histogram:
    """The same observations in fewer buckets; edges that the histogram does not have are left out."""
    wanted = set(upper_bounds)
    bounds, counts, waiting = [], [], 0.0
    for edge, count in zip(histogram.upper_bounds, histogram.counts, strict=False):
        waiting += count
        if edge in wanted:
            bounds.append(edge)
            counts.append(waiting)
            waiting = 0.0
    return Histogram(
        upper_bounds=tuple(bounds),
        counts=(*counts, waiting + histogram.counts[-1]),
        sum=histogram.sum,
    )


def merged(histograms: Sequence[Histogram]) -> Histogram:
    """All observations together, on the edges they have in common. At least one is needed."""
    first, *others = histograms
    common = set(first.upper_bounds).intersection(*(each.upper_bounds for each in others))
    parts = [coarsened(each, upper_bounds=common) for each in histograms]
    return Histogram(
        upper_bounds=parts[0].upper_bounds,
        counts=tuple(map(math.fsum, zip(*(each.counts for each in parts), strict=True))),
        sum=math.fsum(each.sum for each in parts),
    )
