"""What can be done, and the closed list of reasons for doing or not doing it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from collector.model.ids import ReplicaId, VariantName


class Direction(StrEnum):
    """Which way a scale action goes."""

    OUT = "out"
    IN = "in"


class Reason(StrEnum):
    """Why; the same word appears in log, ledger, metric label, page and runbook."""

    # scale out
    DEMAND_FORECAST = "demand_forecast"  # expected demand exceeds what the replicas carry
    CALENDAR_EVENT = "calendar_event"  # an event of the catalogue's calendar begins, or lasts
    BACKLOG = (
        "backlog"  # queued work must be drained in time, or capacity is unknown and a queue stands
    )
    HELD_REQUEST = "held_request"  # the gateway holds a request and no replica serves or comes
    MINIMUM_REPLICAS = "minimum_replicas"
    CHEAPER_MIX = "cheaper_mix"  # other variants carry the same for clearly less money
    # scale in
    SURPLUS_CAPACITY = "surplus_capacity"  # not needed for the whole hold, N-1 test passed
    IDLE = "idle"  # no demand for the idle time, down to zero
    YIELD_MEMORY = "yield_memory"  # its memory avoids more violations elsewhere
    ABOVE_MAXIMUM = "above_maximum"
    NOT_DECLARED = "not_declared"  # the catalogue does not know its service or variant any more
    # hold
    STEADY = "steady"
    SCALE_IN_HOLD = "scale_in_hold"  # fewer would do now, but not yet for long enough
    CONSOLIDATION_TEST = "consolidation_test"  # N-1 replicas would be loaded too much
    BUDGET_BURNING = "budget_burning"
    NO_FRESH_DATA = "no_fresh_data"
    DEMAND_NOT_CONSERVED = "demand_not_conserved"  # arrivals and outcomes contradict each other
    CHANGE_IN_PROGRESS = "change_in_progress"
    MEMORY_FULL = "memory_full"
    AT_MAXIMUM_REPLICAS = "at_maximum_replicas"
    START_FAILING = "start_failing"  # waiting before the next try
    NOT_MANAGED = "not_managed"  # somebody else runs this variant


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A change of the number of replicas of one variant."""

    variant: VariantName
    direction: Direction
    from_replicas: int  # pending, loading and serving ones before
    to_replicas: int
    stop_replicas: tuple[ReplicaId, ...] = ()  # which ones go; empty when scaling out
    kind: Literal["scale"] = "scale"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Nothing is changed, on purpose."""

    kind: Literal["hold"] = "hold"


Action = Scale | Hold
