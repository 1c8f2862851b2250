"""From needs, floors and allocated memory to one action per service, with the losers and why. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from autoscaler.model.action import Action, Direction, Hold, Reason, Scale
from autoscaler.model.assessment import Assessment, Fleet
from autoscaler.model.decision import Candidate
from autoscaler.plan.allocate import Allocation, Bid
from autoscaler.plan.guard import Floor
from autoscaler.plan.size import Need, is_idle, replica_values_per_hour, shortfall_ratio
from collector.model.catalogue import Control, UrlTarget
from collector.model.ids import PoolName, ReplicaId
from collector.model.reading import fresh_value
from collector.model.replica import ReplicaState
from collector.model.snapshot import ReplicaView


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What one service should come to, before memory is shared out."""

    assessment: Assessment
    need: Need
    floor: Floor
    values_per_hour: tuple[float, ...]  # of the 1st, 2nd … replica
    placement: tuple[tuple[Fleet, int], ...]  # replicas per managed variant that make up the target
    waits_to_start: bool  # a replica is missing only because earlier starts failed

    @property
    def target(self) -> int:
        """Replicas wanted: the need, or what may not be taken away yet."""
        return max(self.need.replicas, self.floor.replicas)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The action for one service."""

    intent: Intent
    action: Action
    reason: Reason
    candidates: tuple[Candidate, ...]

    def shortfall_ratio(self, *, replicas: int, control: Control) -> float | None:
        """Expected share of demand not carried by that many replicas; None when unknown."""
        works, capacity = self.intent.need.scenario_works, self.intent.assessment.capacity
        if not works or capacity is None:
            return None
        carried = replicas * capacity.low_ratio * control.utilisation_target_ratio
        return shortfall_ratio(works, carried_work=carried)


def intent(
    assessment: Assessment, *, need: Need, floor: Floor, control: Control, now: float
) -> Intent:
    """The intent of one service, each replica valued and placed on a variant."""
    target = max(need.replicas, floor.replicas)
    count = max(target, assessment.supply_count)
    placement = spread(assessment, total=target, is_blind=floor.is_blind, now=now)
    placed = sum(replicas for _, replicas in placement) + _unmanaged_count(assessment)
    waits = any(now < fleet.start_allowed_timestamp_seconds for fleet, _ in placement)
    return Intent(
        assessment=assessment,
        need=need,
        floor=floor,
        values_per_hour=replica_values_per_hour(
            assessment, need=need, count=count, control=control
        ),
        placement=placement,
        waits_to_start=waits and placed < target,
    )


def bids(wanted: Intent, *, now: float) -> tuple[Bid, ...]:
    """One bid per placed replica, in growth order."""
    placed: list[Bid] = []
    already = _unmanaged_count(wanted.assessment)
    for fleet, count in wanted.placement:
        for position in range(count):
            index = already + len(placed)
            incumbent = position < len(fleet.supply)
            required = position < fleet.variant.min_replicas
            placed.append(
                Bid(
                    service=wanted.assessment.service.name,
                    variant=fleet.variant.name,
                    index=index,
                    pool=fleet.variant.pool,
                    memory_bytes=_bid_bytes(fleet, position=position),
                    value_per_hour=sum(wanted.values_per_hour[index : index + 1]),
                    is_incumbent=incumbent,
                    is_young=incumbent and _is_young(fleet, position=position, now=now),
                    is_required=required or (wanted.floor.is_blind and incumbent),
                )
            )
    return tuple(placed)


def _is_young(fleet: Fleet, *, position: int, now: float) -> bool:
    """A replica that serves since a time ahead of `now` counts as old: the clock was set back."""
    served = fleet.supply[position].replica.serving_timestamp_seconds
    return served is None or 0.0 <= now - served < fleet.lead_time_seconds


def _bid_bytes(fleet: Fleet, *, position: int) -> int:
    """What a serving replica was measured to hold, what any other must be expected to.

    The margin of the expectation is for newcomers: it must not push out what already fits.
    """
    if position < len(fleet.supply):
        view = fleet.supply[position]
        measured = fresh_value(view.memory_bytes)
        if view.replica.state is ReplicaState.SERVING and measured and measured >= 1:
            return int(measured)
    return fleet.footprint_bytes


def spread(
    assessment: Assessment, *, total: int, is_blind: bool, now: float
) -> tuple[tuple[Fleet, int], ...]:
    """(fleet, replicas) of the managed variants that, with the unmanaged ones, make up `total`.

    What runs stays where it is: growth goes to the first variant in growth order that may start
    one, shrinking takes from the last. A variant above its maximum is cut to it unless blind.
    """
    managed = managed_fleets(assessment)
    counts = [_kept(fleet, is_blind=is_blind, now=now) for fleet in managed]
    missing = total - _unmanaged_count(assessment) - sum(counts)
    for position, fleet in enumerate(managed):
        room = 0 if _waits(fleet, now=now) else fleet.variant.max_replicas - counts[position]
        more = max(0, min(missing, room))
        counts[position] += more
        missing -= more
    for position, fleet in reversed(tuple(enumerate(managed))):
        least = len(fleet.supply) if is_blind else fleet.variant.min_replicas
        fewer = max(0, min(-missing, counts[position] - least))
        counts[position] -= fewer
        missing += fewer
    return tuple(zip(managed, counts, strict=True))


def _kept(fleet: Fleet, *, is_blind: bool, now: float) -> int:
    """Where the spreading starts: what is there, within the variant's own bounds."""
    supply, variant = len(fleet.supply), fleet.variant
    kept = supply if is_blind else min(supply, variant.max_replicas)
    return kept if _waits(fleet, now=now) else max(kept, variant.min_replicas)


def _waits(fleet: Fleet, *, now: float) -> bool:
    return now < fleet.start_allowed_timestamp_seconds


def managed_fleets(assessment: Assessment) -> tuple[Fleet, ...]:
    """The variants whose replicas Foresail starts and stops."""
    return tuple(f for f in assessment.fleets if not isinstance(f.variant.target, UrlTarget))


def _unmanaged_count(assessment: Assessment) -> int:
    managed = managed_fleets(assessment)
    return assessment.supply_count - sum(len(fleet.supply) for fleet in managed)


def choose(
    wanted: Intent,
    *,
    allocation: Allocation,
    free_bytes: Mapping[PoolName, int],
    control: Control,
) -> Choice:
    """One action for the service. Scale-out first, then scale-in, else hold with the reason why.

    `free_bytes` is what no replica of any state holds now: memory that is being given up cannot be
    used before it is free.
    """
    assessment = wanted.assessment
    moves = [
        (fleet, allocation.replicas.get((assessment.service.name, fleet.variant.name), 0))
        for fleet, _ in wanted.placement
    ]
    if not moves:
        return _held(wanted, Reason.NOT_MANAGED)
    outs = [(f, n) for f, n in moves if n > len(f.supply)]
    if outs:
        return _scale_out(wanted, *outs[0], free_bytes=free_bytes)
    ins = [(f, n) for f, n in moves if n < len(f.supply)]
    if ins:
        return _scale_in(wanted, *ins[-1], control=control)
    return _held(wanted, hold_reason(wanted, allocation=allocation))


def hold_reason(wanted: Intent, *, allocation: Allocation) -> Reason:
    """Why nothing is done although nothing stands between target and supply."""
    if wanted.waits_to_start:
        return Reason.START_FAILING
    assessment = wanted.assessment
    name = assessment.service.name
    is_refused = any((name, f.variant.name) in allocation.refused for f, _ in wanted.placement)
    if is_refused and wanted.need.replicas > assessment.supply_count:
        return Reason.MEMORY_FULL
    if wanted.need.unbounded_replicas > assessment.max_replicas:
        return Reason.AT_MAXIMUM_REPLICAS
    return wanted.floor.reason or Reason.STEADY


def _scale_out(
    wanted: Intent, fleet: Fleet, target: int, *, free_bytes: Mapping[PoolName, int]
) -> Choice:
    supply = len(fleet.supply)
    room = max(0, free_bytes.get(fleet.variant.pool, 0)) // fleet.footprint_bytes
    action = Scale(
        variant=fleet.variant.name,
        direction=Direction.OUT,
        from_replicas=supply,
        to_replicas=min(target, supply + room),
    )
    if room < 1:
        return _held(wanted, Reason.MEMORY_FULL, instead_of=action)
    return _chosen(wanted, action, _out_reason(wanted))


def _out_reason(wanted: Intent) -> Reason:
    assessment = wanted.assessment
    if assessment.supply_count < assessment.min_replicas:
        return Reason.MINIMUM_REPLICAS
    if assessment.held_requests and assessment.supply_count == 0:
        return Reason.HELD_REQUEST
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
    if any(placed is fleet and target < count for placed, count in wanted.placement):
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

    Values are those of the service's replicas: the next ones, or the last ones, of any variant.
    """
    supply = wanted.assessment.supply_count
    change = abs(action.to_replicas - action.from_replicas)
    is_out = action.direction is Direction.OUT
    first = supply if is_out else supply - change
    cost = sum(
        fleet.variant.cost_per_hour * change
        for fleet in wanted.assessment.fleets
        if fleet.variant.name == action.variant
    )
    gain = sum(wanted.values_per_hour[first : first + change]) - cost
    return gain if is_out else -gain
