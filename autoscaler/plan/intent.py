"""What one service should come to, before memory is shared out. Pure.

In: need and floor. Out: an `Intent`, replicas per variant with what each is worth, and its bids for memory.
After `guard`, before `allocate` and `choose`. It must not ask whether there is room.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from autoscaler.model.assessment import Assessment, Fleet
from autoscaler.model.state import Recommendation
from autoscaler.plan.allocate import Bid
from autoscaler.plan.guard import Floor
from autoscaler.plan.mix import Counts, Part, Parts, grown, is_enough
from autoscaler.plan.parts import is_managed, serving_counts, supply_counts
from autoscaler.plan.size import Need
from autoscaler.plan.value import MINUTES_PER_HOUR, replica_values_per_hour
from collector.model.catalogue import Control
from collector.model.ids import VariantName
from collector.model.reading import fresh_value
from collector.model.replica import ReplicaState


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What one service should come to."""

    assessment: Assessment
    need: Need
    floor: Floor
    counts: Counts  # replicas of each variant that are wanted
    order: tuple[int, ...]  # variant of the 1st, 2nd … replica: those that run, then further ones
    values_per_hour: tuple[float, ...]  # of the 1st, 2nd … replica
    waits_to_start: bool  # a replica is missing only because earlier starts failed
    room: Mapping[VariantName, int] = field(default_factory=dict)  # of variants that were refused
    looks: tuple[Recommendation, ...] = ()  # what was needed over the hold, oldest first
    unserved_seconds: float = 0.0  # since any of its replicas served

    @property
    def target(self) -> int:
        """Replicas wanted: the need, or what may not be taken away yet."""
        return max(self.need.replicas, self.floor.replicas)

    @property
    def placement(self) -> tuple[tuple[Fleet, int], ...]:
        """(variant, replicas wanted) of those that Foresail starts and stops, in growth order."""
        pairs = zip(self.assessment.fleets, self.counts, strict=True)
        return tuple((fleet, count) for fleet, count in pairs if is_managed(fleet))

    def price(self, fleet: Fleet) -> float:
        """Money per hour for what one replica of the reference carries; the dearest go first."""
        return self.need.parts[self.assessment.fleets.index(fleet)].price


def intent(
    assessment: Assessment, *, need: Need, floor: Floor, control: Control, now: float
) -> Intent:
    """The intent of one service, each replica valued and placed on a variant."""
    return _intent(assessment, need=need, floor=floor, control=control, now=now, room={})


def elsewhere(
    wanted: Intent, *, room: Mapping[VariantName, int], control: Control, now: float
) -> Intent:
    """The intent where variants can have no more replicas than there is room for."""
    tightest = {name: min(count, wanted.room.get(name, count)) for name, count in room.items()}
    moved = _intent(
        wanted.assessment,
        need=wanted.need,
        floor=wanted.floor,
        control=control,
        now=now,
        room={**wanted.room, **tightest},
    )
    return replace(moved, looks=wanted.looks, unserved_seconds=wanted.unserved_seconds)


def _intent(  # noqa: PLR0913  what one service is decided from
    assessment: Assessment,
    *,
    need: Need,
    floor: Floor,
    control: Control,
    now: float,
    room: Mapping[VariantName, int],
) -> Intent:
    parts = tuple(
        _as_it_may_grow(part, fleet, is_blind=floor.is_blind, room=room, now=now)
        for part, fleet in zip(need.parts, assessment.fleets, strict=True)
    )
    counts = _placed(assessment, need=need, floor=floor, parts=parts)
    order = _order(assessment, counts=counts, total=max(need.replicas, floor.replicas))
    return Intent(
        assessment=assessment,
        need=need,
        floor=floor,
        counts=counts,
        order=order,
        values_per_hour=replica_values_per_hour(
            assessment, need=need, order=order, control=control
        ),
        waits_to_start=_waits_to_start(assessment, need=need, counts=counts, now=now),
        room=room,
    )


def _as_it_may_grow(
    part: Part, fleet: Fleet, *, is_blind: bool, room: Mapping[VariantName, int], now: float
) -> Part:
    """The part as it stands now: from what is kept of it up to what may be started.

    A variant above its maximum is cut to it unless blind; one whose starts fail does not grow.
    """
    if not is_managed(fleet):
        return part
    supply = len(fleet.supply)
    kept = supply if is_blind else min(supply, part.most)
    if now < fleet.start_allowed_timestamp_seconds:
        return replace(part, least=min(kept, room.get(fleet.variant.name, kept)), most=kept)
    least, most = max(kept, part.least), max(kept, part.most)
    limit = room.get(fleet.variant.name, most)
    if (min(least, limit), min(most, limit)) == (part.least, part.most):
        return part
    return replace(part, least=min(least, limit), most=min(most, limit))


def _placed(assessment: Assessment, *, need: Need, floor: Floor, parts: Parts) -> Counts:
    """What runs stays where it is, growth is the cheapest, and nothing goes below the floor."""
    kept = tuple(part.least for part in parts)
    if need.wanted is None:
        return _filled(kept, parts=parts, total=max(need.replicas, floor.replicas))
    bigger = grown(kept, parts=parts, wanted=need.wanted)
    if bigger != kept or floor.is_blind:
        return bigger
    return tuple(
        min(count, max(lowest, declared.least))
        for count, lowest, declared in zip(kept, floor.counts, need.parts, strict=True)
    )


def _filled(counts: Counts, *, parts: Parts, total: int) -> Counts:
    """As many replicas, whatever they carry: of the first variant in growth order that may grow."""
    filled: list[int] = []
    missing = total - sum(counts)
    for count, part in zip(counts, parts, strict=True):
        more = max(0, min(missing, part.most - count))
        filled.append(count + more)
        missing -= more
    return tuple(filled)


def _waits_to_start(assessment: Assessment, *, need: Need, counts: Counts, now: float) -> bool:
    """Whether too little is wanted only because variants wait after failed starts."""
    waiting = [
        (count, fleet.variant)
        for count, fleet in zip(counts, assessment.fleets, strict=True)
        if now < fleet.start_allowed_timestamp_seconds
    ]
    if any(count < variant.min_replicas for count, variant in waiting):
        return True
    if not any(count < variant.max_replicas for count, variant in waiting):
        return False
    if need.wanted is None:
        return sum(counts) < need.replicas
    return not is_enough(counts, parts=need.parts, wanted=need.wanted)


def _order(assessment: Assessment, *, counts: Counts, total: int) -> tuple[int, ...]:
    """The variant of each replica: those that run and stay, those that run and go, further ones.

    What serves comes before what starts: it carries the demand until then.
    """
    supply, serving = supply_counts(assessment), serving_counts(assessment)
    serve = [min(count, n) for count, n in zip(counts, serving, strict=True)]
    start = [min(count, n) - m for count, n, m in zip(counts, supply, serve, strict=True)]
    stay = [i for kind in (serve, start) for i, count in enumerate(kind) for _ in range(count)]
    go = [i for i, count in enumerate(counts) for _ in range(supply[i] - min(count, supply[i]))]
    come = [i for i, count in enumerate(counts) for _ in range(max(0, count - supply[i]))]
    known = (*stay, *go, *come)
    return (*known, *(0 for _ in range(total - len(known) if supply else 0)))


def bids(wanted: Intent, *, now: float) -> tuple[Bid, ...]:
    """One bid per replica that is wanted and Foresail starts or stops, in the order of their values."""
    return tuple(_bids(wanted, now=now))


def _bids(wanted: Intent, *, now: float) -> Iterator[Bid]:
    seen = [0] * len(wanted.counts)
    young = [_young_count(fleet, now=now) for fleet in wanted.assessment.fleets]
    for index, number in enumerate(wanted.order):
        fleet, position = wanted.assessment.fleets[number], seen[number]
        seen[number] += 1
        if position < wanted.counts[number] and is_managed(fleet):
            is_young = len(fleet.supply) - young[number] <= position < len(fleet.supply)
            yield _bid(wanted, fleet, index=index, position=position, is_young=is_young)


def _bid(wanted: Intent, fleet: Fleet, *, index: int, position: int, is_young: bool) -> Bid:
    is_incumbent = position < len(fleet.supply)
    is_declared = position < fleet.variant.min_replicas
    return Bid(
        service=wanted.assessment.service.name,
        variant=fleet.variant.name,
        index=index,
        pool=fleet.variant.pool,
        memory_bytes=_bid_bytes(fleet, position=position),
        value_per_hour=wanted.values_per_hour[index],
        is_incumbent=is_incumbent,
        is_young=is_young,
        is_required=is_declared or (wanted.floor.is_blind and is_incumbent),
        quota=fleet.variant.quota,
        price_per_hour=wanted.assessment.violation_price_per_minute * MINUTES_PER_HOUR,
        is_short_now=_is_short_now(wanted),
        unserved_seconds=wanted.unserved_seconds,
    )


def _is_short_now(wanted: Intent) -> bool:
    need, assessment = wanted.need, wanted.assessment
    if need.wanted is not None:
        return need.wanted.is_urgent
    return bool(assessment.held_requests or assessment.backlog_requests)


def _young_count(fleet: Fleet, *, now: float) -> int:
    """Replicas that start, or have not served for as long as a start takes. They are the last to be
    counted, whatever their place in the snapshot: those of one variant carry the same.

    One that serves since a time ahead of `now` counts as old: the clock was set back.
    """
    served = [view.replica.serving_timestamp_seconds for view in fleet.supply]
    return sum(at is None or 0.0 <= now - at < fleet.lead_time_seconds for at in served)


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
