"""All that the earlier stages found out about one service, for the plan."""

from dataclasses import dataclass, field

from autoscaler.model.action import Reason
from autoscaler.model.capacity import Capacity
from autoscaler.model.demand import Announced, Forecast, Rates
from collector.model.catalogue import Service, Variant
from collector.model.snapshot import ReplicaView


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Replicas of one variant."""

    variant: Variant
    supply: tuple[ReplicaView, ...]  # pending, loading, serving
    serving: tuple[ReplicaView, ...]
    draining_count: int
    capacity: (
        Capacity | None
    )  # of one replica, with roles of a unit; None: a token has no known cost yet
    lead_time_seconds: float
    footprint_bytes: int  # of one more replica
    start_allowed_timestamp_seconds: float  # earlier: waiting after failed starts


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """One service before the plan."""

    service: Service
    fleets: tuple[Fleet, ...]  # in growth order: cheapest work first
    doubts: tuple[tuple[Reason, str], ...]
    demand_now: Rates | None
    demand_onset: Rates | None  # what the last half minute proves at least
    forecast: Forecast | None
    held_requests: float | None
    oldest_held_seconds: float
    backlog_requests: float | None  # held, and queued beyond the slots of serving replicas
    backlog_tokens: Rates | None  # the backlog as demand, spread over the time to drain it
    completed_requests_per_second: float | None  # by our replicas, over the level window
    burn_rate: float | None  # of the last minutes
    long_burn_rate: float | None  # of the last days
    headroom_factor: float  # on the point forecast: the demand it is sized for
    idle_seconds: float | None  # since the last demand; None: unknown
    violation_price_per_minute: float
    announced: Announced = field(default_factory=Announced)  # in the forecast already
    engines: tuple[ReplicaView, ...] = ()  # that its units are made of; none without roles
    are_lengths_unknown: bool = False  # no answer was counted yet: output tokens are not told

    @property
    def supply_count(self) -> int:
        """Replicas that serve or will."""
        return sum(len(fleet.supply) for fleet in self.fleets)

    @property
    def serving_count(self) -> int:
        """Replicas that serve now."""
        return sum(len(fleet.serving) for fleet in self.fleets)

    @property
    def is_expected(self) -> bool:
        """Whether the calendar wants it ready although nobody may have asked for it lately."""
        return self.forecast is not None and self.forecast.least is not None

    @property
    def capacity(self) -> Capacity | None:
        """Capacity of the first variant in growth order that has a known one: the reference, in
        whose unit work is counted."""
        known = (fleet.capacity for fleet in self.fleets if fleet.capacity is not None)
        return next(known, None)

    @property
    def min_replicas(self) -> int:
        """Declared minimum over all variants."""
        return sum(fleet.variant.min_replicas for fleet in self.fleets)

    @property
    def max_replicas(self) -> int:
        """Declared maximum over all variants."""
        return sum(fleet.variant.max_replicas for fleet in self.fleets)
