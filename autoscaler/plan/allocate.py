"""Gives memory to the replicas that save the most, pool by pool. Pure.

Greedy by value per byte. Values of one service fall with each further replica, so taking the best
bid next is optimal up to the last bid that does not fit. (An exact solver comes with shared
heterogeneous pools.)
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from collector.model.ids import PoolName, ServiceName, VariantName

INCUMBENT_BONUS_RATIO = 1.25
"""A replica that already runs is worth this much more than the same one not yet started: moving it
costs two changes."""
YOUNG_BONUS_RATIO = 2.5
"""One that starts, or has not yet served for as long as a start takes, is worth more than the most
urgent equal (twice its value): two services that swap places spend at least half the time serving."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """What each variant gets, and which services got less than they asked for."""

    replicas: Mapping[tuple[ServiceName, VariantName], int]
    refused: frozenset[tuple[ServiceName, VariantName]]


def allocate(bids: Iterable[Bid], *, budgets_bytes: Mapping[PoolName, int]) -> Allocation:
    """Replicas per variant that fit the pools' budgets, required ones first, then by value per byte.

    A service's later replica is never taken when an earlier one was refused. Required bids may
    exceed a budget that shrank below what already runs: nothing is taken away by force.
    """
    left = dict(budgets_bytes)
    granted: Counter[tuple[ServiceName, VariantName]] = Counter()
    refused: set[tuple[ServiceName, VariantName]] = set()
    for bid in sorted(bids, key=_rank):
        key = (bid.service, bid.variant)
        keeps = bid.is_required and bid.is_incumbent
        if not keeps and (key in refused or bid.memory_bytes > left[bid.pool]):
            refused.add(key)
            continue
        left[bid.pool] -= bid.memory_bytes
        granted[key] += 1
    return Allocation(replicas=dict(granted), refused=frozenset(refused))


def _rank(bid: Bid) -> tuple[bool, bool, float, int, str, str]:
    worth = _bonus_ratio(bid) * bid.value_per_hour / bid.memory_bytes
    first = bid.is_required
    return (
        not first,
        not (first and bid.is_incumbent),
        -worth,
        bid.index,
        bid.service,
        bid.variant,
    )


def _bonus_ratio(bid: Bid) -> float:
    if not bid.is_incumbent:
        return 1.0
    return YOUNG_BONUS_RATIO if bid.is_young else INCUMBENT_BONUS_RATIO
