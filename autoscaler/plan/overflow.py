"""Whether a service's overflow is open, and for which part of its requests. Pure.

In: assessments and needs, the overflows' states with what was spent. Out: plans, and the states for the
next tick. The last part of `plan`, beside the choice of replicas and without a say in it: an overflow
bridges the time that a replica takes to come, and takes none away.
"""

import math
from dataclasses import dataclass, replace

from autoscaler.model.assessment import Assessment
from autoscaler.model.demand import Rates
from autoscaler.model.overflow import OverflowPlan, OverflowReason, OverflowState
from autoscaler.plan.mix import carried
from autoscaler.plan.parts import serving_counts
from autoscaler.plan.size import Need
from autoscaler.plan.spending import spent_last_hour
from autoscaler.plan.value import MINUTES_PER_HOUR, shortfall_ratio
from collector.model.catalogue import Control, Overflow

SHARE_STEP = 0.05
"""Shares are whole steps of this; a shortfall under one step opens nothing."""
STEPS_TOO_MANY = 2
"""A share is lowered once it is so many steps more than needed: each look would else change it."""
HOLD_PART = 0.5
"""Of the hold, that a request may be held for room at replicas that serve."""
WORTH_WHILE_OPEN = 1.2
"""An open overflow may cost so much of what it avoids before it closes, and a closed one no more than
all of it: prices close to each other would else open and close it in turn."""
REOPENS_AT = 0.1
"""Of max_cost_per_hour, that must be left to spend before one that reached it opens again."""

SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Demanded:
    """What makes an overflow worth opening, or not."""

    reason: OverflowReason
    share_ratio: float = 0.0
    violations_per_hour: float | None = None
    tokens_per_hour: float | None = None

    @property
    def is_needed(self) -> bool:
        return self.reason in {OverflowReason.SHORTFALL, OverflowReason.HELD_REQUEST}


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The plan for one service's overflow and what to remember of it."""

    plan: OverflowPlan
    state: OverflowState


def plan_overflow(
    assessment: Assessment,
    *,
    need: Need,
    state: OverflowState,
    control: Control,
    now: float,
) -> Planned | None:
    """The plan; None for a service without an overflow. `state` has taken in what was spent."""
    overflow = assessment.service.overflow
    if overflow is None:
        return None
    demanded = _demanded(assessment, need=need, overflow=overflow, state=state, now=now)
    spent = spent_last_hour(state, now=now)
    plan = OverflowPlan(
        is_open=False,
        reason=demanded.reason,
        share_ratio=0.0,
        budget=max(0.0, overflow.max_cost_per_hour - (spent or 0.0)),
        spent_last_hour=spent,
        violations_per_hour=demanded.violations_per_hour,
        tokens_per_hour=demanded.tokens_per_hour,
        prompt_tokens_total=state.prompt_tokens_total,
        output_tokens_total=state.output_tokens_total,
    )
    plan, needed_at = _opened(
        plan, demanded=demanded, overflow=overflow, state=state, control=control, now=now
    )
    remembered = replace(
        state,
        is_open=plan.is_open,
        share_ratio=plan.share_ratio,
        needed_timestamp_seconds=needed_at,
    )
    return Planned(plan=plan, state=remembered)


def _opened(  # noqa: PLR0913  what one plan is made from
    plan: OverflowPlan,
    *,
    demanded: _Demanded,
    overflow: Overflow,
    state: OverflowState,
    control: Control,
    now: float,
) -> tuple[OverflowPlan, float | None]:
    """The plan with its final word, and when the overflow was needed last."""
    needed_at = now if demanded.is_needed else state.needed_timestamp_seconds
    if plan.spent_last_hour is None:
        return replace(plan, reason=OverflowReason.SPENDING_UNKNOWN, budget=0.0), needed_at
    least = 0.0 if state.is_open else REOPENS_AT * overflow.max_cost_per_hour
    if plan.budget <= least:
        reason = OverflowReason.COST_LIMIT if demanded.is_needed else plan.reason
        return replace(plan, reason=reason), needed_at
    if demanded.is_needed:
        return replace(plan, is_open=True, share_ratio=demanded.share_ratio), needed_at
    is_cooling = (
        demanded.reason is OverflowReason.NOT_NEEDED
        and state.is_open
        and needed_at is not None
        and 0.0 <= now - needed_at < control.level_window_seconds
    )
    if is_cooling:
        return replace(plan, is_open=True, reason=OverflowReason.RECENTLY_NEEDED), needed_at
    return plan, needed_at


def _demanded(
    assessment: Assessment, *, need: Need, overflow: Overflow, state: OverflowState, now: float
) -> _Demanded:
    """Whether it is needed, whatever was spent."""
    excess = _excess_ratio(assessment, need=need)
    if _is_held_too_long(assessment, state=state, now=now):
        share = _share(excess or 0.0, assessment=assessment, state=state)
        return _Demanded(reason=OverflowReason.HELD_REQUEST, share_ratio=share)
    if excess is None or excess < (SHARE_STEP if not state.is_open else 1e-9):
        return _Demanded(reason=OverflowReason.NOT_NEEDED)
    rates = assessment.demand_now
    if rates is None or assessment.are_lengths_unknown:
        return _Demanded(reason=OverflowReason.LENGTHS_UNKNOWN)
    avoided = assessment.violation_price_per_minute * MINUTES_PER_HOUR * excess
    cost = _cost_per_hour(rates.scaled(excess), overflow=overflow)
    limit = avoided * (WORTH_WHILE_OPEN if state.is_open else 1.0)
    return _Demanded(
        reason=OverflowReason.SHORTFALL if cost < limit else OverflowReason.NOT_WORTH_IT,
        share_ratio=_share(excess, assessment=assessment, state=state),
        violations_per_hour=avoided,
        tokens_per_hour=cost,
    )


def _excess_ratio(assessment: Assessment, *, need: Need) -> float | None:
    """The part of the demand, backlog included, that what serves now does not carry; None: unknown."""
    capacity, demand = assessment.capacity, assessment.demand_now
    if capacity is None or demand is None:
        return None
    backlog = assessment.backlog_tokens
    work = capacity.work_ratio(demand) + (capacity.work_ratio(backlog) if backlog else 0.0)
    replicas = carried(serving_counts(assessment), parts=need.parts)
    return shortfall_ratio((work,), carried_work=replicas * capacity.low_ratio)


def _is_held_too_long(assessment: Assessment, *, state: OverflowState, now: float) -> bool:
    """Whether a held request would be shed before a replica has it, or one would be held again."""
    held, limit = assessment.oldest_held_seconds, assessment.service.hold_timeout_seconds
    if assessment.serving_count:
        return bool(assessment.held_requests) and held >= HOLD_PART * limit
    demand = assessment.demand_now
    would_be_held = state.is_open and demand is not None and demand.requests_per_second > 0
    if not assessment.held_requests and not would_be_held:
        return False
    return held + _seconds_to_first_replica(assessment, now=now) > limit


def _seconds_to_first_replica(assessment: Assessment, *, now: float) -> float:
    """Of the replicas that start, and of one that would be ordered now."""
    waits = [
        max(0.0, fleet.lead_time_seconds - max(0.0, now - view.replica.ordered_timestamp_seconds))
        for fleet in assessment.fleets
        for view in fleet.supply
    ]
    return min(waits, default=max((f.lead_time_seconds for f in assessment.fleets), default=0.0))


def _share(excess: float, *, assessment: Assessment, state: OverflowState) -> float:
    """The excess in whole steps, upwards at once and downwards when it is well less.

    All while nothing serves; what does serve keeps a step to do.
    """
    if not assessment.serving_count:
        return 1.0
    steps = min(math.ceil(excess / SHARE_STEP - 1e-9), round(1.0 / SHARE_STEP) - 1)
    before = round(state.share_ratio / SHARE_STEP) if state.is_open else 0
    if steps <= before < min(steps + STEPS_TOO_MANY, round(1.0 / SHARE_STEP)):
        steps = before
    return round(steps * SHARE_STEP, 2)


def _cost_per_hour(rates: Rates, *, overflow: Overflow) -> float:
    return SECONDS_PER_HOUR * overflow.cost(
        prompt_tokens=rates.prompt_tokens_per_second,
        output_tokens=rates.output_tokens_per_second,
    )
