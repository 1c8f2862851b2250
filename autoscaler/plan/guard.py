"""Whether a replica may go: fresh data, no burning budget, the hold, and the N-1 test. Pure.

A forecast may raise capacity, never force it down.
"""

from dataclasses import dataclass
from itertools import pairwise

from autoscaler.model.action import Reason
from autoscaler.model.assessment import Assessment
from autoscaler.model.state import Recommendation
from autoscaler.plan.look_back import needed_in
from autoscaler.plan.mix import MAX_REPLICAS, Counts, Wanted, shrunk
from autoscaler.plan.parts import supply_counts
from autoscaler.plan.size import Need, alone, is_idle, sized_work
from collector.model.catalogue import Control

FAST_BURN_RATE = 14.4
"""Spends 2 % of a 30-day budget in an hour. Source: The Site Reliability Workbook, chapter 5."""
MAX_STEP_RATIO = 1 / 6
"""Of the supply, per decision; at least one replica."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """What must be kept for now."""

    counts: Counts  # replicas of each variant, in the assessment's order
    reason: Reason | None  # why not fewer; None when nothing stands in the way
    is_blind: bool  # unknown data: not even memory pressure may take one away

    @property
    def replicas(self) -> int:
        """Of all variants together."""
        return sum(self.counts)


def scale_in_floor(
    assessment: Assessment,
    *,
    need: Need,
    recommendations: tuple[Recommendation, ...],
    control: Control,
    now: float,
) -> Floor:
    """The smallest mix of replicas that may be gone down to at `now`.

    `recommendations` is what was needed over the hold window, this moment included.
    """
    supply = supply_counts(assessment)
    if assessment.doubts:
        return Floor(counts=supply, reason=assessment.doubts[0][0], is_blind=True)
    if not _has_surplus(assessment, need=need):
        return Floor(counts=supply, reason=None, is_blind=False)
    soft = _soft_reason(
        assessment, need=need, recommendations=recommendations, control=control, now=now
    )
    if soft is not None:
        return Floor(counts=supply, reason=soft, is_blind=False)
    return _step_down(assessment, need=need, recommendations=recommendations, control=control)


def _has_surplus(assessment: Assessment, *, need: Need) -> bool:
    """Whether a mix without some replica is enough, as far as that is known."""
    if need.wanted is None:
        return need.replicas < assessment.supply_count
    supply = supply_counts(assessment)
    return shrunk(supply, parts=need.parts, wanted=need.wanted) != supply


def _soft_reason(
    assessment: Assessment,
    *,
    need: Need,
    recommendations: tuple[Recommendation, ...],
    control: Control,
    now: float,
) -> Reason | None:
    under_way = assessment.supply_count - assessment.serving_count
    if under_way > need.hanging_replicas or _drains(assessment):
        return Reason.CHANGE_IN_PROGRESS
    if assessment.burn_rate is None:
        return Reason.NO_FRESH_DATA
    if _burns(assessment.burn_rate, long_burn_rate=assessment.long_burn_rate):
        return Reason.BUDGET_BURNING
    if not _hold_is_over(
        recommendations, assessment=assessment, need=need, control=control, now=now
    ):
        return Reason.SCALE_IN_HOLD
    if assessment.supply_count == 1 and not is_idle(assessment, control=control):
        return Reason.SCALE_IN_HOLD
    return None


def _burns(burn_rate: float, *, long_burn_rate: float | None) -> bool:
    """Over-spending now, and over the long run too; or so fast now that the long run will follow.

    A budget that is not spent over the long run is there to be spent on moments like this.
    """
    is_spent = long_burn_rate is None or long_burn_rate > 1.0
    return burn_rate > (1.0 if is_spent else FAST_BURN_RATE)


def _hold_is_over(
    recommendations: tuple[Recommendation, ...],
    *,
    assessment: Assessment,
    need: Need,
    control: Control,
    now: float,
) -> bool:
    """True when fewer were enough at every look of a whole hold window, looked at without a gap."""
    if not _is_looked_through(recommendations, control=control, now=now):
        return False
    needed = _needed_in_hold(recommendations, assessment=assessment, need=need, control=control)
    supply = supply_counts(assessment)
    return shrunk(supply, parts=need.parts, wanted=Wanted(replicas=needed)) != supply


def _is_looked_through(
    recommendations: tuple[Recommendation, ...], *, control: Control, now: float
) -> bool:
    looks = [each.timestamp_seconds for each in recommendations]
    if not looks or now - looks[0] < control.scale_in_hold_seconds * (1 - 1e-9):
        return False
    longest_gap = max((b - a for a, b in pairwise(looks)), default=0.0)
    return longest_gap <= max(control.scale_in_hold_seconds / 2, control.stale_after_seconds)


def _needed_in_hold(
    recommendations: tuple[Recommendation, ...],
    *,
    assessment: Assessment,
    need: Need,
    control: Control,
) -> float:
    """The most that was needed at any look, in replicas of the reference. Of an idle service nothing
    was: the idle time is its hold, while the forecast still remembered the last demand."""
    is_over = (assessment.idle_seconds or 0.0) >= control.scale_in_hold_seconds
    if is_over and is_idle(assessment, control=control):
        return 0.0
    needed = [needed_in(look, assessment=assessment, need=need) for look in recommendations]
    return max(needed, default=MAX_REPLICAS)


def lasting_need(
    assessment: Assessment,
    *,
    need: Need,
    recommendations: tuple[Recommendation, ...],
    control: Control,
    now: float,
) -> Wanted | None:
    """What a mix in place of the present one must carry, so that scale-in may go down to it.

    None where nothing may be moved: the budget burns or its spending is not known, requests wait, or
    the hold was not looked through.
    """
    burn = assessment.burn_rate
    if burn is None or _burns(burn, long_burn_rate=assessment.long_burn_rate):
        return None
    if need.backlog_decides or not _is_looked_through(recommendations, control=control, now=now):
        return None
    return _tested(assessment, need=need, recommendations=recommendations, control=control)


def _tested(
    assessment: Assessment,
    *,
    need: Need,
    recommendations: tuple[Recommendation, ...],
    control: Control,
) -> Wanted:
    """What must stay: the most of the hold, the N-1 test, and the need of now."""
    in_hold = _needed_in_hold(recommendations, assessment=assessment, need=need, control=control)
    tested = _consolidation_replicas(assessment, control=control) + need.hanging_worth
    return Wanted(
        replicas=max(in_hold, tested, need.wanted.replicas if need.wanted else 0.0),
        firm_ratio=1.0 - control.max_spot_ratio,
        at_least_one=not is_idle(assessment, control=control),
    )


def _step_down(
    assessment: Assessment,
    *,
    need: Need,
    recommendations: tuple[Recommendation, ...],
    control: Control,
) -> Floor:
    supply = supply_counts(assessment)
    wanted = _tested(assessment, need=need, recommendations=recommendations, control=control)
    step = max(1, int(sum(supply) * MAX_STEP_RATIO))
    lowest = shrunk(supply, parts=need.parts, wanted=wanted, step=step)
    reason = Reason.CONSOLIDATION_TEST if lowest == supply else None
    return Floor(counts=lowest, reason=reason, is_blind=False)


def _consolidation_replicas(assessment: Assessment, *, control: Control) -> float:
    """The N-1 test: what the forecast at the service's headroom needs at the scale-in utilisation, in
    replicas of the reference. The demand of now is in the need, below which nothing goes."""
    capacity, forecast = assessment.capacity, assessment.forecast
    if is_idle(assessment, control=control):
        return 0.0
    if capacity is None or capacity.is_provisional or forecast is None:
        return MAX_REPLICAS
    return alone(
        sized_work(assessment, capacity=capacity),
        capacity=capacity,
        utilisation=control.scale_in_utilisation_ratio,
    )


def _drains(assessment: Assessment) -> bool:
    return any(fleet.draining_count for fleet in assessment.fleets)
