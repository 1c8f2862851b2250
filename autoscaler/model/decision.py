"""A decision: what was seen and expected, what was chosen, what lost and why, who may carry it out."""

from dataclasses import dataclass
from enum import StrEnum

from autoscaler.model.action import Action, Reason, Scale
from autoscaler.model.overflow import OverflowPlan
from autoscaler.model.role_evidence import RoleEvidence
from collector.model.ids import DecisionId, ServiceName


class Verdict(StrEnum):
    """What governance says about a decision."""

    ACT = "act"
    DRY_RUN = "dry_run"  # would act, but the catalogue's mode is dry_run
    ADVISE = "advise"  # shown, never carried out
    DENIED = "denied"
    NOTHING_TO_DO = "nothing_to_do"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The numbers a decision was made from. None: not known, and the decision says so."""

    supply_replicas: int  # pending, loading, serving
    serving_replicas: int
    needed_replicas: int | None  # to carry the expected demand inside the objectives
    demand_requests_per_second: float | None
    demand_work_ratio: float | None  # replica-seconds of work per second, now
    expected_work_ratio: (
        float | None
    )  # same, the highest scenario at the end of the lead time; no less than now
    backlog_requests: float | None  # held, and queued beyond the slots
    capacity_low_ratio: float | None  # work one replica sustains, lower and upper bound
    capacity_high_ratio: float | None
    lead_time_seconds: float
    burn_rate: float | None  # worst objective; 1 = spends exactly its budget
    expected_shortfall_ratio_without: (
        float | None
    )  # share of demand not carried, if nothing is done
    expected_shortfall_ratio_with: float | None  # … after the chosen action
    quality: tuple[str, ...] = ()  # what is wrong with the data, one line each
    learning: tuple[str, ...] = ()  # what is a guess until more was seen, one clause each
    planning: tuple[str, ...] = ()  # where the plan may have missed its best, one clause each
    announced: tuple[
        str, ...
    ] = ()  # events of the calendar that raised the forecast, one clause each
    roles: tuple[RoleEvidence, ...] = ()  # of variants whose engines have roles; by variant


def unassessed(*, why: str) -> Evidence:
    """The evidence where nothing was looked at: everything unknown, and `why` in the quality."""
    return Evidence(
        supply_replicas=0,
        serving_replicas=0,
        needed_replicas=None,
        demand_requests_per_second=None,
        demand_work_ratio=None,
        expected_work_ratio=None,
        backlog_requests=None,
        capacity_low_ratio=None,
        capacity_high_ratio=None,
        lead_time_seconds=0.0,
        burn_rate=None,
        expected_shortfall_ratio_without=None,
        expected_shortfall_ratio_with=None,
        quality=(why,),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One thing that could be done for a service, valued in money per hour."""

    action: Action
    value_per_hour: float | None  # violations avoided minus cost; None when it cannot be valued
    rejected_because: Reason | None  # None for the chosen one


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One service, one moment."""

    decision_id: DecisionId
    service: ServiceName
    action: Action
    reason: Reason
    verdict: Verdict
    decided_timestamp_seconds: float
    catalogue_digest: str
    evidence: Evidence
    candidates: tuple[Candidate, ...]
    explanation: str  # one paragraph for a person
    overflow: OverflowPlan | None = None  # None: the service has none
    overflow_verdict: Verdict = Verdict.NOTHING_TO_DO

    @property
    def is_effective(self) -> bool:
        """Whether the executor has something to do."""
        return self.verdict is Verdict.ACT and isinstance(self.action, Scale)

    @property
    def opens_overflow(self) -> bool:
        """Whether the gateway is to be given leave to send requests there."""
        return self.overflow is not None and self.overflow_verdict is Verdict.ACT
