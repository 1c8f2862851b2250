"""Whether a service's numbers are good enough to take something away on. Pure.

Doubts forbid scale-in, unload and reshape for what they touch; they never forbid scale-out.
"""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from autoscaler.model.action import Reason
from autoscaler.model.demand import Rates
from collector.model.reading import (
    Fresh,
    Missing,
    MissingReason,
    Number,
    Stale,
    aged,
    fresh_value,
)
from collector.model.snapshot import ReplicaView, ServiceView

Doubt: TypeAlias = tuple[Reason, str]

CONSERVATION_SLACK_REQUESTS = 3.0
"""Readings of one page are taken at one moment; this allows for requests that change state in it."""

CONSERVATION_SLACK_RATIO = 0.02
"""Of the requests that are held or in flight: those are the ones that can change state."""


def doubts(view: ServiceView | None, *, now: float, limit_seconds: float) -> tuple[Doubt, ...]:
    """(reason, sentence) for each thing that is wrong with the service's traffic; empty when sound.

    Ages are looked at again: a snapshot may lie for a while before it is decided on.
    """
    if view is None:
        return ((Reason.NO_FRESH_DATA, "nothing has been read about this service"),)
    return tuple(_doubts(view, now=now, limit_seconds=limit_seconds))


def unmeasured(*, demand: Rates | None, burn_rate: float | None) -> tuple[Doubt, ...]:
    """The same for what history does not tell."""
    found = []
    if demand is None:
        found.append("no demand was measured lately")
    if burn_rate is None:
        found.append("an objective was not measured lately")
    return tuple((Reason.NO_FRESH_DATA, sentence) for sentence in found)


def unread(
    replicas: Iterable[ReplicaView], *, now: float, limit_seconds: float
) -> tuple[Doubt, ...]:
    """A doubt for each serving replica whose engine could be read before, or should have been now."""
    found = []
    for view in replicas:
        reading = aged(
            view.running_requests, now_timestamp_seconds=now, limit_seconds=limit_seconds
        )
        if isinstance(reading, Stale) or (
            isinstance(reading, Missing) and reading.reason is MissingReason.SOURCE_UNREACHABLE
        ):
            what = "stale" if isinstance(reading, Stale) else reading.reason.value
            sentence = f"the engine of {view.replica.replica_id} is {what} at {reading.source}"
            found.append((Reason.NO_FRESH_DATA, sentence))
    return tuple(found)


def _doubts(view: ServiceView, *, now: float, limit_seconds: float) -> Iterator[Doubt]:
    for name, read in _needed(view):
        reading = aged(read, now_timestamp_seconds=now, limit_seconds=limit_seconds)
        if not isinstance(reading, Fresh):
            why = reading.reason.value if reading.kind == "missing" else "stale"
            yield Reason.NO_FRESH_DATA, f"{name} is {why} at {reading.source}"
    error = conservation_error(view)
    if error is not None and abs(error) > _slack(view):
        yield (
            Reason.DEMAND_NOT_CONSERVED,
            f"arrived requests differ by {error:+.6g} from finished, held and in-flight ones",
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
    in_flight = fresh_value(view.traffic.in_flight_requests) or 0.0
    held = fresh_value(view.traffic.held_requests) or 0.0
    return max(CONSERVATION_SLACK_REQUESTS, CONSERVATION_SLACK_RATIO * (in_flight + held))
