"""Keeps what a service wants beside its replicas from pushing those out. Pure.

In: bids and what was granted. Out: the bids, newcomers that did so behind those of their service that run.
Called by `share`, which then grants anew. A smaller variant saves more per byte than a larger one that
runs: a service would stop what serves for what it cannot start yet, and start it again.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from autoscaler.plan.allocate import Allocation, Bid, Place, places_of
from collector.model.ids import ServiceName

Own = tuple[ServiceName, Place]
"""What a service has in one place."""


def with_own_first(offered: Sequence[Bid], *, allocation: Allocation) -> list[Bid]:
    """The bids, those newcomers behind that got a place while their service lost one there."""
    if not allocation.refused:
        return list(offered)
    running = Counter(bid.key for bid in offered if bid.is_incumbent)
    change = {bid.key: allocation.replicas.get(bid.key, 0) - running[bid.key] for bid in offered}
    lost = {own for bid in offered if change[bid.key] < 0 for own in _own(bid)}
    if not lost:
        return list(offered)
    least = _least_per_byte(offered)
    return [
        _behind(bid, least=min(least[own] for own in _own(bid) & lost))
        if change[bid.key] > 0 and not _own(bid).isdisjoint(lost)
        else bid
        for bid in offered
    ]


def _behind(bid: Bid, *, least: float) -> Bid:
    stays = bid.is_incumbent or bid.is_required or bid.most_per_byte <= least
    return bid if stays else replace(bid, most_per_byte=least)


def _least_per_byte(offered: Sequence[Bid]) -> dict[Own, float]:
    least: dict[Own, float] = {}
    for bid in offered:
        if bid.is_incumbent:
            worth = bid.worth_per_hour / bid.memory_bytes
            least |= {own: min(least.get(own, worth), worth) for own in _own(bid)}
    return least


def _own(bid: Bid) -> set[Own]:
    return {(bid.service, place) for place in places_of(bid)}
