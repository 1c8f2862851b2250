"""From needs, floors and allocated memory to one action per service, with the losers and why. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from autoscaler.model.action import Action, Direction, Hold, Reason, Scale
from autoscaler.model.assessment import Fleet
from autoscaler.model.decision import Candidate
from autoscaler.plan.allocate import Allocation
from autoscaler.plan.cheaper import CheaperMix
from autoscaler.plan.intent import Intent
from autoscaler.plan.inventory import Free
from autoscaler.plan.mix import carried
from autoscaler.plan.parts import supply_counts
from autoscaler.plan.size import is_idle
from autoscaler.plan.value import shortfall_ratio
from collector.model.catalogue import Control
from collector.model.ids import ReplicaId
from collector.model.reading import fresh_value
from collector.model.snapshot import ReplicaView

Move = tuple[Fleet, int]
"""A variant, and the replicas that it comes to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The action for one service."""

    intent: Intent
    action: Action
    reason: Reason
    candidates: tuple[Candidate, ...]
    notes: tuple[str, ...] = ()  # where the plan may have missed its best, one clause each

    def shortfall_ratio(self, *, action: Action, control: Control) -> float | None:
        """Expected share of demand not carried after that action; None when unknown."""
        assessment, need = self.intent.assessment, self.intent.need
        if not need.scenario_works or assessment.capacity is None:
            return None
        counts = list(supply_counts(assessment))
        if isinstance(action, Scale):
            for index, fleet in enumerate(assessment.fleets):
                if fleet.variant.name == action.variant:
                    counts[index] = action.to_replicas
        replicas = carried(tuple(counts), parts=need.parts)
        work = replicas * assessment.capacity.low_ratio * control.utilisation_target_ratio
        return shortfall_ratio(need.scenario_works, carried_work=work)


def choose(
    wanted: Intent,
    *,
    allocation: Allocation,
    free: Free,
    control: Control,
) -> Choice:
    """One action for the service. Scale-out first, then scale-in, else hold with the reason why;
    scale-in first where that makes the room.

    `free` is what no replica of any state holds now.
    """
    assessment = wanted.assessment
    moves = [
        (fleet, allocation.replicas.get((assessment.service.name, fleet.variant.name), 0))
        for fleet, _ in wanted.placement
    ]
    if not moves:
        return _held(wanted, Reason.NOT_MANAGED)
    outs = [(f, n) for f, n in moves if n > len(f.supply)]
    ins = [(f, n) for f, n in moves if n < len(f.supply)]
    fitting = [out for out in outs if free.replicas(out[0])]
    if outs and (fitting or not _make_room(ins, outs=outs)):
        return _scale_out(wanted, *(fitting or outs)[0], free=free)
    if ins:
        dearest = max(enumerate(ins), key=lambda each: (wanted.price(each[1][0]), each[0]))[1]
        return _scale_in(wanted, *dearest, control=control)
    return _held(wanted, hold_reason(wanted, allocation=allocation))


def _make_room(ins: Sequence[Move], *, outs: Sequence[Move]) -> bool:
    """Whether what is to come may wait for what is to go: each would wait for the other."""
    places = {place for fleet, _ in outs for place in _places(fleet)}
    return any(not places.isdisjoint(_places(fleet)) for fleet, _ in ins)


def _places(fleet: Fleet) -> tuple[object, ...]:
    pool, quota = ("pool", fleet.variant.pool), ("quota", fleet.variant.quota)
    return (pool,) if fleet.variant.quota is None else (pool, quota)


def with_cheaper(choice: Choice, step: CheaperMix) -> Choice:
    """The choice with a step towards a cheaper mix in place of holding."""
    action = Scale(
        variant=step.fleet.variant.name,
        direction=Direction.OUT,
        from_replicas=len(step.fleet.supply),
        to_replicas=step.replicas,
    )
    reason = Reason.CHEAPER_MIX
    chosen = Candidate(action=action, value_per_hour=step.saving_per_hour, rejected_because=None)
    waiting = Candidate(action=Hold(), value_per_hour=0.0, rejected_because=reason)
    return replace(choice, action=action, reason=reason, candidates=(chosen, waiting))


def hold_reason(wanted: Intent, *, allocation: Allocation) -> Reason:
    """Why nothing is done although nothing stands between target and supply."""
    if wanted.waits_to_start:
        return Reason.START_FAILING
    assessment = wanted.assessment
    name = assessment.service.name
    refused = {(name, f.variant.name) for f, _ in wanted.placement} & allocation.refused
    if (refused or wanted.room) and wanted.need.replicas > assessment.supply_count:
        is_quota = bool(refused) and refused <= allocation.over_quota
        return Reason.AT_MAXIMUM_REPLICAS if is_quota else Reason.MEMORY_FULL
    if wanted.need.is_capped:
        return Reason.AT_MAXIMUM_REPLICAS
    return wanted.floor.reason or Reason.STEADY


def _scale_out(wanted: Intent, fleet: Fleet, target: int, *, free: Free) -> Choice:
    supply, room = len(fleet.supply), free.replicas(fleet)
    action = Scale(
        variant=fleet.variant.name,
        direction=Direction.OUT,
        from_replicas=supply,
        to_replicas=min(target, supply + room),
    )
    if room < 1:
        has_place = free.places(fleet) > 0
        reason = Reason.MEMORY_FULL if has_place else Reason.AT_MAXIMUM_REPLICAS
        return _held(wanted, reason, instead_of=action)
    return _chosen(wanted, action, _out_reason(wanted))


def _out_reason(wanted: Intent) -> Reason:
    assessment = wanted.assessment
    if assessment.supply_count < assessment.min_replicas:
        return Reason.MINIMUM_REPLICAS
    if assessment.held_requests and assessment.supply_count == 0:
        return Reason.HELD_REQUEST
    if wanted.need.calendar_decides:
        return Reason.CALENDAR_EVENT
    return Reason.BACKLOG if wanted.need.backlog_decides else Reason.DEMAND_FORECAST


def _scale_in(wanted: Intent, fleet: Fleet, target: int, *, control: Control) -> Choice:
    supply = len(fleet.supply)
    victims = _victims(wanted, fleet, count=supply - target)
    if not victims:
        return _held(wanted, Reason.CHANGE_IN_PROGRESS)
    action = Scale(
        variant=fleet.variant.name,
        direction=Direction.IN,
        from_replicas=supply,
        to_replicas=supply - len(victims),
        stop_replicas=victims,
    )
    return _chosen(wanted, action, _in_reason(wanted, fleet, target, control=control))


def _victims(wanted: Intent, fleet: Fleet, *, count: int) -> tuple[ReplicaId, ...]:
    """Who goes. The last one that serves does not while others of the service still start."""
    assessment, victims = wanted.assessment, stop_order(fleet)[:count]
    others_stay = assessment.supply_count > len(victims)
    if others_stay and len(victims) == assessment.serving_count:
        return victims[:-1]
    return victims


def _in_reason(wanted: Intent, fleet: Fleet, target: int, *, control: Control) -> Reason:
    if len(fleet.supply) > fleet.variant.max_replicas:
        return Reason.ABOVE_MAXIMUM
    is_less = any(placed is fleet and target < count for placed, count in wanted.placement)
    if is_less or fleet.variant.name in wanted.room:
        return Reason.YIELD_MEMORY
    is_unused = is_idle(wanted.assessment, control=control)
    return Reason.IDLE if is_unused else Reason.SURPLUS_CAPACITY


def stop_order(fleet: Fleet) -> tuple[ReplicaId, ...]:
    """Serving replicas, the one with the fewest requests in flight first, younger before older.

    Replicas that still start are left to finish: taking them back is no cheaper than a stop later.
    """
    return tuple(view.replica.replica_id for view in sorted(fleet.serving, key=_stop_rank))


def _stop_rank(view: ReplicaView) -> tuple[float, float, str]:
    in_flight = fresh_value(view.in_flight_requests)
    return (
        float("inf") if in_flight is None else in_flight,
        -(view.replica.serving_timestamp_seconds or 0.0),
        view.replica.replica_id,
    )


def _chosen(wanted: Intent, action: Scale, reason: Reason) -> Choice:
    value = _value_per_hour(wanted, action)
    waiting = Candidate(action=Hold(), value_per_hour=0.0, rejected_because=reason)
    chosen = Candidate(action=action, value_per_hour=value, rejected_because=None)
    return Choice(intent=wanted, action=action, reason=reason, candidates=(chosen, waiting))


def _held(wanted: Intent, reason: Reason, *, instead_of: Scale | None = None) -> Choice:
    chosen = Candidate(action=Hold(), value_per_hour=0.0, rejected_because=None)
    if instead_of is None:
        return Choice(intent=wanted, action=Hold(), reason=reason, candidates=(chosen,))
    value = _value_per_hour(wanted, instead_of)
    loser = Candidate(action=instead_of, value_per_hour=value, rejected_because=reason)
    return Choice(intent=wanted, action=Hold(), reason=reason, candidates=(chosen, loser))


def _value_per_hour(wanted: Intent, action: Scale) -> float:
    """Violations avoided minus running cost (out), or cost saved minus violations (in).

    Values are those of the variant's next replicas, or of its last ones.
    """
    supply = wanted.assessment.supply_count
    change = abs(action.to_replicas - action.from_replicas)
    is_out = action.direction is Direction.OUT
    names = [wanted.assessment.fleets[number].variant.name for number in wanted.order]
    places = [k for k, name in enumerate(names) if name == action.variant]
    touched = [k for k in places if k >= supply] if is_out else [k for k in places if k < supply]
    concerned = touched[:change] if is_out else touched[len(touched) - change :]
    cost = sum(
        fleet.variant.cost_per_hour * change
        for fleet in wanted.assessment.fleets
        if fleet.variant.name == action.variant
    )
    gain = sum(wanted.values_per_hour[k] for k in concerned) - cost
    return gain if is_out else -gain
