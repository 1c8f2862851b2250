"""A decision as data and in words. Pure.

In: a `Decision`. Out: its body. Used by `/v1/decisions`, `/v1/state` and so by the page. Must not
leave out a number: unknown ones are null.
"""

from autoscaler.explain import BECAUSE
from autoscaler.model.action import Action, Direction, Hold, Scale
from autoscaler.model.decision import Candidate, Decision, Evidence, Verdict
from autoscaler.model.role_evidence import RoleEvidence
from foresail.http.bodies import (
    ActionBody,
    CandidateBody,
    DecisionBody,
    EvidenceBody,
    RoleBody,
)

VERDICT_WORDS = {
    Verdict.ACT: "Foresail acts",
    Verdict.DRY_RUN: "dry run: shown only",
    Verdict.ADVISE: "advice: shown only",
    Verdict.DENIED: "denied by policy",
    Verdict.NOTHING_TO_DO: "nothing to do",
}
"""For every verdict; a test holds it complete."""


def decision_body(decision: Decision) -> DecisionBody:
    """The decision with its evidence, its losers and its words."""
    return DecisionBody(
        decision_id=decision.decision_id,
        service=decision.service,
        decided_timestamp_seconds=decision.decided_timestamp_seconds,
        action=action_body(decision.action),
        action_words=action_words(decision.action),
        reason=decision.reason,
        reason_words=BECAUSE[decision.reason],
        verdict=decision.verdict,
        verdict_words=VERDICT_WORDS[decision.verdict],
        explanation=decision.explanation,
        evidence=_evidence_body(decision.evidence),
        candidates=[_candidate_body(each) for each in decision.candidates],
        catalogue_digest=decision.catalogue_digest,
    )


def action_body(action: Action) -> ActionBody:
    """The action as data."""
    match action:
        case Hold():
            return ActionBody(kind="hold")
        case Scale():
            return ActionBody(
                kind="scale",
                direction=action.direction,
                variant=action.variant,
                from_replicas=action.from_replicas,
                to_replicas=action.to_replicas,
                stop_replicas=list(action.stop_replicas),
            )


def action_words(action: Action) -> str:
    """`hold`, or `scale out 1 → 2`."""
    match action:
        case Hold():
            return "hold"
        case Scale():
            way = "out" if action.direction is Direction.OUT else "in"
            return f"scale {way} {action.from_replicas} → {action.to_replicas}"


def _candidate_body(candidate: Candidate) -> CandidateBody:
    return CandidateBody(
        action=action_body(candidate.action),
        value_per_hour=candidate.value_per_hour,
        rejected_because=candidate.rejected_because,
    )


def _evidence_body(evidence: Evidence) -> EvidenceBody:
    return EvidenceBody(
        supply_replicas=evidence.supply_replicas,
        serving_replicas=evidence.serving_replicas,
        needed_replicas=evidence.needed_replicas,
        demand_requests_per_second=evidence.demand_requests_per_second,
        demand_work_ratio=evidence.demand_work_ratio,
        expected_work_ratio=evidence.expected_work_ratio,
        backlog_requests=evidence.backlog_requests,
        capacity_low_ratio=evidence.capacity_low_ratio,
        capacity_high_ratio=evidence.capacity_high_ratio,
        lead_time_seconds=evidence.lead_time_seconds,
        burn_rate=evidence.burn_rate,
        expected_shortfall_ratio_without=evidence.expected_shortfall_ratio_without,
        expected_shortfall_ratio_with=evidence.expected_shortfall_ratio_with,
        quality=list(evidence.quality),
        learning=list(evidence.learning),
        planning=list(evidence.planning),
        announced=list(evidence.announced),
        roles=[_role_body(each) for each in evidence.roles],
    )


def _role_body(role: RoleEvidence) -> RoleBody:
    return RoleBody(
        variant=role.variant,
        role=role.role,
        engines_per_unit=role.engines_per_unit,
        serving_engines=role.serving_engines,
        needed_engines=role.needed_engines,
        sustained_requests_per_second=role.sustained_requests_per_second,
        used_ratio=role.used_ratio,
        is_misfit=role.is_misfit,
    )
