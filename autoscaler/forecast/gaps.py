"""Demand in time that nobody measured, between what came before and after it. Pure.

In: bins with cover. Out: the same with short gaps bridged, for means over long windows: a mean that
leaves the last minutes out answers for the demand before them, however the demand has moved since.
Only for what is expected; what was asked for and what is judged stays what was measured.
"""

from dataclasses import replace
from itertools import pairwise
from typing import Final

import numpy as np

from autoscaler.model.demand import DemandSeries
from collector.model.history import FloatArray

EDGE_BINS: Final = 4
"""Of each side, whose mean the bridge starts from and leads to: a single bin is noise."""
MAX_GAP_BINS: Final = 80
"""20 minutes of 15 s: what happened in a longer gap is not told by its ends."""


def bridged(series: DemandSeries) -> DemandSeries:
    """The series with every short gap between measured bins filled along a straight line.

    Gaps at either end stay, as nothing tells where they lead; so do longer ones.
    """
    gaps = _gaps(series.covered_seconds)
    if not gaps:
        return series
    covered = series.covered_seconds.copy()
    for gap in gaps:
        covered[gap] = series.bin_seconds
    return replace(
        series,
        requests_per_second=_filled(series.requests_per_second, gaps, series.covered_seconds),
        prompt_tokens_per_second=_filled(
            series.prompt_tokens_per_second, gaps, series.covered_seconds
        ),
        output_tokens_per_second=_filled(
            series.output_tokens_per_second, gaps, series.covered_seconds
        ),
        work=_filled(series.work, gaps, series.covered_seconds),
        covered_seconds=covered,
    )


def _gaps(covered: FloatArray) -> list[slice]:
    known = np.flatnonzero(covered > 0)
    if len(known) and known[-1] - known[0] + 1 == len(known):
        return []
    return [
        slice(before + 1, after)
        for before, after in pairwise(known.tolist())
        if 1 < after - before <= MAX_GAP_BINS + 1
    ]


def _filled(values: FloatArray, gaps: list[slice], covered: FloatArray) -> FloatArray:
    filled = values.copy()
    for gap in gaps:
        left = _mean(values, covered, slice(max(0, gap.start - EDGE_BINS), gap.start))
        right = _mean(values, covered, slice(gap.stop, gap.stop + EDGE_BINS))
        filled[gap] = np.linspace(left, right, gap.stop - gap.start + 2)[1:-1]
    return filled


def _mean(values: FloatArray, covered: FloatArray, part: slice) -> float:
    return float(np.average(values[part], weights=covered[part]))
