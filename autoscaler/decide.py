"""`decide`: one pure function from everything seen, remembered and declared to decisions.

Called once per tick for all services by live control, `foresail plan`, backtests and the demo. Reads
no clock, does no I/O, logs nothing; the same inputs give the same bytes.
"""

import hashlib
from dataclasses import dataclass, replace

from autoscaler.assess import assess
from autoscaler.explain import explain
from autoscaler.forecast.calibration import remember_forecast
from autoscaler.govern.authority import govern
from autoscaler.learn import observe
from autoscaler.model.action import Scale
from autoscaler.model.assessment import Assessment
from autoscaler.model.decision import Decision, Evidence
from autoscaler.model.inputs import Inputs
from autoscaler.model.state import MAX_SAMPLES, ControllerState, Recommendation, ServiceState
from autoscaler.plan.allocate import allocate
from autoscaler.plan.choose import Choice, Intent, bids, choose, intent
from autoscaler.plan.guard import scale_in_floor
from autoscaler.plan.inventory import free_bytes, pool_budgets
from autoscaler.plan.size import Need, size
from collector.model.catalogue import Catalogue, Control
from collector.model.history import History
from collector.model.ids import DecisionId, PoolName
from collector.model.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """One decision per declared service, in catalogue order, and the state for the next tick."""

    decisions: tuple[Decision, ...]
    next_state: ControllerState


def decide(
    *,
    snapshot: Snapshot,
    history: History,
    catalogue: Catalogue,
    state: ControllerState,
    now: float,
) -> Decided:
    """What to do for every service at `now` (epoch seconds), and what to remember."""
    seen = Inputs(snapshot=snapshot, history=history, catalogue=catalogue, state=state, now=now)
    learned = observe(seen)
    inputs = replace(seen, state=learned)
    assessments = [assess(service, inputs=inputs) for service in catalogue.services]
    control = catalogue.control
    needs = [size(each, control=control) for each in assessments]
    remembered = _remember(learned, assessments=assessments, needs=needs, control=control, now=now)
    intents = [
        _intent(each, need=need, state=remembered, control=control, now=now)
        for each, need in zip(assessments, needs, strict=True)
    ]
    choices = _choices(intents, snapshot=snapshot, catalogue=catalogue, now=now)
    decisions = tuple(_decision(choice, catalogue=catalogue, now=now) for choice in choices)
    return Decided(decisions=decisions, next_state=_with_reasons(remembered, decisions))


def _intent(
    assessment: Assessment, *, need: Need, state: ControllerState, control: Control, now: float
) -> Intent:
    floor = scale_in_floor(
        assessment,
        need=need,
        recommendations=state.service(assessment.service.name).recommendations,
        control=control,
        now=now,
    )
    return intent(assessment, need=need, floor=floor, control=control, now=now)


def _choices(
    intents: list[Intent], *, snapshot: Snapshot, catalogue: Catalogue, now: float
) -> list[Choice]:
    """Chooses in order of value, so that the memory that is free now goes where it saves most."""
    allocation = allocate(
        [bid for each in intents for bid in bids(each, now=now)],
        budgets_bytes=pool_budgets(catalogue, snapshot=snapshot, intents=intents),
    )
    free = free_bytes(catalogue, snapshot=snapshot, intents=intents)
    chosen: dict[str, Choice] = {}
    for each in sorted(intents, key=_urgency_rank):
        choice = choose(each, allocation=allocation, free_bytes=free, control=catalogue.control)
        chosen[each.assessment.service.name] = choice
        _take(free, choice)
    return [chosen[each.assessment.service.name] for each in intents]


def _urgency_rank(wanted: Intent) -> tuple[float, str]:
    supply = wanted.assessment.supply_count
    missing = wanted.values_per_hour[supply:]
    return (-max(missing, default=0.0), wanted.assessment.service.name)


def _take(free: dict[PoolName, int], choice: Choice) -> None:
    """Counts the memory a scale-out will use as no longer free for the services after it."""
    action = choice.action
    if not isinstance(action, Scale):
        return
    for fleet in choice.intent.assessment.fleets:
        if fleet.variant.name == action.variant:
            more = max(0, action.to_replicas - action.from_replicas)
            free[fleet.variant.pool] -= more * fleet.footprint_bytes


def _decision(choice: Choice, *, catalogue: Catalogue, now: float) -> Decision:
    evidence = _evidence(choice, control=catalogue.control)
    assessment = choice.intent.assessment
    return Decision(
        decision_id=_decision_id(choice, digest=catalogue.digest, now=now),
        service=assessment.service.name,
        action=choice.action,
        reason=choice.reason,
        verdict=govern(choice.action, authority=catalogue.authority),
        decided_timestamp_seconds=now,
        catalogue_digest=catalogue.digest,
        evidence=evidence,
        candidates=choice.candidates,
        explanation=explain(choice.action, reason=choice.reason, evidence=evidence),
    )


def _decision_id(choice: Choice, *, digest: str, now: float) -> DecisionId:
    """Digest of what is decided, when, and under which catalogue: repeating it repeats the id."""
    about = f"{digest}|{float(now)!r}|{choice.intent.assessment.service.name}|{choice.action!r}"
    return DecisionId(hashlib.sha256(about.encode()).hexdigest()[:16])


def _evidence(choice: Choice, *, control: Control) -> Evidence:
    assessment, need = choice.intent.assessment, choice.intent.need
    capacity, demand = assessment.capacity, assessment.demand_now
    supply = assessment.supply_count
    after = supply
    if isinstance(choice.action, Scale):
        after += choice.action.to_replicas - choice.action.from_replicas
    return Evidence(
        supply_replicas=supply,
        serving_replicas=assessment.serving_count,
        needed_replicas=need.unbounded_replicas if need.scenario_works else None,
        demand_requests_per_second=demand.requests_per_second if demand else None,
        demand_work_ratio=capacity.work_ratio(demand) if capacity and demand else None,
        expected_work_ratio=need.scenario_works[-1] if need.scenario_works else None,
        backlog_requests=assessment.backlog_requests,
        capacity_low_ratio=capacity.low_ratio if capacity else None,
        capacity_high_ratio=capacity.high_ratio if capacity else None,
        lead_time_seconds=max((f.lead_time_seconds for f in assessment.fleets), default=0.0),
        burn_rate=assessment.burn_rate,
        expected_shortfall_ratio_without=choice.shortfall_ratio(replicas=supply, control=control),
        expected_shortfall_ratio_with=choice.shortfall_ratio(replicas=after, control=control),
        quality=tuple(sentence for _, sentence in assessment.doubts),
    )


def _remember(
    state: ControllerState,
    *,
    assessments: list[Assessment],
    needs: list[Need],
    control: Control,
    now: float,
) -> ControllerState:
    services = {
        each.service.name: _remember_service(
            state.service(each.service.name), assessment=each, need=need, control=control, now=now
        )
        for each, need in zip(assessments, needs, strict=True)
    }
    return replace(state, services=services)


def _remember_service(
    known: ServiceState, *, assessment: Assessment, need: Need, control: Control, now: float
) -> ServiceState:
    kept = _since(known.recommendations, begin=now - control.scale_in_hold_seconds, now=now)
    recommendation = Recommendation(timestamp_seconds=now, replicas=need.replicas)
    known = replace(known, recommendations=(*kept, recommendation)[-MAX_RECOMMENDATIONS:])
    if assessment.forecast is None:
        return known
    return remember_forecast(
        known,
        peak=assessment.forecast.peak,
        now_timestamp_seconds=now,
        horizon_seconds=assessment.forecast.horizon_seconds,
    )


def _since(
    looks: tuple[Recommendation, ...], *, begin: float, now: float
) -> tuple[Recommendation, ...]:
    """The looks since `begin` and the last one before it, which says what held when it began.

    Looks that are not in the past were made before the clock went back: they are forgotten.
    """
    past = tuple(each for each in looks if each.timestamp_seconds < now)
    before = sum(each.timestamp_seconds <= begin for each in past)
    return past[max(0, before - 1) :]


MAX_RECOMMENDATIONS = 10 * MAX_SAMPLES
"""Enough for a hold of ten hours at 15 s ticks."""


def _with_reasons(state: ControllerState, decisions: tuple[Decision, ...]) -> ControllerState:
    services = {
        each.service: replace(state.service(each.service), last_reason=each.reason)
        for each in decisions
    }
    return replace(state, services={**state.services, **services})
