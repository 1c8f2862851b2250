"""How many replicas a demand needs, and what the k-th of them is worth. Pure."""

import math
from dataclasses import dataclass

from autoscaler.model.assessment import Assessment
from autoscaler.model.capacity import Capacity
from autoscaler.model.demand import Rates
from collector.model.catalogue import Control

MINUTES_PER_HOUR = 60.0
LEAD_TIMES_BEFORE_END = 2.0
"""Before the end of a hold a start is urgent: one for the start, one for the other's drain."""
DEAD_BAND_RATIO = 0.05
"""Replayed on recorded traffic it saves a third of the changes, and costs nothing at equal attainment."""
QUEUE_SECONDS = 5.0
"""Of arrivals: a shorter queue is a burst, a longer one stands."""
MAX_GROWTH = 4
"""Times the serving replicas, per lead time, while capacity is unknown: the first completions of a
service with long answers come late and make a replica look slower than it is."""
MAX_REPLICAS = 1e9
"""More than any machine has: keeps a nonsensical reading a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one service needs now."""

    replicas: int  # inside its declared minimum and maximum
    unbounded_replicas: int  # what the demand alone asks for
    backlog_decides: bool  # without the backlog fewer would do
    scenario_works: tuple[
        float, ...
    ]  # replica-seconds per second, one per scenario, backlog included


def size(assessment: Assessment, *, control: Control) -> Need:
    """Replicas to carry the forecast at the service's headroom plus the backlog at the target
    utilisation.

    Without a known capacity the replicas themselves show what they can; without demand data the
    present supply is kept. After the idle time nothing is needed, whatever the forecast remembers.
    """
    works = scenario_works(assessment)
    if is_idle(assessment, control=control):
        wanted, by_backlog = 0, False
    elif works is None:
        wanted, by_backlog = _without_capacity(assessment), True
    else:
        capacity = _known(assessment.capacity)
        without = sized_work(assessment, capacity=capacity)
        work = without + _backlog_work(assessment, capacity)
        wanted = max(
            _settled(assessment, work=work, capacity=capacity, control=control),
            replicas_for(_present_work(assessment, capacity), capacity=capacity, utilisation=1.0),
        )
        by_backlog = wanted > replicas_for(
            without, capacity=capacity, utilisation=control.utilisation_target_ratio
        )
    if assessment.held_requests:
        wanted = max(wanted, 1)
    return Need(
        replicas=max(assessment.min_replicas, min(wanted, assessment.max_replicas)),
        unbounded_replicas=wanted,
        backlog_decides=by_backlog,
        scenario_works=works or (),
    )


def _settled(assessment: Assessment, *, work: float, capacity: Capacity, control: Control) -> int:
    """Replicas for the work; those that are there, where they fall short by a sliver only.

    Half of all changes would otherwise be one replica that goes again when the forecast sways back.
    """
    utilisation, supply = control.utilisation_target_ratio, assessment.supply_count
    wanted = replicas_for(work, capacity=capacity, utilisation=utilisation)
    stretched = utilisation * (1.0 + DEAD_BAND_RATIO)
    is_sliver = replicas_for(work, capacity=capacity, utilisation=stretched) <= supply < wanted
    return supply if is_sliver else wanted


def is_idle(assessment: Assessment, *, control: Control) -> bool:
    """No demand for the idle time, nothing held, nothing queued."""
    idle = assessment.idle_seconds
    waiting = assessment.held_requests or assessment.backlog_requests
    return idle is not None and idle >= control.idle_to_zero_seconds and not waiting


def replicas_for(work_ratio: float, *, capacity: Capacity, utilisation: float) -> int:
    """The smallest count that carries the work with each replica at most `utilisation` of its lower
    bound; 0 for no work."""
    if work_ratio <= 0:
        return 0
    replicas = work_ratio / (capacity.low_ratio * utilisation)
    return math.ceil(min(replicas, MAX_REPLICAS) - 1e-9)


def sized_work(assessment: Assessment, *, capacity: Capacity) -> float:
    """The work a service is sized for, without its backlog: the forecast at its headroom."""
    forecast = assessment.forecast
    return capacity.work_ratio(forecast.at(assessment.headroom_deviates)) if forecast else 0.0


def scenario_works(assessment: Assessment) -> tuple[float, ...] | None:
    """Work per scenario including the backlog; None when demand or its cost is unknown."""
    capacity, forecast = assessment.capacity, assessment.forecast
    if capacity is None or forecast is None:
        return None
    backlog = _backlog_work(assessment, capacity)
    peak = capacity.work_ratio(forecast.peak)
    return tuple(peak * factor + backlog for factor in forecast.scenario_factors)


def shortfall_ratio(works: tuple[float, ...], *, carried_work: float) -> float:
    """Expected share of the demand that is not carried; 0 without demand."""
    shares = [max(0.0, 1.0 - carried_work / work) if work > 0 else 0.0 for work in works]
    return sum(shares) / len(shares) if shares else 0.0


def replica_values_per_hour(
    assessment: Assessment, *, need: Need, count: int, control: Control
) -> tuple[float, ...]:
    """Money per hour that the 1st … `count`-th replica saves in violations. Shape (count,), falling.

    A held request makes the first replica worth a full violation whatever the forecast says, and
    twice that near the end of the hold, so that nobody starves behind an equal.
    """
    price = assessment.violation_price_per_minute * MINUTES_PER_HOUR
    capacity = assessment.capacity
    per_replica = (capacity.low_ratio if capacity else 1.0) * control.utilisation_target_ratio
    missing = [
        shortfall_ratio(need.scenario_works, carried_work=per_replica * k) for k in range(count + 1)
    ]
    values = [price * (missing[k] - missing[k + 1]) for k in range(count)]
    if not need.scenario_works:
        values = [price if k < need.replicas else 0.0 for k in range(count)]
    if values and assessment.held_requests:
        values[0] = max(values[0], price * urgency(assessment))
    return tuple(values)


def urgency(assessment: Assessment) -> float:
    """1 for a held request that can wait, 2 once a start any later would come after its hold.

    Waiting that long lets the one that has the memory use it: equals then take turns at the pace of
    the hold and not at that of the tick.
    """
    left = assessment.service.hold_timeout_seconds - assessment.oldest_held_seconds
    lead = max((fleet.lead_time_seconds for fleet in assessment.fleets), default=0.0)
    return 2.0 if left <= LEAD_TIMES_BEFORE_END * lead else 1.0


def _without_capacity(assessment: Assessment) -> int:
    """What the replicas themselves show; no requests at all need nothing.

    With a long queue standing, what is completed is all that they can: it says how many of them the
    arrivals need, up to MAX_GROWTH times those that serve, and one more to work the queue off. Where
    nothing is completed yet, one more at a time.
    """
    forecast, backlog = assessment.forecast, assessment.backlog_requests
    is_wanted = forecast is None or forecast.peak.requests_per_second > 0
    if not is_wanted and backlog == 0:
        return 0
    if not backlog or _is_burst(backlog, assessment=assessment):
        return assessment.supply_count
    all_serve = assessment.serving_count == assessment.supply_count
    one_more = assessment.supply_count + (1 if all_serve else 0)
    return max(one_more, _replicas_by_completions(assessment))


def _is_burst(backlog: float, *, assessment: Assessment) -> bool:
    """Whether replicas that complete requests have a queue shorter than QUEUE_SECONDS of arrivals: it
    does not prove that they are busy."""
    done, demand = assessment.completed_requests_per_second, assessment.demand_now
    if not done or demand is None or not assessment.serving_count:
        return False
    return backlog < QUEUE_SECONDS * demand.requests_per_second


def _replicas_by_completions(assessment: Assessment) -> int:
    """Arrivals over what one busy replica completes, within MAX_GROWTH; 0 when either is not known."""
    done, demand, serving = (
        assessment.completed_requests_per_second,
        assessment.demand_now,
        assessment.serving_count,
    )
    if not done or demand is None:
        return 0
    replicas = demand.requests_per_second * serving / done
    return math.ceil(min(replicas, MAX_GROWTH * serving, MAX_REPLICAS))


def _backlog_work(assessment: Assessment, capacity: Capacity) -> float:
    backlog: Rates | None = assessment.backlog_tokens
    return capacity.work_ratio(backlog) if backlog else 0.0


def _present_work(assessment: Assessment, capacity: Capacity) -> float:
    """What was asked for in the last level window: no forecast may be slower than what is seen."""
    demand = assessment.demand_now
    return capacity.work_ratio(demand) if demand else 0.0


def _known(capacity: Capacity | None) -> Capacity:
    if capacity is None:
        raise ValueError("capacity must be known here; scenario_works is None without it")
    return capacity
