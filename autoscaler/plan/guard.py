"""Whether a replica may go: fresh data, no burning budget, the hold, and the N-1 test. Pure.

A forecast may raise capacity, never force it down.
"""

from dataclasses import dataclass
from itertools import pairwise

from autoscaler.model.action import Reason
from autoscaler.model.assessment import Assessment
from autoscaler.model.state import Recommendation
from autoscaler.plan.size import Need, is_idle, replicas_for, sized_work
from collector.model.catalogue import Control

FAST_BURN_RATE = 14.4
"""Spends 2 % of a 30-day budget in an hour. Source: The Site Reliability Workbook, chapter 5."""
MAX_STEP_RATIO = 1 / 6
"""Of the supply, per decision; at least one replica."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """What must be kept for now."""

    replicas: int
    reason: Reason | None  # why not fewer; None when nothing stands in the way
    is_blind: bool  # unknown data: not even memory pressure may take one away


def scale_in_floor(
    assessment: Assessment,
    *,
    need: Need,
    recommendations: tuple[Recommendation, ...],
    control: Control,
    now: float,
) -> Floor:
    """The smallest replica count that may be gone down to at `now`.

    `recommendations` is what was needed over the hold window, this moment included.
    """
    supply = assessment.supply_count
    if assessment.doubts:
        return Floor(replicas=supply, reason=assessment.doubts[0][0], is_blind=True)
    if need.replicas >= supply:
        return Floor(replicas=min(supply, need.replicas), reason=None, is_blind=False)
    soft = _soft_reason(
        assessment, need=need, recommendations=recommendations, control=control, now=now
    )
    if soft is not None:
        return Floor(replicas=supply, reason=soft, is_blind=False)
    return _step_down(assessment, recommendations=recommendations, control=control)


def _soft_reason(
    assessment: Assessment,
    *,
    need: Need,
    recommendations: tuple[Recommendation, ...],
    control: Control,
    now: float,
) -> Reason | None:
    if assessment.serving_count < assessment.supply_count or _drains(assessment):
        return Reason.CHANGE_IN_PROGRESS
    if assessment.burn_rate is None:
        return Reason.NO_FRESH_DATA
    if _burns(assessment.burn_rate, long_burn_rate=assessment.long_burn_rate):
        return Reason.BUDGET_BURNING
    if not _hold_is_over(recommendations, assessment=assessment, control=control, now=now):
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
    control: Control,
    now: float,
) -> bool:
    """True when fewer were enough at every look of a whole hold window, looked at without a gap."""
    looks = [each.timestamp_seconds for each in recommendations]
    if not looks or now - looks[0] < control.scale_in_hold_seconds * (1 - 1e-9):
        return False
    longest_gap = max((b - a for a, b in pairwise(looks)), default=0.0)
    if longest_gap > max(control.scale_in_hold_seconds / 2, control.stale_after_seconds):
        return False
    needed = _needed_in_hold(recommendations, assessment=assessment, control=control)
    return needed < assessment.supply_count


def _needed_in_hold(
    recommendations: tuple[Recommendation, ...], *, assessment: Assessment, control: Control
) -> int:
    """The most that was needed at any look. Of an idle service nothing was: the idle time is its
    hold, while the forecast still remembered the last demand."""
    is_over = (assessment.idle_seconds or 0.0) >= control.scale_in_hold_seconds
    if is_over and is_idle(assessment, control=control):
        return 0
    return max((each.replicas for each in recommendations), default=assessment.supply_count)


def _step_down(
    assessment: Assessment, *, recommendations: tuple[Recommendation, ...], control: Control
) -> Floor:
    supply = assessment.supply_count
    needed = _needed_in_hold(recommendations, assessment=assessment, control=control)
    step = max(1, int(supply * MAX_STEP_RATIO))
    lowest = max(needed, supply - step, assessment.min_replicas)
    if lowest == 0 and not is_idle(assessment, control=control):
        lowest = 1
    tested = max(lowest, _consolidation_floor(assessment, control=control))
    if tested >= supply:
        return Floor(replicas=supply, reason=Reason.CONSOLIDATION_TEST, is_blind=False)
    return Floor(replicas=tested, reason=None, is_blind=False)


def _consolidation_floor(assessment: Assessment, *, control: Control) -> int:
    """The N-1 test: what the forecast at the service's headroom needs at the scale-in utilisation. The
    demand of now is in the need, below which nothing goes."""
    capacity, forecast = assessment.capacity, assessment.forecast
    if is_idle(assessment, control=control):
        return 0
    if capacity is None or forecast is None:
        return assessment.supply_count
    return replicas_for(
        sized_work(assessment, capacity=capacity),
        capacity=capacity,
        utilisation=control.scale_in_utilisation_ratio,
    )


def _drains(assessment: Assessment) -> bool:
    return any(fleet.draining_count for fleet in assessment.fleets)
