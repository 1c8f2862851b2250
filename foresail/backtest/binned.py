"""What history still knows of requests after they are gone: counts per bin and histograms of lengths.

In: made by `history_reader` or by tests. Out: to `realise`. Missing bins are marked, never zero. Pure.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from autoscaler.replay.workload import FloatArray

BoolArray = npt.NDArray[np.bool_]
MIN_MEASURED_RATIO: Final = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthHistogram:
    """Tokens of requests over one stretch of time. Not cumulative."""

    upper_tokens: FloatArray  # (n_buckets,) rising, the last one inf
    counts: FloatArray  # (n_buckets,)
    mean_tokens: float | None  # None: no sum was told


@dataclass(frozen=True, slots=True, kw_only=True)
class BinnedDemand:
    """Demand of one service. `stretch_seconds` is a multiple of `bin_seconds`."""

    bin_seconds: float
    arrivals: FloatArray  # (n_bins,) requests; of unmeasured bins without meaning
    is_measured: BoolArray  # (n_bins,)
    stretch_seconds: float
    prompt: tuple[LengthHistogram | None, ...]  # per stretch; None: nothing finished, or not told
    output: tuple[LengthHistogram | None, ...]

    @property
    def measured_ratio(self) -> float:
        """Share of bins that were measured; 0 without bins."""
        return float(self.is_measured.mean()) if len(self.is_measured) else 0.0


def filled(demand: BinnedDemand) -> FloatArray:
    """Arrivals with holes bridged in a straight line between the bins on both sides. Shape (n_bins,).

    A hole is no quiet time; at either end the nearest measured bin stands for it. Raises ValueError
    without any measured bin.
    """
    known = np.flatnonzero(demand.is_measured)
    if not len(known):
        raise ValueError("no bin was measured")
    places = np.arange(len(demand.arrivals))
    whole: FloatArray = np.interp(places, known, np.maximum(0.0, demand.arrivals[known]))
    return whole
