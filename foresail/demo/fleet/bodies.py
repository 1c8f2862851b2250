"""Schema of what the page of a fleet demo asks for, and of the summary at the end.

In: nothing. Out: pydantic models that `report` fills. null means not known, never zero. Times are seconds
since the start of the traffic, ratios 0 to 1. Must not compute.
"""

from enum import StrEnum

from foresail.http.bodies import Body


class RunKind(StrEnum):
    """Where the services are."""

    REPLAY = "replay"  # nowhere: their engines are simulated
    LIVE = "live"  # behind HTTP, on emulated engines


class ServiceBody(Body):
    """One service, as both sides have it."""

    name: str
    tier: str
    gpus_per_replica: int
    time_to_first_token_seconds: float
    output_token_seconds: float
    target_ratio: float


class TierBody(Body):
    """The services of one tier together, on one side."""

    name: str
    target_ratio: float
    offered_requests: int
    attainment_ratio: float | None
    """Share of the requests judged so far that kept both objectives; null before the first."""
    is_met: bool | None


class ServiceNowBody(Body):
    """One service now, on one side."""

    name: str
    serving_replicas: int
    starting_replicas: int
    waiting_replicas: int
    """Ordered, and no GPU is free for them."""
    draining_replicas: int
    held_requests: int
    attainment_ratio: float | None


class MoveBody(Body):
    """A change that was decided; the same count twice: more was wanted and there was no room."""

    at_seconds: float
    service: str
    from_replicas: int
    to_replicas: int
    reason: str
    explanation: str


class SideBody(Body):
    """One policy on its GPUs."""

    name: str
    gpus_in_use: int
    gpu_hours: float
    changes: int
    tiers: list[TierBody]
    services: list[ServiceNowBody]
    timeline_seconds: list[float]
    timeline_gpus: dict[str, list[int]]
    """{service: GPUs in use at each of those times}."""
    moves: list[MoveBody]
    """The last ones, newest first."""


class FleetBody(Body):
    """Everything the page shows."""

    kind: RunKind
    gpus: int
    now_seconds: float
    end_seconds: float
    start_of_day_seconds: float
    """What the clock of the recording shows at the start, since midnight."""
    speed_ratio: float
    is_over: bool
    services: list[ServiceBody]
    sides: list[SideBody]


class ServiceSummary(Body):
    """What came of one service on one side. offered = served + shed + failed + unfinished."""

    name: str
    tier: str
    offered_requests: int
    served_requests: int
    shed_requests: int
    failed_requests: int
    unfinished_requests: int
    target_ratio: float
    attainment_ratio: float
    gpu_hours: float
    changes: int


class SideSummary(Body):
    """What came of one side."""

    policy: str
    gpu_hours: float
    changes: int
    peak_gpus: int
    services: list[ServiceSummary]
    tiers: list[TierBody]


class FleetSummary(Body):
    """The whole replay, or the whole live run."""

    kind: RunKind
    gpus: int
    start_of_day_seconds: float
    replayed_seconds: float
    seed: int
    sides: list[SideSummary]
