"""Gives memory to the replicas that save the most, pool by pool. Pure.

In: bids, budgets of pools and quotas. Out: an `Allocation`. Greedy by value per byte: exact where all
bids for a pool are of one size, since the values of one variant fall with each further replica.
`allocate_exactly` is for the others, `share` decides which is asked. It must not know services.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from collector.model.ids import PoolName, QuotaName, ServiceName, VariantName

INCUMBENT_BONUS_RATIO = 1.25
"""A replica that already runs is worth this much more than the same one not yet started: moving it
costs two changes."""
YOUNG_BONUS_RATIO = 2.5
"""One that starts, or has not yet served for as long as a start takes, is worth more than the most
urgent equal (twice its value): two services that swap places spend at least half the time serving."""

Key = tuple[ServiceName, VariantName]
Place = tuple[str, str]
"""What may be short: a pool or a quota, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bid:
    """One replica of one variant that wants memory."""

    service: ServiceName
    variant: VariantName
    index: int  # 0 for the service's first replica
    pool: PoolName
    memory_bytes: int
    value_per_hour: float
    is_incumbent: bool
    is_young: bool  # of incumbents: starts, or has served for less than a start takes
    is_required: bool  # declared minimum, or may not be taken away now
    quota: QuotaName | None = None  # in which it takes one place
    price_per_hour: float = 0.0  # of a whole violation of its service
    is_short_now: bool = False  # its service carries less than is asked for now
    unserved_seconds: float = 0.0  # since any replica of its service served
    most_per_byte: float = math.inf  # by which it ranks; finite: behind what its service has there

    @property
    def key(self) -> Key:
        """Whose replica it is; those of one key are granted in order."""
        return (self.service, self.variant)

    @property
    def worth_per_hour(self) -> float:
        """Its value, and what it would cost to move it."""
        if not self.is_incumbent:
            return self.value_per_hour
        return self.value_per_hour * (YOUNG_BONUS_RATIO if self.is_young else INCUMBENT_BONUS_RATIO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """What there is to give out."""

    pool_bytes: Mapping[PoolName, int]
    quota_replicas: Mapping[QuotaName, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """What each variant gets, and which services got less than they asked for."""

    replicas: Mapping[Key, int]
    refused: frozenset[Key]
    over_quota: frozenset[Key] = frozenset()  # of the refused: for want of a place in their quota


def places_of(bid: Bid) -> tuple[Place, ...]:
    """What it takes a part of."""
    pool = ("pool", bid.pool)
    return (pool,) if bid.quota is None else (pool, ("quota", bid.quota))


def allocate(bids: Iterable[Bid], *, budgets: Budgets) -> Allocation:
    """Replicas per variant that fit the budgets, required ones first, then by value per byte.

    A variant's later replica is never taken when an earlier one was refused. Required bids may
    exceed a budget that shrank below what already runs: nothing is taken away by force.
    """
    return granted_in_order(sorted(bids, key=rank), budgets=budgets)


def granted_in_order(bids: Iterable[Bid], *, budgets: Budgets) -> Allocation:
    """The same for bids that are in order already."""
    left, places = dict(budgets.pool_bytes), dict(budgets.quota_replicas)
    granted: Counter[Key] = Counter()
    refused: set[Key] = set()
    over_quota: set[Key] = set()
    for bid in bids:
        has_place = bid.quota is None or places[bid.quota] > 0
        fits = has_place and bid.memory_bytes <= left[bid.pool]
        if not (bid.is_required and bid.is_incumbent) and (bid.key in refused or not fits):
            if bid.key not in refused and not has_place:
                over_quota.add(bid.key)
            refused.add(bid.key)
            continue
        left[bid.pool] -= bid.memory_bytes
        if bid.quota is not None:
            places[bid.quota] -= 1
        granted[bid.key] += 1
    return Allocation(
        replicas=dict(granted), refused=frozenset(refused), over_quota=frozenset(over_quota)
    )


def rank(bid: Bid) -> tuple[bool, bool, float, int, float, str, str]:
    """Required ones first, of them those that run, then by worth per byte; of equals those that did
    not serve for longest: by name the same one would be last for ever."""
    return (
        not bid.is_required,
        not (bid.is_required and bid.is_incumbent),
        -min(bid.worth_per_hour / bid.memory_bytes, bid.most_per_byte),
        bid.index,
        -bid.unserved_seconds,
        bid.service,
        bid.variant,
    )
