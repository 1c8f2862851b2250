"""What the last half minute proves of a demand that has just begun to rise. Pure.

In: a service's demand series. Out: the least that is asked for, which `size` holds the replicas against at
once: the level takes a minute to show a step whole, and a forecast longer. Noise proves nothing: of few
requests nothing is left, of thousands nearly all.
"""

import math
from typing import Final

from autoscaler.forecast.level import level
from autoscaler.model.demand import DemandSeries, Rates

ONSET_BINS: Final = 2
"""The last one is open and may have begun this very moment."""
DEVIATES: Final = 2.0
VARIANCE_PER_REQUEST: Final = 2.0
"""Of a sum of tokens over its mean's square, times its requests: they arrive at random, and their
lengths vary about as much again."""


def onset(series: DemandSeries) -> Rates | None:
    """The demand of the last bins less two standard deviations; None where nothing was measured."""
    rates = level(series, window_seconds=ONSET_BINS * series.bin_seconds)
    if rates is None:
        return None
    seconds = float(series.covered_seconds[-ONSET_BINS:].sum())
    requests = rates.requests_per_second * seconds
    doubt = DEVIATES * math.sqrt(VARIANCE_PER_REQUEST / requests) if requests > 0 else 1.0
    return rates.scaled(max(0.0, 1.0 - doubt))
