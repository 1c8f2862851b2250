"""One service of a replay as the collector and the executor would tell of it.

In: views of a simulated fleet, one after the other. Out: its part of a `Snapshot`, and the events since
the view before. Asked by the policies that call `decide`; remembers histograms, which only grow, and
when each replica was first seen. Adds no rule of its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from autoscaler.model.event import Event, ReplicaDied, ReplicaReady, ReplicaStartFailed
from autoscaler.replay.probe import probe_costs
from autoscaler.replay.view import FleetView, ReplicaSample, Setting
from autoscaler.replay.workload import FloatArray
from collector.model.catalogue import CapacityPrior
from collector.model.histogram import Histogram
from collector.model.ids import ReplicaId, ServiceName, VariantName
from collector.model.reading import Fresh, Missing, MissingReason
from collector.model.replica import Replica, ReplicaState
from collector.model.snapshot import EngineView, LatencyView, ReplicaView, ServiceView, TrafficView
from collector.replica_view import view_without_readings

SOURCE: Final = "replay"
START_TIMESTAMP_SECONDS: Final = 1_699_920_000.0
"""Midnight UTC of a Tuesday; traces count from their own midnight."""
EDGE_FACTORS: Final = (
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.3,
    0.5,
    0.7,
    0.85,
    1.0,
    1.2,
    1.5,
    2.0,
    3.0,
    5.0,
    10.0,
)
"""Bucket edges as shares of the threshold, which is always one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What one service of a replay is called."""

    service: ServiceName
    variant: VariantName
    replica_prefix: str = ""  # replicas of several services must not share a name


class SeenService:
    """One service, look after look."""

    def __init__(
        self, names: Names, *, setting: Setting, memory_bytes: int, is_probed: bool
    ) -> None:
        """`memory_bytes`: of one replica. `is_probed`: the first one was probed at its start."""
        self._names = names
        self._setting = setting
        self._memory_bytes = memory_bytes
        self._prior = probe_costs(setting.costs, limits=setting.limits) if is_probed else None
        self._is_new = True
        self._first_token = _Cumulative.around(setting.objectives.time_to_first_token_seconds)
        self._per_token = _Cumulative.around(setting.objectives.output_token_seconds)
        self._replicas: dict[int, Replica] = {}

    def events(self, view: FleetView) -> tuple[Event, ...]:
        """What the executor would have reported since the view before."""
        events = tuple(self._events(view))
        self._is_new = False
        return events

    def service_view(self, view: FleetView, *, now: float) -> ServiceView:
        """The service's own part of a snapshot at `now` (epoch seconds); each view goes in once."""
        self._first_token.add(view.first_token_seconds)
        self._per_token.add(
            view.output_token_seconds, np.maximum(view.finished_output_tokens - 1, 0)
        )
        return ServiceView(
            service=self._names.service,
            traffic=_traffic(view, now=now),
            latency=LatencyView(
                time_to_first_token=self._first_token.reading(now),
                inter_token_latency=self._per_token.reading(now),
                end_to_end_latency=Missing(reason=MissingReason.NOT_READ_YET, source=SOURCE),
            ),
        )

    def replica_views(self, view: FleetView, *, now: float) -> tuple[ReplicaView, ...]:
        """Those that serve, those nobody has read, those that start, those that drain."""
        return (
            *self._ready_views(view, now=now),
            *self._unread_views(view, now=now),
            *self._pending_views(view),
            *self._draining_views(view, now=now),
        )

    def _events(self, view: FleetView) -> Iterator[Event]:
        for lead in view.lead_times_seconds:
            yield self._ready(lead_time_seconds=lead, prior=self._prior)
        starts = zip(view.failed_orders_seconds, view.failed_starts_seconds, strict=True)
        for ordered, failed in starts:
            yield ReplicaStartFailed(
                service=self._names.service,
                variant=self._names.variant,
                replica_id=ReplicaId("replica"),
                failed_timestamp_seconds=START_TIMESTAMP_SECONDS + failed,
                message="not ready in time",
                ordered_timestamp_seconds=START_TIMESTAMP_SECONDS + ordered,
            )
        for lived in view.lives_lost_seconds:
            yield ReplicaDied(
                service=self._names.service,
                variant=self._names.variant,
                replica_id=ReplicaId("replica"),
                died_timestamp_seconds=START_TIMESTAMP_SECONDS + view.now_seconds,
                lived_seconds=lived,
                message="killed",
            )
        if self._prior is not None and self._is_new:
            yield self._ready(lead_time_seconds=self._setting.provision_seconds, prior=self._prior)

    def _ready(self, *, lead_time_seconds: float, prior: CapacityPrior | None) -> ReplicaReady:
        return ReplicaReady(
            service=self._names.service,
            variant=self._names.variant,
            replica_id=ReplicaId("replica"),
            lead_time_seconds=lead_time_seconds,
            probed_capacity=prior,
        )

    def _ready_views(self, view: FleetView, *, now: float) -> list[ReplicaView]:
        numbers = {sample.number for sample in (*view.replicas, *view.draining)}
        self._replicas = {n: r for n, r in self._replicas.items() if n in numbers}
        return [self._sample_view(each, ReplicaState.SERVING, now=now) for each in view.replicas]

    def _sample_view(
        self, sample: ReplicaSample, state: ReplicaState, *, now: float
    ) -> ReplicaView:
        replica = self._replicas.get(sample.number)
        if replica is None:
            replica = self._replica(f"replica-{sample.number}", state=state, ordered=now)
            replica = replace(replica, serving_timestamp_seconds=now)
        if replica.state is not state:
            replica = replace(replica, state=state)
        self._replicas[sample.number] = replica
        in_flight = sample.running_requests + sample.waiting_requests
        capacity = self._setting.limits.kv_capacity_tokens
        return ReplicaView(
            replica=replica,
            running_requests=fresh(sample.running_requests, now=now),
            waiting_requests=fresh(sample.waiting_requests, now=now),
            prompt_tokens_total=fresh(sample.prompt_tokens_total, now=now),
            output_tokens_total=fresh(sample.output_tokens_total, now=now),
            in_flight_requests=fresh(in_flight, now=now),
            memory_bytes=fresh(self._memory_bytes, now=now),
            engine=EngineView(
                kv_use_ratio=fresh(min(1.0, sample.kv_used_tokens / capacity), now=now),
                kv_capacity_tokens=fresh(capacity, now=now),
            ),
        )

    def _pending_views(self, view: FleetView) -> list[ReplicaView]:
        return [
            view_without_readings(
                self._replica(
                    f"pending-{index}",
                    state=ReplicaState.LOADING,
                    ordered=START_TIMESTAMP_SECONDS + ordered,
                ),
                MissingReason.NOT_READ_YET,
                source=SOURCE,
            )
            for index, ordered in enumerate(view.pending_ordered_seconds)
        ]

    def _unread_views(self, view: FleetView, *, now: float) -> list[ReplicaView]:
        """Ready replicas whose metrics nobody has ever read."""
        return [
            view_without_readings(
                self._replica(f"replica-{number}", state=ReplicaState.SERVING, ordered=now),
                MissingReason.SOURCE_UNREACHABLE,
                source=SOURCE,
            )
            for number in view.unread_replicas
        ]

    def _draining_views(self, view: FleetView, *, now: float) -> list[ReplicaView]:
        """Each under the name it served by; those nobody has read hold their memory all the same."""
        read = [self._sample_view(each, ReplicaState.DRAINING, now=now) for each in view.draining]
        unread = [
            replace(
                view_without_readings(
                    self._replica(f"draining-{index}", state=ReplicaState.DRAINING, ordered=now),
                    MissingReason.NOT_READ_YET,
                    source=SOURCE,
                ),
                memory_bytes=fresh(self._memory_bytes, now=now),
            )
            for index in range(len(view.draining), view.draining_replicas)
        ]
        return [*read, *unread]

    def _replica(self, name: str, *, state: ReplicaState, ordered: float) -> Replica:
        return Replica(
            replica_id=ReplicaId(self._names.replica_prefix + name),
            service=self._names.service,
            variant=self._names.variant,
            state=state,
            ordered_timestamp_seconds=ordered,
            serving_timestamp_seconds=None,
            base_url=None,
        )


@dataclass(slots=True)
class _Cumulative:
    """A histogram that only grows."""

    edges: FloatArray
    counts: FloatArray
    total: float = 0.0

    @classmethod
    def around(cls, threshold_seconds: float) -> "_Cumulative":
        edges = np.asarray(EDGE_FACTORS) * threshold_seconds
        return cls(edges=edges, counts=np.zeros(len(edges) + 1))

    def add(self, values: FloatArray, weights: FloatArray | None = None) -> None:
        places = np.searchsorted(self.edges, values, side="left")
        weights = np.ones(len(values)) if weights is None else weights
        self.counts += np.bincount(places, weights=weights, minlength=len(self.counts))
        self.total += float((values * weights).sum())

    def reading(self, now: float) -> Fresh[Histogram]:
        value = Histogram(
            upper_bounds=tuple(self.edges.tolist()),
            counts=tuple(self.counts.tolist()),
            sum=self.total,
        )
        return Fresh(value=value, observed_timestamp_seconds=now, source=SOURCE)


def _traffic(view: FleetView, *, now: float) -> TrafficView:
    return TrafficView(
        arrived_requests_total=fresh(view.arrived_requests_total, now=now),
        completed_requests_total=fresh(view.completed_requests_total, now=now),
        failed_requests_total=fresh(view.failed_requests_total, now=now),
        aborted_requests_total=fresh(0, now=now),
        shed_requests_total=fresh(view.shed_requests_total, now=now),
        admitted_prompt_tokens_total=fresh(view.arrived_prompt_tokens_total, now=now),
        output_tokens_total=fresh(view.completed_output_tokens_total, now=now),
        in_flight_requests=fresh(view.in_flight_requests, now=now),
        held_requests=fresh(view.held_requests, now=now),
        oldest_held_seconds=fresh(view.oldest_held_seconds, now=now),
    )


def fresh(value: float, *, now: float) -> Fresh[float]:
    """A number read at `now`, epoch seconds."""
    return Fresh(value=float(value), observed_timestamp_seconds=now, source=SOURCE)
