"""`decide` as a replay policy: the live decision, fed through the live snapshot.

In: views of the simulated fleet. Out: how many replicas `decide` wants. Builds the snapshot that the
collector would have assembled, keeps the history in the same store, and hands on the events that the
executor would have reported. Adds no rule of its own.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from autoscaler.decide import decide
from autoscaler.forecast.lead_time import look_back_seconds
from autoscaler.learn import apply_event
from autoscaler.model.action import Scale
from autoscaler.model.decision import Decision
from autoscaler.model.event import ReplicaDied, ReplicaReady, ReplicaStartFailed
from autoscaler.model.state import ControllerState
from autoscaler.replay.catalogue import POOL, REPLICA_BYTES, SERVICE, VARIANT, replay_catalogue
from autoscaler.replay.faulty_snapshot import repeated, unanswered
from autoscaler.replay.probe import probe_costs
from autoscaler.replay.view import FleetView, ReplicaSample, Setting
from autoscaler.replay.workload import FloatArray
from collector.history.memory import MemoryHistoryStore
from collector.increments import clock_was_set, increments
from collector.model.catalogue import CapacityPrior, Control
from collector.model.histogram import Histogram
from collector.model.ids import ReplicaId
from collector.model.reading import Fresh, Missing, MissingReason
from collector.model.replica import Replica, ReplicaState
from collector.model.snapshot import (
    LatencyView,
    PoolView,
    ReplicaView,
    ServiceView,
    Snapshot,
    TrafficView,
)

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


class DecidePolicy:
    """Foresail itself, with its shipped defaults unless another control is given."""

    def __init__(
        self,
        setting: Setting,
        *,
        control: Control | None = None,
        interval_seconds: float = 15.0,
        is_probed: bool = True,
        state: ControllerState | None = None,
    ) -> None:
        """`is_probed`: the first replica was probed at its start; else its capacity is unknown."""
        self._interval_seconds = interval_seconds
        self._setting = setting
        self._catalogue = replay_catalogue(setting, control=control or Control())
        self._state = state or ControllerState()
        self._prior = probe_costs(setting.costs, limits=setting.limits) if is_probed else None
        self._store = MemoryHistoryStore(bin_seconds=15.0, keep_seconds=6 * 3600.0)
        self._first_token = _Cumulative.around(setting.objectives.time_to_first_token_seconds)
        self._per_token = _Cumulative.around(setting.objectives.output_token_seconds)
        self._previous: Snapshot | None = None
        self._elapsed_seconds = 0.0
        self._replicas: dict[int, Replica] = {}
        self.decision: Decision | None = None  # the last one, for reports

    @property
    def interval_seconds(self) -> float:
        """As live control decides."""
        return self._interval_seconds

    @property
    def state(self) -> ControllerState:
        """Everything learned so far."""
        return self._state

    def desired_replicas(self, view: FleetView) -> int:
        """What the decision comes to; the present count when it holds or only advises."""
        now = START_TIMESTAMP_SECONDS + view.now_seconds
        self._apply_events(view)
        snapshot = _as_seen(self._snapshot(view, now=now), view=view)
        self._record(snapshot, view=view)
        decided = decide(
            snapshot=snapshot,
            history=self._store.history(
                services=(SERVICE,),
                window_seconds=look_back_seconds(self._catalogue.control),
                now_timestamp_seconds=now,
            ),
            catalogue=self._catalogue,
            state=self._state,
            now=now,
        )
        self._state = decided.next_state
        self.decision = next(each for each in decided.decisions if each.service == SERVICE)
        action = self.decision.action
        if self.decision.is_effective and isinstance(action, Scale):
            return action.to_replicas
        return view.ordered_replicas

    def _apply_events(self, view: FleetView) -> None:
        for lead in view.lead_times_seconds:
            self._ready(lead_time_seconds=lead, prior=self._prior)
        for failed in view.failed_starts_seconds:
            self._state = apply_event(self._state, _start_failed(failed))
        for lived in view.lives_lost_seconds:
            self._state = apply_event(self._state, _died(view, lived_seconds=lived))
        if self._prior is not None and self._previous is None:
            self._ready(lead_time_seconds=self._setting.provision_seconds, prior=self._prior)

    def _ready(self, *, lead_time_seconds: float, prior: CapacityPrior | None) -> None:
        event = ReplicaReady(
            service=SERVICE,
            variant=VARIANT,
            replica_id=ReplicaId("replica"),
            lead_time_seconds=lead_time_seconds,
            probed_capacity=prior,
        )
        self._state = apply_event(self._state, event)

    def _record(self, snapshot: Snapshot, *, view: FleetView) -> None:
        elapsed = view.now_seconds if view.elapsed_seconds is None else view.elapsed_seconds
        before, self._elapsed_seconds = self._elapsed_seconds, elapsed
        if self._previous is not None and not clock_was_set(
            wall_seconds=snapshot.taken_timestamp_seconds - self._previous.taken_timestamp_seconds,
            elapsed_seconds=elapsed - before,
        ):
            found = increments(self._previous, snapshot, catalogue=self._catalogue)
            self._store.append(
                start_timestamp_seconds=found.start_timestamp_seconds,
                end_timestamp_seconds=found.end_timestamp_seconds,
                increases=found.increases,
                levels=found.levels,
            )
        self._previous = snapshot

    def _snapshot(self, view: FleetView, *, now: float) -> Snapshot:
        self._first_token.add(view.first_token_seconds)
        self._per_token.add(
            view.output_token_seconds, np.maximum(view.finished_output_tokens - 1, 0)
        )
        held = self._setting.max_replicas * 2 - view.ordered_replicas
        return Snapshot(
            taken_timestamp_seconds=now,
            services=(self._service_view(view, now=now),),
            replicas=(
                *self._ready_views(view, now=now),
                *_unread_views(view, now=now),
                *_pending_views(view),
            ),
            pools=(PoolView(pool=POOL, available_bytes=_fresh(held * REPLICA_BYTES, now)),),
            gateway_start_timestamp_seconds=_fresh(START_TIMESTAMP_SECONDS, now),
        )

    def _service_view(self, view: FleetView, *, now: float) -> ServiceView:
        return ServiceView(
            service=SERVICE,
            traffic=TrafficView(
                arrived_requests_total=_fresh(view.arrived_requests_total, now),
                completed_requests_total=_fresh(view.completed_requests_total, now),
                failed_requests_total=_fresh(view.failed_requests_total, now),
                aborted_requests_total=_fresh(0, now),
                shed_requests_total=_fresh(view.shed_requests_total, now),
                admitted_prompt_tokens_total=_fresh(view.arrived_prompt_tokens_total, now),
                output_tokens_total=_fresh(view.completed_output_tokens_total, now),
                in_flight_requests=_fresh(view.in_flight_requests, now),
                held_requests=_fresh(view.held_requests, now),
                oldest_held_seconds=_fresh(view.oldest_held_seconds, now),
            ),
            latency=LatencyView(
                time_to_first_token=self._first_token.reading(now),
                inter_token_latency=self._per_token.reading(now),
                end_to_end_latency=Missing(reason=MissingReason.NOT_READ_YET, source=SOURCE),
            ),
        )

    def _ready_views(self, view: FleetView, *, now: float) -> list[ReplicaView]:
        numbers = {sample.number for sample in view.replicas}
        self._replicas = {n: r for n, r in self._replicas.items() if n in numbers}
        return [self._ready_view(sample, now=now) for sample in view.replicas]

    def _ready_view(self, sample: ReplicaSample, *, now: float) -> ReplicaView:
        replica = self._replicas.get(sample.number)
        if replica is None:
            replica = _replica(f"replica-{sample.number}", state=ReplicaState.SERVING, ordered=now)
            replica = replace(replica, serving_timestamp_seconds=now)
            self._replicas[sample.number] = replica
        in_flight = sample.running_requests + sample.waiting_requests
        return ReplicaView(
            replica=replica,
            running_requests=_fresh(sample.running_requests, now),
            waiting_requests=_fresh(sample.waiting_requests, now),
            prompt_tokens_total=_fresh(sample.prompt_tokens_total, now),
            output_tokens_total=_fresh(sample.output_tokens_total, now),
            in_flight_requests=_fresh(in_flight, now),
            memory_bytes=_fresh(REPLICA_BYTES, now),
        )


def _as_seen(snapshot: Snapshot, *, view: FleetView) -> Snapshot:
    """With what the faults of the replay do to it."""
    if view.read_seconds is not None:
        read = START_TIMESTAMP_SECONDS + view.read_seconds
        return unanswered(snapshot, read_timestamp_seconds=read)
    return repeated(snapshot, fault=view.series_fault)


def _pending_views(view: FleetView) -> list[ReplicaView]:
    return [
        _view_without_readings(
            _replica(
                f"pending-{index}",
                state=ReplicaState.LOADING,
                ordered=START_TIMESTAMP_SECONDS + ordered,
            ),
            MissingReason.NOT_READ_YET,
        )
        for index, ordered in enumerate(view.pending_ordered_seconds)
    ]


def _unread_views(view: FleetView, *, now: float) -> list[ReplicaView]:
    """Ready replicas whose metrics nobody has ever read."""
    return [
        _view_without_readings(
            _replica(f"replica-{number}", state=ReplicaState.SERVING, ordered=now),
            MissingReason.SOURCE_UNREACHABLE,
        )
        for number in view.unread_replicas
    ]


def _view_without_readings(replica: Replica, reason: MissingReason) -> ReplicaView:
    missing = Missing(reason=reason, source=SOURCE)
    return ReplicaView(
        replica=replica,
        running_requests=missing,
        waiting_requests=missing,
        prompt_tokens_total=missing,
        output_tokens_total=missing,
        in_flight_requests=missing,
        memory_bytes=missing,
    )


def _start_failed(failed_seconds: float) -> ReplicaStartFailed:
    return ReplicaStartFailed(
        service=SERVICE,
        variant=VARIANT,
        replica_id=ReplicaId("replica"),
        failed_timestamp_seconds=START_TIMESTAMP_SECONDS + failed_seconds,
        message="not ready in time",
    )


def _died(view: FleetView, *, lived_seconds: float) -> ReplicaDied:
    return ReplicaDied(
        service=SERVICE,
        variant=VARIANT,
        replica_id=ReplicaId("replica"),
        died_timestamp_seconds=START_TIMESTAMP_SECONDS + view.now_seconds,
        lived_seconds=lived_seconds,
        message="killed",
    )


def _replica(name: str, *, state: ReplicaState, ordered: float) -> Replica:
    return Replica(
        replica_id=ReplicaId(name),
        service=SERVICE,
        variant=VARIANT,
        state=state,
        ordered_timestamp_seconds=ordered,
        serving_timestamp_seconds=None,
        base_url=None,
    )


def _fresh(value: float, now: float) -> Fresh[float]:
    return Fresh(value=float(value), observed_timestamp_seconds=now, source=SOURCE)
