"""From choices to decisions: evidence, verdict, explanation, identity. Pure.

Last part of `decide`. Adds what the plan does not know: who may decide, and what nobody planned for.
"""

import hashlib

from autoscaler.capacity.steps import MIN_ROWS
from autoscaler.explain import explain
from autoscaler.forecast.lead_time import MIN_ERROR_ROWS
from autoscaler.govern.authority import as_advice, govern
from autoscaler.model.action import Action, Hold, Reason, Scale
from autoscaler.model.assessment import Assessment
from autoscaler.model.decision import Candidate, Decision, Evidence, Verdict, unassessed
from autoscaler.model.inputs import Inputs
from autoscaler.model.state import ControllerState
from autoscaler.plan.choose import Choice
from autoscaler.plan.retire import retirements
from autoscaler.roles_told import role_evidence
from collector.model.catalogue import Catalogue, Control
from collector.model.ids import DecisionId, ServiceName


def conclusions(choices: list[Choice], *, inputs: Inputs) -> tuple[Decision, ...]:
    """One decision per choice, in their order, then one per service that is not declared any more."""
    catalogue, now = inputs.catalogue, inputs.now
    return _with_retirements(
        [_decision(choice, catalogue=catalogue, state=inputs.state, now=now) for choice in choices],
        inputs=inputs,
    )


def _decision(
    choice: Choice, *, catalogue: Catalogue, state: ControllerState, now: float
) -> Decision:
    evidence = _evidence(choice, state=state, control=catalogue.control)
    assessment = choice.intent.assessment
    return Decision(
        decision_id=_decision_id(
            choice.action, service=assessment.service.name, digest=catalogue.digest, now=now
        ),
        service=assessment.service.name,
        action=choice.action,
        reason=choice.reason,
        verdict=_verdict(choice, catalogue=catalogue),
        decided_timestamp_seconds=now,
        catalogue_digest=catalogue.digest,
        evidence=evidence,
        candidates=choice.candidates,
        explanation=explain(choice.action, reason=choice.reason, evidence=evidence),
    )


def _verdict(choice: Choice, *, catalogue: Catalogue) -> Verdict:
    """What governance says; of replicas that others run no more than advice."""
    action, verdict = choice.action, govern(choice.action, authority=catalogue.authority)
    if isinstance(action, Hold):
        return verdict
    fleets = choice.intent.assessment.fleets
    theirs = (f for f in fleets if f.variant.name == action.variant and f.variant.is_run_by_others)
    return as_advice(verdict) if any(theirs) else verdict


def _with_retirements(decisions: list[Decision], *, inputs: Inputs) -> tuple[Decision, ...]:
    """The decisions, and for replicas that are not declared any more one to stop them.

    A declared service whose variant went keeps its one decision when that changes something.
    """
    chosen = {each.service: each for each in decisions}
    for service, action in retirements(inputs.snapshot, catalogue=inputs.catalogue):
        before = chosen.get(service)
        if before is None or isinstance(before.action, Hold):
            chosen[service] = _retirement(service, action, before=before, inputs=inputs)
    return tuple(chosen.values())


def _retirement(
    service: ServiceName, action: Scale, *, before: Decision | None, inputs: Inputs
) -> Decision:
    evidence = before.evidence if before else unassessed(why="the service is not declared")
    catalogue = inputs.catalogue
    return Decision(
        decision_id=_decision_id(action, service=service, digest=catalogue.digest, now=inputs.now),
        service=service,
        action=action,
        reason=Reason.NOT_DECLARED,
        verdict=govern(action, authority=catalogue.authority),
        decided_timestamp_seconds=inputs.now,
        catalogue_digest=catalogue.digest,
        evidence=evidence,
        candidates=(Candidate(action=action, value_per_hour=None, rejected_because=None),),
        explanation=explain(action, reason=Reason.NOT_DECLARED, evidence=evidence),
    )


def _decision_id(action: Action, *, service: ServiceName, digest: str, now: float) -> DecisionId:
    """Digest of what is decided, when, and under which catalogue: repeating it repeats the id."""
    about = f"{digest}|{float(now)!r}|{service}|{action!r}"
    return DecisionId(hashlib.sha256(about.encode()).hexdigest()[:16])


def _evidence(choice: Choice, *, state: ControllerState, control: Control) -> Evidence:
    assessment, need = choice.intent.assessment, choice.intent.need
    capacity, demand = assessment.capacity, assessment.demand_now
    supply = assessment.supply_count
    now = capacity.work_ratio(demand) if capacity and demand else None
    return Evidence(
        supply_replicas=supply,
        serving_replicas=assessment.serving_count,
        needed_replicas=need.unbounded_replicas if need.scenario_works else None,
        demand_requests_per_second=demand.requests_per_second if demand else None,
        demand_work_ratio=now,
        expected_work_ratio=max(need.scenario_works[-1], now or 0.0)
        if need.scenario_works
        else None,
        backlog_requests=assessment.backlog_requests,
        capacity_low_ratio=capacity.low_ratio if capacity else None,
        capacity_high_ratio=capacity.high_ratio if capacity else None,
        lead_time_seconds=max((f.lead_time_seconds for f in assessment.fleets), default=0.0),
        burn_rate=assessment.burn_rate,
        expected_shortfall_ratio_without=choice.shortfall_ratio(action=Hold(), control=control),
        expected_shortfall_ratio_with=choice.shortfall_ratio(action=choice.action, control=control),
        quality=tuple(sentence for _, sentence in assessment.doubts),
        learning=_learning(assessment, state=state),
        planning=choice.notes,
        announced=assessment.announced.clauses,
        roles=role_evidence(assessment, action=choice.action),
    )


def _learning(assessment: Assessment, *, state: ControllerState) -> tuple[str, ...]:
    """What the decision took from a prior, for want of anything seen."""
    found = []
    outcomes = state.service(assessment.service.name).scale_fit.error_rows
    if outcomes < MIN_ERROR_ROWS:
        found.append(
            f"how far forecasts are off ({outcomes:.0f} of {MIN_ERROR_ROWS:.0f} outcomes seen)"
        )
    stretches = assessment.capacity.sample_count if assessment.capacity else 0
    if stretches < MIN_ROWS:
        found.append(
            f"what a replica sustains ({stretches} of {MIN_ROWS:.0f} busy stretches measured)"
        )
    return tuple(found)
