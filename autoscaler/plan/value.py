"""What each replica of a service is worth in money. Pure.

In: what is needed, and the replicas in the order in which they are counted. Out: one value each. Between
`size` and `choose`, which bids for memory with them. It must not know what memory costs.
"""

from collections.abc import Sequence

from autoscaler.model.assessment import Assessment
from autoscaler.plan.size import Need
from collector.model.catalogue import Control

MINUTES_PER_HOUR = 60.0
LEAD_TIMES_BEFORE_END = 2.0
"""Before the end of a hold a start is urgent: one for the start, one for the other's drain."""


def shortfall_ratio(works: tuple[float, ...], *, carried_work: float) -> float:
    """Expected share of the demand that is not carried; 0 without demand."""
    shares = [max(0.0, 1.0 - carried_work / work) if work > 0 else 0.0 for work in works]
    return sum(shares) / len(shares) if shares else 0.0


def replica_values_per_hour(
    assessment: Assessment, *, need: Need, order: Sequence[int], control: Control
) -> tuple[float, ...]:
    """Money per hour that the 1st, 2nd … replica saves in violations. Shape (len(order),).

    `order` is the fleet of each, as its index in the assessment. A held request makes the first
    replica worth a full violation whatever the forecast says, and twice that near the end of the
    hold, so that nobody starves behind an equal. A backlog makes it worth one too: without it those
    requests would be held, and it would be started again.
    """
    price = assessment.violation_price_per_minute * MINUTES_PER_HOUR
    values = [price if k < need.replicas else 0.0 for k in range(len(order))]
    if need.scenario_works:
        missing = _missing_ratios(assessment, need=need, order=order, control=control)
        values = [price * (missing[k] - missing[k + 1]) for k in range(len(order))]
    if values and (assessment.held_requests or assessment.backlog_requests):
        values[0] = max(values[0], price * (urgency(assessment) if assessment.held_requests else 1))
    return tuple(values)


def _missing_ratios(
    assessment: Assessment, *, need: Need, order: Sequence[int], control: Control
) -> list[float]:
    """The share that is not carried by none, by the first, by the first two … replicas."""
    capacity, worths = assessment.capacity, [part.worth for part in need.parts]
    per_replica = (capacity.low_ratio if capacity else 1.0) * control.utilisation_target_ratio
    counts = [0] * len(worths)
    missing = [shortfall_ratio(need.scenario_works, carried_work=0.0)]
    for fleet in order:
        counts[fleet] += 1
        replicas = sum(count * worth for count, worth in zip(counts, worths, strict=True))
        missing.append(shortfall_ratio(need.scenario_works, carried_work=per_replica * replicas))
    return missing


def urgency(assessment: Assessment) -> float:
    """1 for a held request that can wait, 2 once a start any later would come after its hold.

    Waiting that long lets the one that has the memory use it: equals then take turns at the pace of
    the hold and not at that of the tick.
    """
    left = assessment.service.hold_timeout_seconds - assessment.oldest_held_seconds
    lead = max((fleet.lead_time_seconds for fleet in assessment.fleets), default=0.0)
    return 2.0 if left <= LEAD_TIMES_BEFORE_END * lead else 1.0
