"""A snapshot as the collector would have assembled it while metrics were dark or told twice. Pure.

In: the snapshot as if all was well, and what is wrong. Out: the same with stale, missing or repeated
readings. The last step before `decide` in a replay; it must not repair anything. Memory comes from the
host and not from metrics: it stays fresh.
"""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from autoscaler.replay.faults import SeriesFault
from collector.model.reading import Fresh, Missing, MissingReason, Reading, Stale
from collector.model.snapshot import ReplicaView, ServiceView, Snapshot

_Change = Callable[[Reading[Any]], Reading[Any]]  # Any: numbers and histograms alike


def unanswered(snapshot: Snapshot, *, read_timestamp_seconds: float) -> Snapshot:
    """Every metric as its last value, stale since it was read."""

    def stale(reading: Reading[Any]) -> Reading[Any]:  # Any: numbers and histograms alike
        if not isinstance(reading, Fresh):
            return reading
        return Stale(
            value=reading.value,
            observed_timestamp_seconds=read_timestamp_seconds,
            source=reading.source,
        )

    start = stale(snapshot.gateway_start_timestamp_seconds)
    return replace(_changed(snapshot, stale), gateway_start_timestamp_seconds=start)


def repeated(snapshot: Snapshot, *, fault: SeriesFault) -> Snapshot:
    """Every view twice, or every metric refused for contradicting itself; unchanged without fault."""
    match fault:
        case SeriesFault.NONE:
            return snapshot
        case SeriesFault.TWICE:
            return replace(
                snapshot,
                services=(*snapshot.services, *snapshot.services),
                replicas=(*snapshot.replicas, *snapshot.replicas),
            )
        case SeriesFault.CONTRADICTING:
            return _changed(snapshot, _refused)


def _refused(reading: Reading[Any]) -> Reading[Any]:  # Any: numbers and histograms alike
    return Missing(reason=MissingReason.CONTRADICTED, source=reading.source)


def _changed(snapshot: Snapshot, change: _Change) -> Snapshot:
    return replace(
        snapshot,
        services=tuple(_service(each, change) for each in snapshot.services),
        replicas=tuple(_replica(each, change) for each in snapshot.replicas),
    )


def _service(view: ServiceView, change: _Change) -> ServiceView:
    traffic = {each.name: change(getattr(view.traffic, each.name)) for each in fields(view.traffic)}
    latency = {each.name: change(getattr(view.latency, each.name)) for each in fields(view.latency)}
    return replace(
        view,
        traffic=replace(view.traffic, **traffic),
        latency=replace(view.latency, **latency),
    )


def _replica(view: ReplicaView, change: _Change) -> ReplicaView:
    return replace(
        view,
        running_requests=change(view.running_requests),
        waiting_requests=change(view.waiting_requests),
        prompt_tokens_total=change(view.prompt_tokens_total),
        output_tokens_total=change(view.output_tokens_total),
        in_flight_requests=change(view.in_flight_requests),
    )
