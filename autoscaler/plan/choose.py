"""From needs, floors and allocated memory to one action per service, with the losers and why. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from autoscaler.model.action import Action, Direction, Hold, Reason, Scale
from autoscaler.model.assessment import Assessment, Fleet
from autoscaler.model.decision import Candidate
from autoscaler.plan.allocate import Allocation, Bid
from autoscaler.plan.guard import Floor, is_idle
from autoscaler.plan.size import Need, replica_values_per_hour, shortfall_ratio
from collector.model.catalogue import Control, UrlTarget
from collector.model.ids import PoolName, ReplicaId
from collector.model.reading import known_value
from collector.model.snapshot import ReplicaView


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What one service should come to, before memory is shared out."""

    assessment: Assessment
    need: Need
    floor: Floor
    values_per_hour: tuple[float, ...]  # of the 1st, 2nd … replica

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


def intent(assessment: Assessment, *, need: Need, floor: Floor, control: Control) -> Intent:
    """The intent of one service, each replica valued."""
    count = max(need.replicas, floor.replicas, assessment.supply_count)
    values = replica_values_per_hour(assessment, need=need, count=count, control=control)
    return Intent(assessment=assessment, need=need, floor=floor, values_per_hour=values)


def bids(wanted: Intent) -> tuple[Bid, ...]:
    """One bid per replica of the managed variants, in growth order, up to the target."""
    placed: list[Bid] = []
    minimum = wanted.assessment.min_replicas
    for fleet, count in spread(wanted.assessment, total=wanted.target):
        for position in range(count):
            index = len(placed)
            incumbent = position < len(fleet.supply)
            placed.append(
                Bid(
                    service=wanted.assessment.service.name,
                    variant=fleet.variant.name,
                    index=index,
                    pool=fleet.variant.pool,
                    memory_bytes=fleet.footprint_bytes,
                    value_per_hour=wanted.values_per_hour[index],
                    is_incumbent=incumbent,
                    is_required=index < minimum or (wanted.floor.is_blind and incumbent),
                )
            )
    return tuple(placed)


def spread(assessment: Assessment, *, total: int) -> tuple[tuple[Fleet, int], ...]:
    """(fleet, replicas) that make up `total`, minima first, then in growth order; managed ones only."""
    managed = [f for f in assessment.fleets if not isinstance(f.variant.target, UrlTarget)]
    counts = [fleet.variant.min_replicas for fleet in managed]
    left = total - sum(counts)
    for position, fleet in enumerate(managed):
        more = max(0, min(left, fleet.variant.max_replicas - counts[position]))
        counts[position] += more
        left -= more
    return tuple(zip(managed, counts, strict=True))


def choose(
    wanted: Intent,
    *,
    allocation: Allocation,
    free_bytes: Mapping[PoolName, int],
    control: Control,
    now: float,
) -> Choice:
    """One action for the service. Scale-out first, then scale-in, else hold with the reason why.

    `free_bytes` is what no replica of any state holds now: memory that is being given up cannot be
    used before it is free.
    """
    assessment = wanted.assessment
    moves = [
        (fleet, allocation.replicas.get((assessment.service.name, fleet.variant.name), 0))
        for fleet, _ in spread(assessment, total=0)
    ]
    if not moves:
        return _held(wanted, Reason.NOT_MANAGED)
    outs = [(f, n) for f, n in moves if n > len(f.supply)]
    if outs:
        return _scale_out(wanted, *outs[0], free_bytes=free_bytes, now=now)
    ins = [(f, n) for f, n in moves if n < len(f.supply)]
    if ins:
        return _scale_in(wanted, *ins[-1], control=control)
    return _held(wanted, hold_reason(wanted, allocation=allocation))


def hold_reason(wanted: Intent, *, allocation: Allocation) -> Reason:
    """Why nothing is done although nothing stands between target and supply."""
    assessment = wanted.assessment
    refused = {service for service, _ in allocation.refused}
    if assessment.service.name in refused and wanted.need.replicas > assessment.supply_count:
        return Reason.MEMORY_FULL
    if wanted.need.unbounded_replicas > assessment.max_replicas:
        return Reason.AT_MAXIMUM_REPLICAS
    return wanted.floor.reason or Reason.STEADY


def _scale_out(
    wanted: Intent, fleet: Fleet, target: int, *, free_bytes: Mapping[PoolName, int], now: float
) -> Choice:
    supply = len(fleet.supply)
    room = max(0, free_bytes.get(fleet.variant.pool, 0)) // fleet.footprint_bytes
    action = Scale(
        variant=fleet.variant.name,
        direction=Direction.OUT,
        from_replicas=supply,
        to_replicas=min(target, supply + room),
    )
    if now < fleet.start_allowed_timestamp_seconds:
        return _held(wanted, Reason.START_FAILING, instead_of=action)
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
    victims = stop_order(fleet)[: supply - target]
    if not victims:
        return _held(wanted, Reason.CHANGE_IN_PROGRESS)
    action = Scale(
        variant=fleet.variant.name,
        direction=Direction.IN,
        from_replicas=supply,
        to_replicas=supply - len(victims),
        stop_replicas=victims,
    )
    return _chosen(wanted, action, _in_reason(wanted, control=control))


def _in_reason(wanted: Intent, *, control: Control) -> Reason:
    assessment = wanted.assessment
    if assessment.supply_count > assessment.max_replicas:
        return Reason.ABOVE_MAXIMUM
    if wanted.target >= assessment.supply_count:
        return Reason.YIELD_MEMORY
    return Reason.IDLE if is_idle(assessment, control=control) else Reason.SURPLUS_CAPACITY


def stop_order(fleet: Fleet) -> tuple[ReplicaId, ...]:
    """Serving replicas, the one with the fewest requests in flight first, younger before older.

    Replicas that still start are left to finish: taking them back is no cheaper than a stop later.
    """
    return tuple(view.replica.replica_id for view in sorted(fleet.serving, key=_stop_rank))


def _stop_rank(view: ReplicaView) -> tuple[float, float, str]:
    in_flight = known_value(view.in_flight_requests)
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
    """Violations avoided minus running cost (out), or cost saved minus violations (in)."""
    values = wanted.values_per_hour
    low, high = sorted((action.from_replicas, action.to_replicas))
    cost = sum(
        fleet.variant.cost_per_hour * (high - low)
        for fleet in wanted.assessment.fleets
        if fleet.variant.name == action.variant
    )
    gain = sum(values[low:high]) - cost
    return gain if action.direction is Direction.OUT else -gain
