"""Everything the controller has learned and must remember, as one serialisable value.

`decide` takes it and returns the next one; events are applied between ticks. A restart or a replay
continues from a checkpoint of it. All collections are bounded by the constants below.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from autoscaler.model.action import Reason
from autoscaler.model.demand import DemandBefore
from autoscaler.model.overflow import OverflowState
from collector.model.catalogue import CapacityPrior
from collector.model.ids import ReplicaId, ServiceName, VariantName
from collector.model.roles import EngineRole

MAX_SAMPLES = 240
"""Kept per kind of sample; with 15 s bins that is the last hour."""
PROFILE_BINS = 720
"""Of a day, two minutes each: twice as many hardly foretell more (docs/benchmarks/lead_forecast.md)."""
PROFILE_PLACES = 2 * PROFILE_BINS
"""A working day, then a day of the weekend."""
LOAD_BINS = 16
"""Of the load of a service's replicas, a tenth of what they sustain each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayProfile:
    """A service's mean working day and mean day of the weekend (`forecast.day_profile`).

    Packed numbers and not tuples of them: 7 kB per service, and as fast to copy as to compare.
    Raises ValueError for a length that is neither none nor all.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = {  # in JSON, as text
        "ser_json_bytes": "base64",
        "val_json_bytes": "base64",
    }

    work: bytes = b""  # mean demand per place, little-endian 32-bit floats; empty: nothing was told
    days: bytes = b""  # how many days have told each place, at most 255; 0: its mean says nothing
    next_bin: int | None = None  # bins since the epoch: the first that was not looked at yet

    def __post_init__(self) -> None:
        for name, size in (("work", 4 * PROFILE_PLACES), ("days", PROFILE_PLACES)):
            length = len(getattr(self, name))
            if length not in (0, size) or (length == 0) != (self.days == b""):
                raise ValueError(
                    f"{name} must have 0 bytes, with days and work, or {size}: {length}"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleFit:
    """What a service has taught about its forecast at the lead time (`forecast.lead_time`)."""

    gram: tuple[float, ...] = ()  # upper triangle over the columns, in the order of `multiscale`
    moment: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()  # of the windows, then of past days; empty: the prior's
    rows_total: int = 0
    error_rows: float = 0.0  # logarithms of what came over what was forecast, old ones fading:
    error_sum: float = 0.0
    error_square_sum: float = 0.0
    covered_rows: float = 0.0  # of error_rows: came at or under its P90
    spread_factor: float = 1.0  # on the errors' spread, so that the P90 keeps its promise
    last_timestamp_seconds: float | None = None  # end of the newest bin that was learned from
    day_profile: DayProfile = DayProfile()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommendation:
    """How many replicas were needed at one moment; the scale-in hold looks back over these."""

    timestamp_seconds: float
    replicas: int
    variant: VariantName | None = None  # of several: the one that `alone_replicas` is counted in
    alone_replicas: float | None = None  # so many of it alone would have been enough


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFit:
    """Sums over rows that say how long steps take (`capacity.steps`); enough to solve for the costs.

    Raises ValueError for lengths that are not those of four unknowns.
    """

    gram: tuple[float, ...] = (0.0,) * 10  # upper triangle of X'X, row by row
    moment: tuple[float, ...] = (0.0,) * 4  # X'1
    rows: float = 0.0  # the older a row, the less it counts
    is_kv_told: bool = False  # in all of its rows, 0 or not; False: in none of them
    recent_kv: float = 0.0  # of rows of the last hour or so: the KV column, and the sequences
    recent_sequences: float = 0.0
    costs: tuple[float, float, float, float] | None = (
        None  # floor, output, prompt, whole KV cache, when rows last told them
    )
    least_step_seconds: float | None = (
        None  # no step's floor is above it; creeps up, in case it was a slip
    )
    rejected_rows: int = 0  # in a row: contradict the fit

    def __post_init__(self) -> None:
        if (len(self.gram), len(self.moment)) != (10, 4):
            raise ValueError(
                f"a step fit has 10 products and 4 sums, not {len(self.gram)} and {len(self.moment)}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRun:
    """Work of a service's replicas, summed up until it is enough for a row."""

    replica_seconds: float = 0.0
    prompt_tokens: float = 0.0
    output_tokens: float = 0.0
    kv_replica_seconds: float | None = 0.0  # each times its KV cache's share in use; None: not told
    unsaturated_replica_seconds: float = 0.0  # of them: not all replicas were near saturation
    token_gaps: float = 0.0  # times between two tokens, and their sum
    token_gap_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenGapTotals:
    """The service's inter-token latency counters at the last look."""

    token_gaps: float
    token_gap_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectiveTotals:
    """Cumulative events per objective, in declared order, at the last look."""

    seconds: float  # epoch
    good: tuple[float, ...]
    judged: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSpending:
    """Events of one objective, the older the less they count."""

    objective: str = ""  # what it asks for; another threshold is another objective

    bad: float = 0.0
    allowed: float = 0.0
    seconds: float = 0.0  # watched


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnCurve:
    """Events at which load (`slo.burn_curve`), the older the less they count.

    Raises ValueError for lengths that do not fit each other.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = {  # in JSON, as text
        "ser_json_bytes": "base64",
        "val_json_bytes": "base64",
    }

    key: str = ""  # the objectives that were watched
    bad: bytes = b""  # per objective and bin of the load, little-endian 32-bit floats
    judged: bytes = b""

    def __post_init__(self) -> None:
        size = 4 * LOAD_BINS * (self.key.count(";") + 1 if self.key else 0)
        if len(self.bad) != size or len(self.judged) != size:
            raise ValueError(
                f"bad and judged must have {size} bytes each: {len(self.bad)}, {len(self.judged)}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceState:
    """What is remembered about one service."""

    recommendations: tuple[Recommendation, ...] = ()  # oldest first, within the hold window
    scale_fit: ScaleFit = ScaleFit()
    output_tokens_per_request: float | None = None  # mean of completed requests
    prompt_tokens_per_request: float | None = None
    last_demand_timestamp_seconds: float | None = None  # None: no request ever seen
    last_reason: Reason | None = None
    last_served_timestamp_seconds: float | None = None  # None: no replica was ever seen to serve
    token_gap_totals: TokenGapTotals | None = None
    step_run: StepRun = StepRun()
    objective_totals: ObjectiveTotals | None = None
    budgets: tuple[BudgetSpending, ...] = ()  # per objective; empty: none judged yet
    burn_curve: BurnCurve = BurnCurve()
    overloaded_timestamp_seconds: float | None = None  # last time that replicas were too few
    demand_before_events: tuple[DemandBefore, ...] = ()  # at most one per event, and the newest
    overflow: OverflowState = field(default_factory=OverflowState)


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantState:
    """What is remembered about one variant of one service."""

    probed_capacity: CapacityPrior | None = (
        None  # from the start-up probe; wins over the declared one
    )
    saturated_work_ratios: tuple[float, ...] = ()  # work done per second by one busy replica
    unsaturated_work_ratios: tuple[float, ...] = ()  # done while not busy: lower bounds of capacity
    lead_time_seconds: tuple[float, ...] = ()  # order to first useful token, newest last
    footprint_bytes: tuple[int, ...] = ()  # measured of serving replicas, newest last
    step_fit: StepFit = StepFit()
    consecutive_start_failures: int = 0
    last_start_failure_timestamp_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkSample:
    """A running count of one replica's work while it was (or was not) near saturation."""

    observed_timestamp_seconds: float
    prompt_tokens_total: float
    output_tokens_total: float
    is_saturated: bool  # slots nearly all busy, or a queue, at that moment
    kv_use_ratio: float | None = None  # at that moment; None: not told
    run_seconds: float = 0.0  # length of the unbroken run in the same condition
    run_prompt_tokens: float = 0.0
    run_output_tokens: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerState:
    """All of it."""

    services: Mapping[ServiceName, ServiceState] = field(default_factory=dict)
    variants: Mapping[ServiceName, Mapping[VariantName, VariantState]] = field(default_factory=dict)
    roles: Mapping[ServiceName, Mapping[VariantName, Mapping[EngineRole, VariantState]]] = field(
        default_factory=dict
    )  # of variants that have roles: what their engines do; step times are with the variant
    replicas: Mapping[ReplicaId, WorkSample] = field(default_factory=dict)

    def service(self, name: ServiceName) -> ServiceState:
        """What is known about a service; nothing for a new one."""
        return self.services.get(name, ServiceState())

    def variant(self, service: ServiceName, variant: VariantName) -> VariantState:
        """What is known about a variant; nothing for a new one."""
        return self.variants.get(service, {}).get(variant, VariantState())

    def role(self, service: ServiceName, variant: VariantName, role: EngineRole) -> VariantState:
        """What is known about the engines of one role; nothing for a new one."""
        return self.roles.get(service, {}).get(variant, {}).get(role, VariantState())


def bounded(samples: tuple[float, ...], new: float) -> tuple[float, ...]:
    """The samples with one more, the oldest dropped above MAX_SAMPLES."""
    return (*samples, new)[-MAX_SAMPLES:]
