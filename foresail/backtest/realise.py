"""Requests that could have been: drawn so that counts per bin and lengths per hour are those of history.

In: `BinnedDemand` and a seed. Out: a workload; another seed gives another one of equal standing. Within
a bin arrivals are spread evenly at random, and prompt and answer are drawn independently: bursts within a bin and ties
between lengths are not in such history. Same seed, same requests.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from autoscaler.replay.workload import FloatArray, IntArray, Workload
from foresail.backtest.binned import BinnedDemand, LengthHistogram, filled

OPEN_BUCKET_FACTOR: Final = 2.0
"""The bucket without an upper edge is taken to end at twice its lower one."""
MIN_CORRECTION, MAX_CORRECTION = 0.5, 2.0
"""Of drawn lengths towards the mean that was told; more would leave the buckets."""


def realise(demand: BinnedDemand, *, seed: int) -> Workload:
    """One realisation. Raises ValueError where no lengths are known at all."""
    random = np.random.default_rng(seed)
    counts = _whole_counts(filled(demand), random=random)
    bins = np.repeat(np.arange(len(counts)), counts)
    arrivals = np.sort((bins + random.random(len(bins))) * demand.bin_seconds)
    stretches = (arrivals / demand.stretch_seconds).astype(np.int64)
    return Workload(
        arrival_seconds=arrivals,
        prompt_tokens=_lengths(_known(demand.prompt), stretches=stretches, random=random),
        output_tokens=_lengths(_known(demand.output), stretches=stretches, random=random),
    )


def _whole_counts(arrivals: FloatArray, *, random: np.random.Generator) -> IntArray:
    """Whole numbers with the given means."""
    whole = np.floor(arrivals)
    extra = random.random(len(arrivals)) < arrivals - whole
    return (whole + extra).astype(np.int64)


def _known(histograms: Sequence[LengthHistogram | None]) -> list[LengthHistogram]:
    """Each stretch's own, or that of the nearest stretch with one."""
    told = [place for place, each in enumerate(histograms) if each is not None]
    if not told:
        raise ValueError("no lengths of requests are known")
    places = np.array(told)
    nearest = (int(places[np.abs(places - place).argmin()]) for place in range(len(histograms)))
    return [found for place in nearest if (found := histograms[place]) is not None]


def _lengths(
    histograms: Sequence[LengthHistogram], *, stretches: IntArray, random: np.random.Generator
) -> IntArray:
    lengths = np.ones(len(stretches))
    edges = np.searchsorted(stretches, np.arange(len(histograms) + 1))
    for histogram, first, last in zip(histograms, edges, edges[1:], strict=False):
        lengths[first:last] = _drawn(histogram, count=int(last - first), random=random)
    return np.maximum(1, np.rint(lengths)).astype(np.int64)


def _drawn(histogram: LengthHistogram, *, count: int, random: np.random.Generator) -> FloatArray:
    """Evenly over the logarithm within each bucket, then moved to the mean that was told."""
    lower = np.maximum(1.0, np.concatenate(([1.0], histogram.upper_tokens[:-1])))
    upper = np.where(
        np.isfinite(histogram.upper_tokens), histogram.upper_tokens, lower * OPEN_BUCKET_FACTOR
    )
    shares = histogram.counts / histogram.counts.sum()
    buckets = random.choice(len(shares), size=count, p=shares)
    stretch = np.log(np.maximum(upper, lower) / lower)
    drawn: FloatArray = lower[buckets] * np.exp(random.random(count) * stretch[buckets])
    expected = _mean_of_buckets(lower, upper=upper, shares=shares)
    if histogram.mean_tokens is None or expected <= 0:
        return drawn
    correction = min(MAX_CORRECTION, max(MIN_CORRECTION, histogram.mean_tokens / expected))
    return np.asarray(drawn * correction, np.float64)


def _mean_of_buckets(lower: FloatArray, *, upper: FloatArray, shares: FloatArray) -> float:
    wide = upper > lower
    logs = np.log(np.divide(upper, lower, out=np.full_like(lower, np.e), where=wide))
    means = np.where(wide, (upper - lower) / logs, lower)
    return float((means * shares).sum())
