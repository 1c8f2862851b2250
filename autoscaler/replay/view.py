"""What a policy sees of one service at one moment, and what it is asked for.

In: made by the runner from the plant. Out: to peers' policies as it is, to `decide` as a Snapshot.
Nothing in it is known only to a simulator, except where a field says so.
"""

from dataclasses import dataclass
from typing import Protocol

from autoscaler.engine_model.costs import EngineLimits, StepCosts
from autoscaler.replay.faults import SeriesFault
from autoscaler.replay.workload import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSample:
    """One ready replica as its own metrics tell."""

    number: int  # unique within a replay
    running_requests: int
    waiting_requests: int
    kv_used_tokens: int
    prompt_tokens_total: int  # computed since its start
    output_tokens_total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetView:
    """One service with one variant."""

    now_seconds: float  # since the start of the trace
    ordered_replicas: int  # wanted now: pending and ready, not those that drain
    draining_replicas: int
    pending_ordered_seconds: tuple[float, ...]  # when each pending one was ordered
    lead_times_seconds: tuple[float, ...]  # order to ready, of those ready since the last look
    replicas: tuple[ReplicaSample, ...]  # the ready ones, oldest first
    in_flight_requests: int  # in all engines, draining ones included
    held_requests: int  # at the gateway, because no replica is ready
    oldest_held_seconds: float
    arrived_requests_total: int
    arrived_prompt_tokens_total: int
    completed_requests_total: int
    completed_prompt_tokens_total: int
    completed_output_tokens_total: int
    failed_requests_total: int
    shed_requests_total: int
    # Of requests since this policy's last look, in order of the event:
    first_token_seconds: FloatArray  # times to first token, (k,)
    output_token_seconds: FloatArray  # mean times per output token of those finished, (m,)
    finished_output_tokens: FloatArray  # their output tokens, (m,)
    # What goes wrong; all of it since this policy's last look:
    failed_starts_seconds: tuple[float, ...] = ()  # when each of them was given up
    failed_orders_seconds: tuple[float, ...] = ()  # when each of these had been ordered
    lives_lost_seconds: tuple[float, ...] = ()  # of replicas that died: how long each had served
    read_seconds: float | None = None  # when the numbers were read; None: now
    elapsed_seconds: float | None = (
        None  # since the start, whatever the clock says; None: as it says
    )
    unread_replicas: tuple[int, ...] = ()  # ready ones that were never read, by number
    series_fault: SeriesFault = SeriesFault.NONE
    draining: tuple[ReplicaSample, ...] = ()  # of those that drain, as far as they were read

    @property
    def ready_replicas(self) -> int:
        """Replicas that serve."""
        return len(self.replicas) + len(self.unread_replicas)

    @property
    def pending_replicas(self) -> int:
        """Ordered and not ready yet."""
        return self.ordered_replicas - self.ready_replicas

    @property
    def running_requests(self) -> int:
        """In the engines' batches."""
        return sum(each.running_requests for each in self.replicas)

    @property
    def waiting_requests(self) -> int:
        """Queued at engines, and held at the gateway."""
        return sum(each.waiting_requests for each in self.replicas) + self.held_requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """What a request must meet: both."""

    time_to_first_token_seconds: float
    output_token_seconds: float  # mean per request
    target_ratio: float  # share of requests


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is known before a replay starts."""

    costs: StepCosts  # the truth; policies that measure their engines beforehand may use it
    limits: EngineLimits
    objectives: Objectives
    provision_seconds: float  # median from order to ready
    min_replicas: int
    max_replicas: int
    gpus_per_replica: int


class Policy(Protocol):
    """Decides one service's replicas. One instance per replay; it may remember."""

    @property
    def interval_seconds(self) -> float:
        """How often it is asked."""
        ...

    def desired_replicas(self, view: FleetView) -> int:
        """How many replicas are wanted; the runner keeps it within the setting's limits."""
        ...
