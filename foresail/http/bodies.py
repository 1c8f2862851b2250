"""Schema of what the app answers; OpenAPI is made from it.

In: nothing. Out: pydantic models that `state_view` and `decision_view` fill. null means not known,
never zero. Times are seconds since 1970, ratios 0 to 1, sizes bytes. Must not compute.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from autoscaler.model.action import Direction, Reason
from autoscaler.model.decision import Verdict
from autoscaler.model.effect import EffectKind, Phase
from autoscaler.series import TickStep
from collector.model.catalogue import Mode, PoolKind, Sli
from collector.model.reading import MissingReason
from collector.model.replica import EngineKind, ReplicaState
from collector.model.roles import EngineRole


class Body(BaseModel):
    """What all bodies share: the docstring of a field is its description in OpenAPI."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, ser_json_inf_nan="null"
    )


class Health(Body):
    """Whether the process is alive, or the controller ready."""

    status: Literal["ok", "not_ready"]
    reason: str | None = None
    """Why it is not ready, in one line."""


class Refusal(Body):
    """Why a request was not answered."""

    error: str


class ReadingBody(Body):
    """A number with its age and source, or why there is none."""

    value: float | None
    quality: Literal["fresh", "stale", "missing"]
    """Only a fresh value may lead to taking something away."""
    age_seconds: float | None
    source: str
    missing_reason: MissingReason | None = None


class ActionBody(Body):
    """What is done, or would be."""

    kind: Literal["hold", "scale"]
    direction: Direction | None = None
    variant: str | None = None
    from_replicas: int | None = None
    to_replicas: int | None = None
    stop_replicas: list[str] = []
    """Ids of the replicas that go."""


class CandidateBody(Body):
    """One thing that could be done."""

    action: ActionBody
    value_per_hour: float | None
    """In the catalogue's money; null when it cannot be valued."""
    rejected_because: Reason | None
    """null for the chosen one."""


class RoleBody(Body):
    """The engines of one role of a variant; a unit of them is a replica."""

    variant: str
    role: EngineRole
    engines_per_unit: int
    serving_engines: int
    needed_engines: int
    """For the units that the decision comes to."""
    sustained_requests_per_second: float | None
    """Of one unit, as far as this role goes; null while that is not known."""
    used_ratio: float | None
    """Of that, when the unit carries all it can; 1: this role binds."""
    is_misfit: bool
    """Whether it idles for more than half then: another ratio would fit the mix of tokens."""


class EvidenceBody(Body):
    """The numbers a decision was made from."""

    supply_replicas: int
    serving_replicas: int
    needed_replicas: int | None
    demand_requests_per_second: float | None
    demand_work_ratio: float | None
    """Replica-seconds of work per second, now."""
    expected_work_ratio: float | None
    """The same, expected at most within the lead time."""
    backlog_requests: float | None
    capacity_low_ratio: float | None
    capacity_high_ratio: float | None
    lead_time_seconds: float
    burn_rate: float | None
    """Of the worst objective; 1 spends exactly its error budget."""
    expected_shortfall_ratio_without: float | None
    """Share of the demand that is not carried if nothing is done."""
    expected_shortfall_ratio_with: float | None
    quality: list[str]
    """What is wrong with the data, one line each."""
    learning: list[str]
    """What was taken from a prior, one clause each, until more was seen."""
    planning: list[str]
    """Where the plan may have missed its best, one clause each."""
    announced: list[str]
    """Events of the calendar that raised the forecast, one clause each."""
    roles: list[RoleBody]
    """Of variants whose engines have roles: prefill and decode."""


class DecisionBody(Body):
    """One service, one moment."""

    decision_id: str
    service: str
    decided_timestamp_seconds: float
    action: ActionBody
    action_words: str
    reason: Reason
    reason_words: str
    verdict: Verdict
    verdict_words: str
    explanation: str
    """One paragraph for a person."""
    evidence: EvidenceBody
    candidates: list[CandidateBody]
    catalogue_digest: str


class DecisionsBody(Body):
    """Remembered decisions, newest first. The whole record is the ledger."""

    decisions: list[DecisionBody]


class ObjectiveBody(Body):
    """One promise, and how far it is kept."""

    sli: Sli
    threshold_seconds: float | None
    target_ratio: float
    window_seconds: float
    words: str
    attainment_ratio: float | None
    """Share of judged events that kept it; null when none was judged or nothing was measured."""
    is_met: bool | None
    """Over what was measured here, which may be shorter than the objective's own window."""
    judged_events: float | None
    measured_seconds: float | None
    """How much of the past the share is taken over."""


class ReplicaBody(Body):
    """One running copy, or one engine of a unit."""

    replica_id: str
    variant: str
    role: EngineRole | None = None
    """Of an engine of a unit; null for one that does whole requests."""
    state: ReplicaState
    ordered_timestamp_seconds: float
    serving_timestamp_seconds: float | None
    base_url: str | None
    in_flight_requests: ReadingBody
    running_requests: ReadingBody
    waiting_requests: ReadingBody
    memory_bytes: ReadingBody


class VariantBody(Body):
    """One way to run the service, as declared."""

    name: str
    engine: EngineKind
    pool: str
    min_replicas: int
    max_replicas: int
    memory_bytes: int


class DemandBody(Body):
    """Requests admitted."""

    requests_per_second: float | None
    """Level at the last decision."""
    bin_seconds: float | None
    bins_requests_per_second: list[float | None]
    """The recent past, oldest first; null for a bin nobody measured."""


class ServiceBody(Body):
    """One service as its users and its owner see it."""

    name: str
    models: list[str]
    """Names clients may use."""
    owner: str
    tier: str
    variants: list[VariantBody]
    replicas: list[ReplicaBody]
    demand: DemandBody
    in_flight_requests: ReadingBody
    held_requests: ReadingBody
    oldest_held_seconds: ReadingBody
    objectives: list[ObjectiveBody]
    last_decision: DecisionBody | None


class HolderBody(Body):
    """What one replica holds in its pool."""

    replica_id: str
    service: str
    state: ReplicaState
    memory_bytes: float
    is_measured: bool
    """false: what it is declared to hold, because it was not measured yet or holds less so far."""


class PoolBody(Body):
    """One memory pool: who holds what."""

    name: str
    kind: PoolKind
    capacity_bytes: int
    reserve_bytes: int
    """Kept for everybody else."""
    held_bytes: float
    free_bytes: float
    """What is left of capacity minus reserve; negative when more is held than allowed."""
    available_bytes: ReadingBody
    """What the host could still give out."""
    holders: list[HolderBody]


class TickBody(Body):
    """The control loop."""

    count: int
    interval_seconds: float
    last_success_timestamp_seconds: float | None
    last_success_age_seconds: float | None
    last_problem: str | None
    step_seconds: dict[TickStep, float]


class CatalogueBody(Body):
    """What the owner declared."""

    version: int | None
    digest: str | None
    problem: str | None
    """Why the file, as it is now, is not in force; null when it is."""


class LedgerRecordBody(Body):
    """One record, as stored."""

    seq: int
    timestamp_seconds: float
    kind: str
    hash: str
    body: str
    """Canonical JSON; these are the bytes that are hashed."""


class LedgerBody(Body):
    """The record of decisions, effects and outcomes."""

    record_count: int
    head_hash: str | None
    is_intact: bool | None
    """As last verified; null when it has not been since the start."""
    verified_timestamp_seconds: float | None
    findings: list[str]
    recent: list[LedgerRecordBody]


class EffectBody(Body):
    """One replica being started or stopped."""

    effect_id: str
    decision_id: str
    kind: EffectKind
    phase: Phase
    service: str
    variant: str
    replica_id: str
    since_timestamp_seconds: float
    detail: str


class GatewayBody(Body):
    """Where clients send requests, and what the gateway was told."""

    is_left_out: bool  # clients come through a gateway of the owner's; the rest is null then
    url: str | None
    routes_epoch: int | None
    routes_version: int | None
    is_accepted: bool | None


class ProblemBody(Body):
    """Something that failed or could not be used, and why, in one line."""

    source: str
    message: str


class StateBody(Body):
    """Everything the page shows, at one moment."""

    foresail_version: str
    reported_timestamp_seconds: float
    started_timestamp_seconds: float
    mode: Mode | None
    mode_words: str
    is_ready: bool
    not_ready_reason: str | None
    tick: TickBody
    catalogue: CatalogueBody
    ledger: LedgerBody | None
    gateway: GatewayBody
    pools: list[PoolBody]
    services: list[ServiceBody]
    running_effects: list[EffectBody]
    problems: list[ProblemBody]
