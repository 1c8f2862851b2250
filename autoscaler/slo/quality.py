"""Whether a service's numbers are good enough to take something away on. Pure.

Doubts forbid scale-in, unload and reshape for what they touch; they never forbid scale-out.
"""

from collections.abc import Iterator

from autoscaler.model.action import Reason
from collector.model.reading import Fresh, Number, fresh_value
from collector.model.snapshot import ServiceView

CONSERVATION_SLACK_REQUESTS = 3.0
"""Readings of one page are taken at one moment; this allows for requests that change state in it."""

CONSERVATION_SLACK_RATIO = 0.02


def doubts(view: ServiceView | None) -> tuple[tuple[Reason, str], ...]:
    """(reason, sentence) for each thing that is wrong with the service's traffic; empty when sound."""
    if view is None:
        return ((Reason.NO_FRESH_DATA, "nothing has been read about this service"),)
    return tuple(_doubts(view))


def _doubts(view: ServiceView) -> Iterator[tuple[Reason, str]]:
    for name, reading in _needed(view):
        if not isinstance(reading, Fresh):
            why = reading.reason.value if reading.kind == "missing" else "stale"
            yield Reason.NO_FRESH_DATA, f"{name} is {why} at {reading.source}"
    error = conservation_error(view)
    if error is not None and abs(error) > _slack(view):
        yield (
            Reason.DEMAND_NOT_CONSERVED,
            f"arrived requests differ by {error:+.0f} from finished, held and in-flight ones",
        )


def conservation_error(view: ServiceView) -> float | None:
    """Arrived minus accounted-for requests; None when a part of the sum is not fresh."""
    traffic = view.traffic
    parts = [
        fresh_value(reading)
        for reading in (
            traffic.completed_requests_total,
            traffic.failed_requests_total,
            traffic.aborted_requests_total,
            traffic.shed_requests_total,
            traffic.in_flight_requests,
            traffic.held_requests,
        )
    ]
    arrived = fresh_value(traffic.arrived_requests_total)
    if arrived is None or any(part is None for part in parts):
        return None
    return arrived - sum(part for part in parts if part is not None)


def _needed(view: ServiceView) -> tuple[tuple[str, Number], ...]:
    traffic = view.traffic
    return (
        ("arrived_requests_total", traffic.arrived_requests_total),
        ("admitted_prompt_tokens_total", traffic.admitted_prompt_tokens_total),
        ("in_flight_requests", traffic.in_flight_requests),
        ("held_requests", traffic.held_requests),
    )


def _slack(view: ServiceView) -> float:
    arrived = fresh_value(view.traffic.arrived_requests_total) or 0.0
    return max(CONSERVATION_SLACK_REQUESTS, CONSERVATION_SLACK_RATIO * arrived)
