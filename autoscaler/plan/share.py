"""Shares an inventory out among services, and chooses one action for each. Pure.

In: intents, the snapshot, the catalogue. Out: a `Choice` per intent. The last stage of the plan: bids are
granted, a service that was refused on one variant tries its others, and what is free now goes where it
saves most. It must not change what is needed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from autoscaler.model.action import Hold, Scale
from autoscaler.plan.allocate import Allocation, Bid, Budgets, allocate
from autoscaler.plan.allocate_exactly import Inexact, allocate_exactly
from autoscaler.plan.cheaper import cheaper_mix
from autoscaler.plan.choose import Choice, choose, with_cheaper
from autoscaler.plan.intent import Intent, bids, elsewhere
from autoscaler.plan.inventory import Free, free_now, pool_budgets
from autoscaler.plan.just_ordered import with_just_ordered_kept
from autoscaler.plan.own_first import with_own_first
from collector.model.catalogue import Catalogue, Control
from collector.model.ids import PoolName, QuotaName, ServiceName
from collector.model.snapshot import Snapshot

MAX_ROUNDS = 4
"""A service of more variants tries the others at the next tick."""
MAX_EXACT_BIDS = 2000
"""Per tick, over all pools and rounds: about a second of one core."""
NOT_EXACT = "memory was shared by value per byte only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """Who gets what."""

    allocation: Allocation
    inexact: Mapping[ServiceName, Inexact]  # compete where memory was shared greedily only


@dataclass(slots=True, kw_only=True)
class Effort:
    """What may still be searched in this tick; it shrinks while memory is shared."""

    left_bids: int = MAX_EXACT_BIDS
    has_failed: bool = False  # a search ended without proof: the next would take as long again

    def refusal(self, group: Sequence[Bid]) -> Inexact | None:
        """Why these are not searched; None: they may be, and are counted."""
        if self.has_failed:
            return Inexact.NO_PROOF
        if len(group) > self.left_bids:
            return Inexact.TOO_MANY_BIDS
        self.left_bids -= len(group)
        return None


def choices(
    intents: Sequence[Intent], *, snapshot: Snapshot, catalogue: Catalogue, now: float
) -> list[Choice]:
    """The actions, in order of the intents. Chosen in order of value, so that the memory that is free
    now goes where it saves most."""
    budgets = Budgets(
        pool_bytes=pool_budgets(catalogue, snapshot=snapshot, intents=intents),
        quota_replicas={quota.name: quota.max_replicas for quota in catalogue.quotas},
    )
    settled, shared = _settled(intents, budgets=budgets, control=catalogue.control, now=now)
    free = free_now(catalogue, snapshot=snapshot, intents=intents)
    chosen: dict[ServiceName, Choice] = {}
    for each in sorted(settled, key=_urgency_rank):
        choice = choose(each, allocation=shared.allocation, free=free, control=catalogue.control)
        name = each.assessment.service.name
        if name in shared.inexact:
            choice = replace(choice, notes=(f"{NOT_EXACT}: {shared.inexact[name]}",))
        chosen[name] = choice
        _take(free, choice)
    ordered = [chosen[each.assessment.service.name] for each in intents]
    return _with_cheaper_mixes(
        ordered, allocation=shared.allocation, free=free, control=catalogue.control, now=now
    )


def _with_cheaper_mixes(
    chosen: Sequence[Choice], *, allocation: Allocation, free: Free, control: Control, now: float
) -> list[Choice]:
    """The choices, those that hold with a step towards a cheaper mix where there is one.

    Only in room that nobody wants: where any service was refused, prices wait.
    """
    contested = _contested(chosen, allocation=allocation)
    return [
        _cheaper(each, contested=contested, free=free, control=control, now=now) for each in chosen
    ]


def _cheaper(
    choice: Choice, *, contested: frozenset[object], free: Free, control: Control, now: float
) -> Choice:
    wanted = choice.intent
    if not isinstance(choice.action, Hold) or wanted.room or len(wanted.placement) < 2:
        return choice
    room = {
        fleet.variant.name: free.replicas(fleet)
        for fleet, _ in wanted.placement
        if contested.isdisjoint((fleet.variant.pool, fleet.variant.quota))
    }
    step = cheaper_mix(wanted, room=room, control=control, now=now)
    if step is None:
        return choice
    cheaper = with_cheaper(choice, step)
    _take(free, cheaper)
    return cheaper


def _contested(chosen: Sequence[Choice], *, allocation: Allocation) -> frozenset[object]:
    """Pools and quotas that somebody did not get enough of."""
    refused = [
        fleet.variant
        for choice in chosen
        for fleet, _ in choice.intent.placement
        if (choice.intent.assessment.service.name, fleet.variant.name) in allocation.refused
        or fleet.variant.name in choice.intent.room
    ]
    quotas = (variant.quota for variant in refused if variant.quota is not None)
    return frozenset((*(variant.pool for variant in refused), *quotas))


def _urgency_rank(wanted: Intent) -> tuple[float, float, str]:
    assessment = wanted.assessment
    missing = wanted.values_per_hour[assessment.supply_count :]
    return (-max(missing, default=0.0), -wanted.unserved_seconds, assessment.service.name)


def _take(free: Free, choice: Choice) -> None:
    """Counts the memory a scale-out will use as no longer free for the services after it."""
    action = choice.action
    if not isinstance(action, Scale):
        return
    for fleet in choice.intent.assessment.fleets:
        if fleet.variant.name == action.variant:
            free.take(fleet, replicas=max(0, action.to_replicas - action.from_replicas))


def _settled(
    intents: Sequence[Intent], *, budgets: Budgets, control: Control, now: float
) -> tuple[list[Intent], Shared]:
    """The intents after those that were refused have tried their other variants, and who gets what."""
    tried = list(intents)
    effort = Effort()
    shared = _granted(tried, budgets=budgets, effort=effort, now=now)
    for _ in range(MAX_ROUNDS - 1):
        moved = [_moved(each, shared=shared, control=control, now=now) for each in tried]
        if moved == tried:
            break
        tried = moved
        shared = _granted(tried, budgets=budgets, effort=effort, now=now)
    return tried, shared


def _granted(tried: Sequence[Intent], *, budgets: Budgets, effort: Effort, now: float) -> Shared:
    offered = [bid for each in tried for bid in bids(each, now=now)]
    return share(offered, budgets=budgets, effort=effort)


def _moved(wanted: Intent, *, shared: Shared, control: Control, now: float) -> Intent:
    """The same with what was refused on other variants, where it has any."""
    name, allocation = wanted.assessment.service.name, shared.allocation
    if len(wanted.placement) < 2:
        return wanted
    room = {
        fleet.variant.name: allocation.replicas.get((name, fleet.variant.name), 0)
        for fleet, count in wanted.placement
        if (name, fleet.variant.name) in allocation.refused
    }
    return elsewhere(wanted, room=room, control=control, now=now) if room else wanted


def share(offered: Sequence[Bid], *, budgets: Budgets, effort: Effort | None = None) -> Shared:
    """Who gets what: greedily by value per byte, and exactly where that may miss the best.

    That is where at least two services compete, one was refused, and replicas are of different sizes
    or a quota reaches over several pools. Elsewhere each limit is a number of replicas, within a pool or
    a part of one, and taking the best next is the best (limits of that kind make a matroid).
    """
    greedy = allocate(offered, budgets=budgets)
    if not greedy.refused:
        return Shared(allocation=greedy, inexact={})
    effort = effort or Effort()
    offered = with_just_ordered_kept(offered, budgets=budgets)
    shared = _shared(offered, budgets=budgets, effort=effort)
    for _ in range(MAX_ROUNDS - 1):
        ordered = with_own_first(offered, allocation=shared.allocation)
        if ordered == offered:
            break
        offered, shared = ordered, _shared(ordered, budgets=budgets, effort=effort)
    return shared


def _shared(offered: Sequence[Bid], *, budgets: Budgets, effort: Effort) -> Shared:
    greedy = allocate(offered, budgets=budgets)
    allocation = greedy
    inexact: dict[ServiceName, Inexact] = {}
    for group in _groups(offered):
        if not _may_miss(group, allocation=greedy):
            continue
        exact = _searched(group, budgets=budgets, effort=effort)
        if isinstance(exact, Inexact):
            inexact |= dict.fromkeys((bid.service for bid in group), exact)
        else:
            allocation = _with(allocation, exact, group=group)
    return Shared(allocation=allocation, inexact=inexact)


def _searched(group: Sequence[Bid], *, budgets: Budgets, effort: Effort) -> Allocation | Inexact:
    refusal = effort.refusal(group)
    if refusal is not None:
        return refusal
    found = allocate_exactly(group, budgets=_of(group, budgets=budgets))
    effort.has_failed = found is Inexact.NO_PROOF
    return found


def _may_miss(group: Sequence[Bid], *, allocation: Allocation) -> bool:
    is_short = any(bid.key in allocation.refused for bid in group)
    is_shared = len({bid.service for bid in group}) > 1
    is_mixed = len({bid.memory_bytes for bid in group}) > 1
    return is_short and is_shared and (is_mixed or _crosses_pools(group))


def _crosses_pools(group: Sequence[Bid]) -> bool:
    places = {(bid.quota, bid.pool) for bid in group if bid.quota is not None}
    return len(places) > len({quota for quota, _ in places})


def _groups(offered: Iterable[Bid]) -> list[list[Bid]]:
    """Bids by pool, those of pools that a quota ties together in one; in order of the pools' names."""
    label: dict[PoolName, PoolName] = {}
    first: dict[QuotaName, PoolName] = {}
    for bid in offered:
        pool = label.setdefault(bid.pool, bid.pool)
        if bid.quota is None:
            continue
        other = label[first.setdefault(bid.quota, bid.pool)]
        if other != pool:
            label = {key: other if value == pool else value for key, value in label.items()}
    groups: dict[PoolName, list[Bid]] = {}
    for bid in offered:
        groups.setdefault(label[bid.pool], []).append(bid)
    return [groups[name] for name in sorted(groups)]


def _of(group: Sequence[Bid], *, budgets: Budgets) -> Budgets:
    pools, quotas = {bid.pool for bid in group}, {bid.quota for bid in group}
    return Budgets(
        pool_bytes={p: left for p, left in budgets.pool_bytes.items() if p in pools},
        quota_replicas={q: left for q, left in budgets.quota_replicas.items() if q in quotas},
    )


def _with(allocation: Allocation, part: Allocation, *, group: Sequence[Bid]) -> Allocation:
    """The allocation with the part in place of what it says about the group."""
    keys = {bid.key for bid in group}
    others = {key: count for key, count in allocation.replicas.items() if key not in keys}
    return Allocation(
        replicas={**others, **part.replicas},
        refused=(allocation.refused - keys) | part.refused,
        over_quota=(allocation.over_quota - keys) | part.over_quota,
    )
