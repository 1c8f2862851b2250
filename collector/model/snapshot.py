"""Everything one decision may look at, with the age of each fact.

Comes out of `assemble`, goes into `decide` and to disk. Counters are cumulative since the start of
whoever counts; increments are made when a snapshot enters the history.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from collector.model.contract import SleepState
from collector.model.histogram import Histogram
from collector.model.ids import PoolName, ReplicaId, ServiceName
from collector.model.reading import Missing, MissingReason, Number, Reading
from collector.model.replica import Replica

_GATEWAY_NOT_READ_YET = Missing(reason=MissingReason.NOT_READ_YET, source="gateway")
_ENGINE_NOT_READ_YET = Missing(reason=MissingReason.NOT_READ_YET, source="replica")


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyView:
    """Latencies of one service as cumulative histograms in seconds, measured where `source` says."""

    time_to_first_token: Reading[Histogram]
    inter_token_latency: Reading[Histogram]  # weighted: one observation per token
    end_to_end_latency: Reading[Histogram]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficView:
    """Demand and outcome of one service. Conservation: arrived = completed + failed + aborted + shed
    + held + in flight.

    Counted by the gateway; where there is none, by the engines since Foresail looks at them.
    """

    arrived_requests_total: Number  # well-formed requests for this service, shed ones included
    completed_requests_total: Number  # answered, a 4xx of the engine included: the client's mistake
    failed_requests_total: Number  # answered 429 or 5xx by the engine, or cut after the first byte
    aborted_requests_total: Number  # the client went away
    shed_requests_total: Number  # turned away: queue full, hold deadline, nothing can serve
    admitted_prompt_tokens_total: Number  # estimated at receipt, corrected at completion
    output_tokens_total: Number  # of completed requests, from the engine's usage
    in_flight_requests: Number  # forwarded to a replica, not finished
    held_requests: Number  # waiting for a replica to wake or start
    oldest_held_seconds: Number  # age of the longest held one; 0 when none is held
    overflow_completed_requests_total: Number = _GATEWAY_NOT_READ_YET  # of completed_requests_total
    overflow_prompt_tokens_total: Number = _GATEWAY_NOT_READ_YET  # sent to the overflow, to be paid
    overflow_output_tokens_total: Number = _GATEWAY_NOT_READ_YET
    overflow_in_flight_requests: Number = _GATEWAY_NOT_READ_YET  # a part of in_flight_requests


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceView:
    """One service as its users meet it."""

    service: ServiceName
    traffic: TrafficView
    latency: LatencyView


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineView:
    """What one engine tells beside its batch and queue; histograms and totals since its start."""

    version: Reading[str] = _ENGINE_NOT_READ_YET  # as it says, e.g. "0.32.0"
    config_hash: Reading[str] = _ENGINE_NOT_READ_YET  # of the settings its page tells
    sleep_state: Reading[SleepState] = _ENGINE_NOT_READ_YET
    waiting_requests_by_reason: Reading[Mapping[str, float]] = _ENGINE_NOT_READ_YET
    finished_requests_by_reason: Reading[Mapping[str, float]] = _ENGINE_NOT_READ_YET  # totals
    rejected_requests_by_reason: Reading[Mapping[str, float]] = _ENGINE_NOT_READ_YET  # totals
    failed_requests_total: Number = _ENGINE_NOT_READ_YET  # ended in an error of the engine
    preemptions_total: Number = _ENGINE_NOT_READ_YET
    kv_use_ratio: Number = _ENGINE_NOT_READ_YET  # 0..1, of the fullest where there are several
    kv_capacity_tokens: Number = _ENGINE_NOT_READ_YET  # all of them together
    prefix_cache_queried_tokens_total: Number = _ENGINE_NOT_READ_YET
    prefix_cache_hit_tokens_total: Number = _ENGINE_NOT_READ_YET
    time_to_first_token: Reading[Histogram] = _ENGINE_NOT_READ_YET
    inter_token_latency: Reading[Histogram] = _ENGINE_NOT_READ_YET
    end_to_end_latency: Reading[Histogram] = _ENGINE_NOT_READ_YET
    queue_time: Reading[Histogram] = _ENGINE_NOT_READ_YET

    @property
    def kv_used_tokens(self) -> Number:
        """Tokens in the KV cache; an upper bound where several engines make one replica."""
        use, capacity = self.kv_use_ratio, self.kv_capacity_tokens
        if isinstance(use, Missing) or isinstance(capacity, Missing):
            return use if isinstance(use, Missing) else capacity
        return replace(use, value=use.value * capacity.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaView:
    """One replica: its life from the actuator, its work from the engine, its memory from the host."""

    replica: Replica
    running_requests: Number  # in the engine's batch
    waiting_requests: Number  # queued in the engine
    prompt_tokens_total: Number  # computed, cached ones excluded
    output_tokens_total: Number
    in_flight_requests: Number  # the gateway's count for it; without a gateway the engine's
    memory_bytes: Number  # what the replica holds in its pool now
    engine: EngineView = EngineView()


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolView:
    """One memory pool of the machine."""

    pool: PoolName
    available_bytes: Number  # what host or accelerator could still give out, whoever has the rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something a source said that could not be used, in one line."""

    source: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The world at one moment. At most one view per service, replica and pool."""

    taken_timestamp_seconds: float
    services: tuple[ServiceView, ...]
    replicas: tuple[ReplicaView, ...]
    pools: tuple[PoolView, ...]
    problems: tuple[Problem, ...] = ()
    gateway_start_timestamp_seconds: Number = _GATEWAY_NOT_READ_YET
    """Since when the gateway counts; another value than before means that its counters restarted."""
    clock_set_by_seconds: float = 0.0
    """By how much the host's clock was set since the snapshot before, forward above 0; 0: it was not.
    What is remembered by the clock from before then has to move with it."""

    def service(self, name: ServiceName) -> ServiceView | None:
        """The view of one service; None when nothing was read about it."""
        return next((view for view in self.services if view.service == name), None)

    def replicas_of(self, name: ServiceName) -> tuple[ReplicaView, ...]:
        """All replicas of one service, in every state."""
        return tuple(view for view in self.replicas if view.replica.service == name)


def snapshots_by_service(
    snapshot: Snapshot, *, services: Iterable[ServiceName]
) -> dict[ServiceName, Snapshot]:
    """What concerns each service, in one pass; pools and problems concern none of them alone.

    Of two views of one thing the first counts.

    A look-up in the whole snapshot walks through it, which a tick cannot afford once per service.
    """
    views: dict[ServiceName, ServiceView] = {}
    for view in snapshot.services:
        views.setdefault(view.service, view)
    replicas: dict[ServiceName, dict[ReplicaId, ReplicaView]] = {}
    for each in snapshot.replicas:
        of_service = replicas.setdefault(each.replica.service, {})
        of_service.setdefault(each.replica.replica_id, each)
    return {
        name: Snapshot(
            taken_timestamp_seconds=snapshot.taken_timestamp_seconds,
            services=(views[name],) if name in views else (),
            replicas=tuple(replicas.get(name, {}).values()),
            pools=(),
            gateway_start_timestamp_seconds=snapshot.gateway_start_timestamp_seconds,
        )
        for name in services
    }
