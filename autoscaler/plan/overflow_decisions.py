"""Adds to each decision what becomes of its service's overflow: plan, verdict, sentence. Pure.

In: decisions, what they were made from. Out: the same decisions with their overflows, and the state that
remembers these. The last step of `decide`; must not change what was decided about replicas.
"""

from collections.abc import Sequence
from dataclasses import replace

from autoscaler.govern.authority import govern_overflow
from autoscaler.model.assessment import Assessment
from autoscaler.model.decision import Decision, Verdict
from autoscaler.model.inputs import Inputs
from autoscaler.model.overflow import OverflowPlan, OverflowReason
from autoscaler.model.state import ControllerState
from autoscaler.plan.overflow import Planned, plan_overflow
from autoscaler.plan.size import Need
from autoscaler.plan.spending import with_spending
from collector.model.catalogue import Authority
from collector.model.ids import ServiceName

BECAUSE = {
    OverflowReason.SHORTFALL: "what serves does not carry the demand, and violations cost more",
    OverflowReason.HELD_REQUEST: "a request would be held for longer than its hold",
    OverflowReason.RECENTLY_NEEDED: "it was needed a moment ago",
    OverflowReason.NOT_NEEDED: "nothing needs it",
    OverflowReason.NOT_WORTH_IT: "its tokens cost more than the violations they avoid",
    OverflowReason.LENGTHS_UNKNOWN: "no answer was seen yet, so nobody knows what one costs",
    OverflowReason.COST_LIMIT: "max_cost_per_hour is spent",
    OverflowReason.SPENDING_UNKNOWN: "the gateway does not tell what was spent",
}
"""A clause for every reason; a test holds it complete."""


def with_overflows(
    decisions: tuple[Decision, ...],
    *,
    assessments: Sequence[Assessment],
    needs: Sequence[Need],
    inputs: Inputs,
    state: ControllerState,
) -> tuple[tuple[Decision, ...], ControllerState]:
    """The decisions and the state; both as they came where no service has an overflow."""
    planned = {
        each.service.name: plan
        for each, need in zip(assessments, needs, strict=True)
        if (plan := _planned(each, need=need, inputs=inputs, state=state)) is not None
    }
    if not planned:
        return decisions, state
    authority = inputs.catalogue.authority
    return (
        tuple(
            _with_plan(each, planned[each.service].plan, authority=authority)
            if each.service in planned
            else each
            for each in decisions
        ),
        _remembered(state, planned=planned),
    )


def _planned(
    assessment: Assessment, *, need: Need, inputs: Inputs, state: ControllerState
) -> Planned | None:
    service = assessment.service
    if service.overflow is None:
        return None
    counted = with_spending(
        state.service(service.name).overflow,
        view=inputs.part(service.name).service(service.name),
        overflow=service.overflow,
        now=inputs.now,
    )
    return plan_overflow(
        assessment, need=need, state=counted, control=inputs.control, now=inputs.now
    )


def _remembered(state: ControllerState, *, planned: dict[ServiceName, Planned]) -> ControllerState:
    services = {
        name: replace(state.service(name), overflow=each.state) for name, each in planned.items()
    }
    return replace(state, services={**state.services, **services})


def _with_plan(decision: Decision, plan: OverflowPlan, *, authority: Authority) -> Decision:
    verdict = govern_overflow(plan, authority=authority)
    return replace(
        decision,
        overflow=plan,
        overflow_verdict=verdict,
        explanation=f"{decision.explanation} {sentence(plan, verdict=verdict)}",
    )


def sentence(plan: OverflowPlan, *, verdict: Verdict) -> str:
    """What became of the overflow, for a person."""
    spent = "unknown" if plan.spent_last_hour is None else f"{plan.spent_last_hour:.2f}"
    money = f"spent within the hour {spent}, {plan.budget:.2f} left"
    if plan.violations_per_hour is not None and plan.tokens_per_hour is not None:
        money += (
            f"; per hour {plan.tokens_per_hour:.2f} for tokens against "
            f"{plan.violations_per_hour:.2f} for violations"
        )
    if not plan.is_open:
        return f"Overflow closed: {BECAUSE[plan.reason]} ({money})."
    part = f"{100 * plan.share_ratio:.0f} % of requests" if plan.share_ratio else "no fixed share"
    word = "open" if verdict is Verdict.ACT else f"not opened ({verdict.value}), would be open"
    return (
        f"Overflow {word} for {part} and what no replica has room for: {BECAUSE[plan.reason]} "
        f"({money})."
    )
