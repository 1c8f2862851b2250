"""Keeps what was just ordered for a service from being taken for a need that is no greater. Pure.

In: bids and budgets. Out: the bids, of services that only just got a replica those of all that run as
required. Called by `share` before anything is granted. A forecast sways by more than a replica within the
time that a start takes: by value alone two services would order and yield in turn, and nobody would serve.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from autoscaler.plan.allocate import Bid, Budgets, Place, allocate, places_of
from collector.model.ids import ServiceName


def with_just_ordered_kept(offered: Sequence[Bid], *, budgets: Budgets) -> list[Bid]:
    """The bids, with nothing to be taken from a service with a young replica but by a dearer tier that
    is short now and finds no room elsewhere."""
    young = {bid.service for bid in offered if bid.is_young}
    if not young:
        return list(offered)
    kept = _kept(offered, young=young, rivals={})
    refused = allocate(kept, budgets=budgets).refused
    rivals = _rivals([bid for bid in offered if bid.key in refused])
    return _kept(offered, young=young, rivals=rivals) if rivals else kept


def _kept(
    offered: Sequence[Bid], *, young: set[ServiceName], rivals: Mapping[Place, float]
) -> list[Bid]:
    return [
        replace(bid, is_required=True)
        if bid.is_incumbent and bid.service in young and not _is_exposed(bid, rivals=rivals)
        else bid
        for bid in offered
    ]


def _is_exposed(bid: Bid, *, rivals: Mapping[Place, float]) -> bool:
    highest = max((rivals.get(place, 0.0) for place in places_of(bid)), default=0.0)
    return highest > bid.price_per_hour


def _rivals(refused: Sequence[Bid]) -> dict[Place, float]:
    """The dearest tier that cannot wait for each place."""
    highest: dict[Place, float] = {}
    for bid in refused:
        if bid.is_incumbent or not (bid.is_short_now or bid.is_required):
            continue
        for place in places_of(bid):
            highest[place] = max(highest.get(place, 0.0), bid.price_per_hour)
    return highest
