"""Share of good events since the gateway began to count: one view in, a ratio out. Pure.

For reports. Requests that were shed or failed are misses of the first token and of availability,
since their users got none.
"""

from collector.model.catalogue import Objective, Service, Sli
from collector.model.histogram import Histogram, good_count
from collector.model.reading import Reading, known_value
from collector.model.snapshot import ServiceView


def attainment_ratio(objective: Objective, *, view: ServiceView) -> float | None:
    """Good events / judged events, 0..1; None when nothing was judged or it cannot be measured."""
    traffic = view.traffic
    refused = _sum(
        known_value(traffic.failed_requests_total), known_value(traffic.shed_requests_total)
    )
    if objective.threshold_seconds is None:
        completed = known_value(traffic.completed_requests_total)
        return _ratio(completed, _sum(completed, refused))
    latency: Reading[Histogram] = getattr(view.latency, objective.sli.value)
    histogram = known_value(latency)
    if histogram is None:
        return None
    good = good_count(histogram, threshold=objective.threshold_seconds)
    if objective.sli is not Sli.TIME_TO_FIRST_TOKEN:
        return _ratio(good, histogram.total)
    return _ratio(good, _sum(histogram.total, refused))


def worst_attainment_ratio(service: Service, *, view: ServiceView) -> float | None:
    """The lowest ratio of the service's objectives; None when none of them was judged."""
    ratios = [attainment_ratio(objective, view=view) for objective in service.objectives]
    return min((ratio for ratio in ratios if ratio is not None), default=None)


def _sum(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first + second


def _ratio(good: float | None, judged: float | None) -> float | None:
    return good / judged if good is not None and judged else None
