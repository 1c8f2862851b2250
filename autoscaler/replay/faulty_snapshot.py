"""A snapshot as the collector would have assembled it while metrics were dark or told twice. Pure.

In: the snapshot as if all was well, the one before, and what is wrong. Out: the same with stale, missing
or repeated readings. The last step before `decide` in a replay; it must not repair anything. Memory comes from the
host and not from metrics: it stays fresh.
"""

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any, Final, TypeVar

from autoscaler.replay.faults import SeriesFault
from collector.model.reading import Fresh, Missing, MissingReason, Reading, Stale
from collector.model.snapshot import (
    LatencyView,
    ReplicaView,
    ServiceView,
    Snapshot,
    TrafficView,
)

_Told = Reading[Any]  # Any: numbers and histograms alike
_Change = Callable[[_Told, _Told | None], _Told]  # of the reading, and the one before it
_View = TypeVar("_View", TrafficView, LatencyView, ReplicaView)
_READ: Final = (
    "running_requests",
    "waiting_requests",
    "prompt_tokens_total",
    "output_tokens_total",
    "in_flight_requests",
)
"""Of a replica; what is known of it otherwise is not from metrics."""


def unanswered(snapshot: Snapshot, *, read_timestamp_seconds: float) -> Snapshot:
    """Every metric as its last value, stale since it was read."""

    def stale(reading: _Told, _before: _Told | None) -> _Told:
        if not isinstance(reading, Fresh):
            return reading
        return Stale(
            value=reading.value,
            observed_timestamp_seconds=read_timestamp_seconds,
            source=reading.source,
        )

    start = stale(snapshot.gateway_start_timestamp_seconds, None)
    return replace(_changed(snapshot, stale), gateway_start_timestamp_seconds=start)


def repeated(snapshot: Snapshot, *, fault: SeriesFault, before: Snapshot | None = None) -> Snapshot:
    """Every view twice, or every metric refused for contradicting itself; unchanged without fault.

    `before` is the snapshot as it was seen last: of what is refused, the last value stays, stale.
    """
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
            return _changed(snapshot, _refused, before=before)


def _refused(reading: _Told, before: _Told | None) -> _Told:
    if before is None or isinstance(before, Missing):
        return Missing(reason=MissingReason.CONTRADICTED, source=reading.source)
    return Stale(
        value=before.value,
        observed_timestamp_seconds=before.observed_timestamp_seconds,
        source=before.source,
    )


def _changed(snapshot: Snapshot, change: _Change, *, before: Snapshot | None = None) -> Snapshot:
    services = {each.service: each for each in before.services} if before else {}
    replicas = {each.replica.replica_id: each for each in before.replicas} if before else {}
    return replace(
        snapshot,
        services=tuple(
            _service(each, change, services.get(each.service)) for each in snapshot.services
        ),
        replicas=tuple(
            _with_changes(each, change, replicas.get(each.replica.replica_id), names=_READ)
            for each in snapshot.replicas
        ),
    )


def _service(view: ServiceView, change: _Change, before: ServiceView | None) -> ServiceView:
    traffic = _with_changes(view.traffic, change, before.traffic if before else None)
    latency = _with_changes(view.latency, change, before.latency if before else None)
    return replace(view, traffic=traffic, latency=latency)


def _with_changes(
    view: _View, change: _Change, before: _View | None, *, names: Sequence[str] = ()
) -> _View:
    """The view with these readings changed; without names all."""
    names = names or [each.name for each in fields(view)]
    changed: dict[str, Any] = {  # Any: which fields they are is said above
        name: change(getattr(view, name), getattr(before, name) if before else None)
        for name in names
    }
    return replace(view, **changed)
