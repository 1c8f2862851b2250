"""Known events: demand as it would be without them, and what they make of a forecast. Pure.

In: calendar events of the owner. Out: factors. Demand is divided by them before `observe`, `predict`
and `refit` see it, and predictions are multiplied: all members then live in a world without events,
and no launch day becomes next week's profile.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from autoscaler.model.forecast_state import CalendarEvent, DemandBins, ForecastTask, Target
from collector.model.history import FloatArray


def without_events(bins: DemandBins, *, events: Sequence[CalendarEvent]) -> DemandBins:
    """The same bins with every event's demand divided by its factor."""
    touched = [event for event in events if event.service in bins.services]
    if not touched:
        return bins
    steps = np.arange(bins.per_second.shape[1], 0, -1)
    begins = bins.end_timestamp_seconds - steps * bins.bin_seconds
    factors = np.ones_like(bins.per_second)
    for event in touched:
        overlap_seconds = np.minimum(begins + bins.bin_seconds, event.end_timestamp_seconds)
        overlap_seconds = overlap_seconds - np.maximum(begins, event.start_timestamp_seconds)
        share = np.clip(overlap_seconds / bins.bin_seconds, 0.0, 1.0)
        factors[bins.services.index(event.service)] *= 1.0 + (event.factor - 1.0) * share
    return replace(bins, per_second=bins.per_second / factors)


def event_factors(
    bins: DemandBins,
    *,
    events: Sequence[CalendarEvent],
    horizon_seconds: FloatArray,
    task: ForecastTask,
) -> FloatArray:
    """What to multiply each service's prediction by, (n_services,).

    For a peak: the largest product of factors at any moment until the horizon, so that a quiet day
    lowers nothing before all of the window lies in it. For a count: the product at the horizon.
    """
    factors = np.ones(len(bins.services))
    for row, service in enumerate(bins.services):
        mine = [event for event in events if event.service == service]
        if mine:
            end = bins.end_timestamp_seconds + float(horizon_seconds[row])
            begin = bins.end_timestamp_seconds if task.target is Target.PEAK else end
            factors[row] = _largest_product(mine, begin=begin, end=end)
    return factors


def _largest_product(events: Sequence[CalendarEvent], *, begin: float, end: float) -> float:
    """The product changes only where an event starts or ends, so these moments are enough."""
    edges = {edge for each in events for edge in _edges(each) if begin < edge <= end}
    return max(_product(events, at=moment) for moment in (begin, end, *edges))


def _edges(event: CalendarEvent) -> tuple[float, float]:
    return event.start_timestamp_seconds, event.end_timestamp_seconds


def _product(events: Sequence[CalendarEvent], *, at: float) -> float:
    product = 1.0
    for event in events:
        if event.start_timestamp_seconds <= at < event.end_timestamp_seconds:
            product *= event.factor
    return product
