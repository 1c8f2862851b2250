"""Latency histograms of one service, with the edges of vLLM's and the objectives' thresholds."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

from collector.model.catalogue import Sli
from collector.model.histogram import Histogram

DEFAULT_EDGES_SECONDS: Mapping[Sli, tuple[float, ...]] = {
    Sli.TIME_TO_FIRST_TOKEN: (
        0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
        20.0, 40.0, 80.0, 160.0, 640.0, 2560.0,
    ),
    Sli.INTER_TOKEN_LATENCY: (
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0,
        2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0,
    ),
    Sli.END_TO_END_LATENCY: (
        0.01, 0.025, 0.05, 0.1, 0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0,
        40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0,
    ),
}  # fmt: skip
"""Source: vLLM 0.32.0's /metrics; finer below its first edge for ITL and end-to-end."""

LATENCY_SLIS = tuple(DEFAULT_EDGES_SECONDS)


def merged_edges(edges: Iterable[float], thresholds: Iterable[float]) -> tuple[float, ...]:
    """All of both, rising, each once: a share of good events is exact only at an edge."""
    return tuple(sorted({*edges, *thresholds}))


class LatencyHistogram:
    """Counts weighted observations per bucket."""

    def __init__(self, edges_seconds: Sequence[float]) -> None:
        self._edges = tuple(edges_seconds)
        self._counts = [0.0] * (len(self._edges) + 1)
        self._sum = 0.0

    def observe(self, seconds: float, *, weight: float = 1.0) -> None:
        """One observation of `weight` events; a value on an edge is inside the lower bucket."""
        self._counts[bisect_left(self._edges, seconds)] += weight
        self._sum += seconds * weight

    def value(self) -> Histogram:
        """What was observed so far."""
        return Histogram(upper_bounds=self._edges, counts=tuple(self._counts), sum=self._sum)

    def follow(self, edges_seconds: Sequence[float]) -> None:
        """Starts again from zero if the edges changed: old observations cannot be sorted anew."""
        if tuple(edges_seconds) != self._edges:
            LatencyHistogram.__init__(self, edges_seconds)
