"""What a service needs: which work, in how many replicas of which variants. Pure.

In: an assessment. Out: a `Need`. All work is counted in the unit of the reference, the first variant in
growth order whose capacity is known. Before `guard`, `choose` and `value`; knows of no memory.
"""

import math
from dataclasses import dataclass, replace

from autoscaler.model.assessment import Assessment
from autoscaler.model.capacity import Capacity
from autoscaler.model.demand import Announced, Rates
from autoscaler.plan.mix import (
    MAX_REPLICAS,
    ROUNDING,
    Parts,
    Wanted,
    carried,
    is_enough,
    least_count,
    settled,
)
from autoscaler.plan.parts import (
    bounded_parts,
    serving_counts,
    supply_counts,
    unbounded_parts,
)
from collector.model.catalogue import Control
from collector.model.ids import VariantName

DEAD_BAND_RATIO = 0.05
"""Replayed on recorded traffic it saves a third of the changes, and costs nothing at equal attainment."""
QUEUE_SECONDS = 5.0
"""Of arrivals or of what is completed: a shorter queue is a burst, a longer one stands."""
BURNING_QUEUE_SECONDS = 1.0
"""The same while capacity is unknown and objectives are missed."""
UNKNOWN_UTILISATION_RATIO = 0.7
"""Of what busy replicas complete: bursts and the queue that stands want room, and nothing else is known."""
MAX_GROWTH = 4
"""Times the serving replicas, per lead time, while capacity is unknown: the first completions of a
service with long answers come late and make a replica look slower than it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one service needs now."""

    replicas: int  # of all its variants, inside their declared minima and maxima
    unbounded_replicas: int  # what the demand alone asks for
    backlog_decides: bool  # without the backlog fewer would do
    scenario_works: tuple[
        float, ...
    ]  # work per second in the unit of the reference variant, one per scenario, backlog included
    wanted: Wanted | None  # of the mix of variants; None: not known what they carry, only how many
    parts: Parts  # the variants inside their bounds
    reference: VariantName | None  # the variant in which `wanted` is counted
    is_capped: bool  # the declared maxima are not enough
    calendar_decides: bool = False  # without the events of its calendar fewer would do
    hanging_replicas: int = 0  # of `replicas`: start for too long to be counted on
    hanging_worth: float = 0.0  # the same in replicas of the reference


def size(assessment: Assessment, *, control: Control) -> Need:
    """What the service needs; an event of its calendar may raise that, never lower it."""
    need = _size(assessment, control=control)
    if not assessment.announced.clauses:
        return need
    usual = replace(
        assessment, forecast=assessment.announced.forecast_without, announced=Announced()
    )
    without = _size(usual, control=control)
    decides = without.unbounded_replicas < need.unbounded_replicas
    if without.unbounded_replicas <= need.unbounded_replicas:
        return replace(need, calendar_decides=decides)
    usually = replace(without, scenario_works=need.scenario_works)
    return replace(usually, backlog_decides=need.backlog_decides)


def _size(assessment: Assessment, *, control: Control) -> Need:
    """Replicas to carry the forecast at the service's headroom plus the backlog at the target
    utilisation.

    Without a known capacity the replicas themselves show what they can; without demand data the
    present supply is kept. After the idle time nothing is needed, whatever the forecast remembers.
    """
    works, parts = scenario_works(assessment), bounded_parts(assessment)
    if is_idle(assessment, control=control):
        need = _by_mix(assessment, parts=parts, replicas=0.0, without_backlog=0.0, control=control)
        return replace(need, scenario_works=works or ())
    if works is None:
        return _by_count(assessment)
    capacity, utilisation = _known(assessment.capacity), control.utilisation_target_ratio
    without = sized_work(assessment, capacity=capacity)
    work = without + _backlog_work(assessment, capacity)
    present = alone(_waiting_work(assessment, capacity), capacity=capacity, utilisation=1.0)
    need = _by_mix(
        assessment,
        parts=parts,
        replicas=max(
            _steadied(assessment, work=work, parts=parts, control=control),
            present,
            _shown_by_queue(assessment, capacity=capacity),
        ),
        without_backlog=alone(without, capacity=capacity, utilisation=utilisation),
        control=control,
    )
    return replace(need, scenario_works=works)


def _by_count(assessment: Assessment) -> Need:
    """Where nobody knows what a replica carries, or what is asked for."""
    count, parts = _without_capacity(assessment), bounded_parts(assessment)
    if _is_awaited(assessment):
        count = max(count, 1)
    return Need(
        replicas=max(assessment.min_replicas, min(count, assessment.max_replicas)),
        unbounded_replicas=count,
        backlog_decides=True,
        scenario_works=(),
        wanted=None,
        parts=parts,
        reference=_reference(assessment, parts=parts),
        is_capped=count > assessment.max_replicas,
    )


def _by_mix(
    assessment: Assessment,
    *,
    parts: Parts,
    replicas: float,
    without_backlog: float,
    control: Control,
) -> Need:
    supply = supply_counts(assessment)
    wanted = Wanted(
        replicas=replicas,
        firm_ratio=1.0 - control.max_spot_ratio,
        at_least_one=_is_awaited(assessment),
        is_urgent=_is_short_now(assessment, parts=parts),
    )
    unbounded = unbounded_parts(parts, supply=supply, wanted=wanted)
    counts = settled(supply, parts=parts, wanted=wanted)
    freely = counts if unbounded is parts else settled(supply, parts=unbounded, wanted=wanted)
    demanded = sum(freely)
    usual = replace(wanted, replicas=without_backlog)
    return Need(
        replicas=sum(counts),
        unbounded_replicas=demanded,
        backlog_decides=replicas > without_backlog
        and demanded > sum(settled(supply, parts=unbounded, wanted=usual)),
        scenario_works=(),
        wanted=wanted,
        parts=parts,
        reference=_reference(assessment, parts=parts),
        is_capped=not is_enough(counts, parts=parts, wanted=wanted),
    )


def _reference(assessment: Assessment, *, parts: Parts) -> VariantName | None:
    pairs = zip(assessment.fleets, parts, strict=True)
    return next((fleet.variant.name for fleet, part in pairs if part.is_proven), None)


def raised(need: Need, *, assessment: Assessment, replicas: float) -> Need:
    """The need with more wanted, in replicas of the reference; how many that are is told anew."""
    if need.wanted is None or replicas <= need.wanted.replicas:
        return need
    wanted = replace(need.wanted, replicas=replicas)
    counts = settled(supply_counts(assessment), parts=need.parts, wanted=wanted)
    return replace(need, wanted=wanted, replicas=max(need.replicas, sum(counts)))


def _is_awaited(assessment: Assessment) -> bool:
    """Whether one replica is wanted, however little is asked for."""
    return bool(assessment.held_requests) or assessment.is_expected


def _is_short_now(assessment: Assessment, *, parts: Parts) -> bool:
    if assessment.held_requests or assessment.backlog_requests or assessment.capacity is None:
        return True
    present = _present_work(assessment, assessment.capacity)
    needed = alone(present, capacity=assessment.capacity, utilisation=1.0)
    return carried(serving_counts(assessment), parts=parts) < needed


def load_ratio(assessment: Assessment, *, parts: Parts) -> float | None:
    """The work asked for now over what the serving replicas sustain; None where either is not known, none
    serves, or it is no number."""
    capacity = assessment.capacity
    if capacity is None or assessment.demand_now is None:
        return None
    serving = carried(serving_counts(assessment), parts=parts)
    needed = alone(_present_work(assessment, capacity), capacity=capacity, utilisation=1.0)
    load = needed / serving if serving > 0 else math.nan
    return load if math.isfinite(load) else None


def has_standing_queue(assessment: Assessment) -> bool:
    """Whether requests are held, or so many wait that it is no burst."""
    backlog = assessment.backlog_requests or 0.0
    demand = assessment.demand_now
    arrivals = demand.requests_per_second if demand else 0.0
    return bool(assessment.held_requests) or backlog > QUEUE_SECONDS * arrivals


def _steadied(assessment: Assessment, *, work: float, parts: Parts, control: Control) -> float:
    """Replicas of the reference for the work; what is there, where it falls short by a sliver only.

    Half of all changes would otherwise be one replica that goes again when the forecast sways back.
    """
    capacity, utilisation = _known(assessment.capacity), control.utilisation_target_ratio
    there = carried(supply_counts(assessment), parts=parts)
    wanted = alone(work, capacity=capacity, utilisation=utilisation)
    stretched = alone(work, capacity=capacity, utilisation=utilisation * (1.0 + DEAD_BAND_RATIO))
    is_sliver = stretched <= there + ROUNDING < wanted
    return there if is_sliver else wanted


def is_idle(assessment: Assessment, *, control: Control) -> bool:
    """No demand for the idle time, nothing held, nothing queued, and none announced as a rate."""
    idle = assessment.idle_seconds
    waiting = assessment.held_requests or assessment.backlog_requests
    is_wanted = waiting or assessment.is_expected
    return idle is not None and idle >= control.idle_to_zero_seconds and not is_wanted


def alone(work_ratio: float, *, capacity: Capacity, utilisation: float) -> float:
    """Replicas that carry the work with each at most `utilisation` of its lower bound, as a fraction;
    0 for no work."""
    if work_ratio <= 0:
        return 0.0
    return min(work_ratio / (capacity.low_ratio * utilisation), MAX_REPLICAS)


def replicas_for(work_ratio: float, *, capacity: Capacity, utilisation: float) -> int:
    """The same as a whole number."""
    return least_count(alone(work_ratio, capacity=capacity, utilisation=utilisation))


def sized_work(assessment: Assessment, *, capacity: Capacity) -> float:
    """The work a service is sized for, without its backlog: the forecast at its headroom."""
    forecast = assessment.forecast
    return capacity.work_ratio(forecast.times(assessment.headroom_factor)) if forecast else 0.0


def scenario_works(assessment: Assessment) -> tuple[float, ...] | None:
    """Work per scenario including the backlog; None when demand or its cost is unknown."""
    capacity, forecast = assessment.capacity, assessment.forecast
    if capacity is None or forecast is None:
        return None
    backlog = _backlog_work(assessment, capacity)
    peak = capacity.work_ratio(forecast.peak)
    least = capacity.work_ratio(forecast.least) if forecast.least else 0.0
    return tuple(max(peak * factor, least) + backlog for factor in forecast.scenario_factors)


def _shown_by_queue(assessment: Assessment, *, capacity: Capacity) -> float:
    """Replicas that a standing queue asks for while capacity was hardly seen: it may hide a limit that
    steps do not tell of. A queue counts in seconds of what is completed, so that more demand never
    means fewer."""
    backlog, done = (
        assessment.backlog_requests or 0.0,
        assessment.completed_requests_per_second or 0.0,
    )
    if not capacity.is_provisional or backlog <= QUEUE_SECONDS * done:
        return 0.0
    return float(_one_more_or_by_completions(assessment))


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
    return _one_more_or_by_completions(assessment)


def _one_more_or_by_completions(assessment: Assessment) -> int:
    all_serve = assessment.serving_count == assessment.supply_count
    one_more = assessment.supply_count + (1 if all_serve else 0)
    return max(one_more, _replicas_by_completions(assessment))


def _is_burst(backlog: float, *, assessment: Assessment) -> bool:
    """Whether replicas that complete requests have a queue of so few seconds of what they complete that
    it does not prove that they are busy."""
    done = assessment.completed_requests_per_second
    if not done or not assessment.serving_count:
        return False
    burns = assessment.burn_rate is not None and assessment.burn_rate > 1.0
    seconds = BURNING_QUEUE_SECONDS if burns else QUEUE_SECONDS
    return backlog < seconds * done


def _replicas_by_completions(assessment: Assessment) -> int:
    """Arrivals over what one busy replica may be asked to complete, within MAX_GROWTH.

    0 when either is not known, or as many are completed as arrive: the queue is being worked off.
    """
    done, demand, serving = (
        assessment.completed_requests_per_second,
        assessment.demand_now,
        assessment.serving_count,
    )
    if not done or demand is None or demand.requests_per_second <= done:
        return 0
    replicas = demand.requests_per_second * serving / (done * UNKNOWN_UTILISATION_RATIO)
    return math.ceil(min(replicas, MAX_GROWTH * serving, MAX_REPLICAS))


def _backlog_work(assessment: Assessment, capacity: Capacity) -> float:
    backlog: Rates | None = assessment.backlog_tokens
    return capacity.work_ratio(backlog) if backlog else 0.0


def _present_work(assessment: Assessment, capacity: Capacity) -> float:
    """What was asked for in the last level window: no forecast may be slower than what is seen."""
    demand = assessment.demand_now
    return capacity.work_ratio(demand) if demand else 0.0


def _waiting_work(assessment: Assessment, capacity: Capacity) -> float:
    """The present work, or what the last half minute proves where that is more, and the queue: after a
    step of demand the forecast lags, and both must be carried by something."""
    onset = capacity.work_ratio(assessment.demand_onset) if assessment.demand_onset else 0.0
    present = max(_present_work(assessment, capacity), onset)
    return present + _backlog_work(assessment, capacity)


def _known(capacity: Capacity | None) -> Capacity:
    if capacity is None:
        raise ValueError("capacity must be known here; scenario_works is None without it")
    return capacity
