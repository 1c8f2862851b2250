"""What was needed at a moment of the past, compared with what there is now. Pure.

In: needs as they come, and those that were remembered. Out: looks to be remembered, and what they ask
for in the unit of today. With one variant a look is a number of its replicas; with several it is as
many of one of them as would have been enough alone, since the mix and the reference may have changed.
"""

from dataclasses import replace

from autoscaler.model.assessment import Assessment
from autoscaler.model.state import Recommendation
from autoscaler.plan.mix import MAX_REPLICAS
from autoscaler.plan.size import Need
from collector.model.ids import VariantName


def look_at(need: Need, *, now: float) -> Recommendation:
    """The need at `now` (epoch seconds), to be remembered."""
    look = Recommendation(timestamp_seconds=now, replicas=need.replicas)
    if len(need.parts) < 2 or need.wanted is None or need.reference is None:
        return look
    return replace(look, variant=need.reference, alone_replicas=need.wanted.replicas)


def larger(one: Recommendation, other: Recommendation) -> Recommendation:
    """The larger need of two looks close together, as a number where they cannot be compared."""
    merged = replace(one, replicas=max(one.replicas, other.replicas))
    if one.variant != other.variant:
        return replace(merged, variant=None, alone_replicas=None)
    if one.alone_replicas is None or other.alone_replicas is None:
        return merged
    return replace(merged, alone_replicas=max(one.alone_replicas, other.alone_replicas))


def needed_in(look: Recommendation, *, assessment: Assessment, need: Need) -> float:
    """What a look asks for, in replicas of today's reference.

    Where only a number of replicas is known, each may have been one of those that carry most.
    """
    worth = _worth_of(look.variant, assessment=assessment, need=need)
    if worth is None or look.alone_replicas is None:
        most = max((part.worth for part in need.parts), default=1.0)
        return min(look.replicas * most, MAX_REPLICAS)
    return min(look.alone_replicas * worth, MAX_REPLICAS)


def _worth_of(variant: VariantName | None, *, assessment: Assessment, need: Need) -> float | None:
    pairs = zip(assessment.fleets, need.parts, strict=True)
    return next(
        (part.worth for fleet, part in pairs if part.is_proven and fleet.variant.name == variant),
        None,
    )
