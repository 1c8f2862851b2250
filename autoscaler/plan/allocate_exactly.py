"""The most that can be saved with the memory there is, where bids are of different sizes. Pure.

In: bids that compete, and the budgets. Out: an `Allocation` worth at least as much as the greedy one, or
why there is none. A mixed-integer program, solved by HiGHS within a number of nodes and not of seconds,
so that the same bids always have the same answer; it is checked in whole bytes. Called by `share` only.
scipy is imported at the first use: most who run Foresail have nothing to solve.
"""

import math
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise

import numpy as np

from autoscaler.plan.allocate import (
    Allocation,
    Bid,
    Budgets,
    allocate,
    granted_in_order,
    places_of,
    rank,
)
from collector.model.history import FloatArray

MAX_BIDS = 200
"""Above it greedy misses the best by the last bid that does not fit: little of so many."""
MAX_NODES = 100
"""Contests of 200 bids of an inventory take one or two; a hundred take a quarter of a second."""
TIE_RATIO = 1e-5
"""Of the highest worth, by which the search prefers the earlier of two equals: it would take the same one
every time, and the others never had their turn. Ten times what it takes for no difference."""
LEAST_GAIN_RATIO = 1e-9
"""A better answer by less is rounding, and would only let equals change places."""


class Inexact(StrEnum):
    """Why the best was not searched for, or not found. A clause for people."""

    TOO_MANY_BIDS = "too many replicas compete for it"
    NO_PROOF = "the search for the best took too long"
    NO_SOLVER = "scipy is not installed"


def allocate_exactly(bids: Sequence[Bid], *, budgets: Budgets) -> Allocation | Inexact:
    """The allocation of the most worth, required bids first as in `allocate`; or why there is none:
    above MAX_BIDS, without a proof within MAX_NODES, and where scipy is not installed."""
    if len(bids) > MAX_BIDS:
        return Inexact.TOO_MANY_BIDS
    greedy = allocate(bids, budgets=budgets)
    required = sorted((bid for bid in bids if bid.is_required), key=rank)
    others = sorted((bid for bid in bids if not bid.is_required), key=rank)
    first = granted_in_order(required, budgets=budgets)
    left = _left(_granted(required, allocation=first), budgets=budgets)
    picked = _best([bid for bid in others if bid.key not in first.refused], budgets=left)
    if isinstance(picked, Inexact):
        return picked
    # What was not picked is worth nothing, or nothing more: where there is room, it may stay.
    rest = [bid for bid in others if not any(bid is each for each in picked)]
    better = granted_in_order([*required, *picked, *rest], budgets=budgets)
    before, after = worth(bids, allocation=greedy), worth(bids, allocation=better)
    if math.isclose(before, after, rel_tol=LEAST_GAIN_RATIO):
        return max(greedy, better, key=lambda each: _unserved_seconds(bids, allocation=each))
    return better if after > before else greedy


def _unserved_seconds(bids: Sequence[Bid], *, allocation: Allocation) -> float:
    """Of equally good answers the one for whoever did not serve for longest."""
    granted = _granted(sorted(bids, key=rank), allocation=allocation)
    return max((bid.unserved_seconds for bid in granted if not bid.is_incumbent), default=0.0)


def worth(bids: Sequence[Bid], *, allocation: Allocation) -> float:
    """Money per hour of all that was granted and was not required."""
    granted = _granted(sorted(bids, key=rank), allocation=allocation)
    return sum(bid.worth_per_hour for bid in granted if not bid.is_required)


def _granted(bids: Sequence[Bid], *, allocation: Allocation) -> list[Bid]:
    """Of bids in order, those that got what they asked for."""
    left = Counter(dict(allocation.replicas))
    found = []
    for bid in bids:
        left[bid.key] -= 1
        if left[bid.key] >= 0:
            found.append(bid)
    return found


def _left(taken: Sequence[Bid], *, budgets: Budgets) -> Budgets:
    pools, quotas = dict(budgets.pool_bytes), dict(budgets.quota_replicas)
    for bid in taken:
        pools[bid.pool] -= bid.memory_bytes
        if bid.quota is not None:
            quotas[bid.quota] -= 1
    return Budgets(pool_bytes=pools, quota_replicas=quotas)


def _best(bids: Sequence[Bid], *, budgets: Budgets) -> list[Bid] | Inexact:
    """Those of the bids, in their order, that are worth most together; or why nobody knows."""
    highest = max((bid.worth_per_hour for bid in bids), default=0.0)
    if highest <= 0:
        return []
    try:
        from scipy.optimize import Bounds, LinearConstraint, milp  # type: ignore[import-untyped]  # noqa: PLC0415  slow
    except ImportError:
        return Inexact.NO_SOLVER
    rows, limits = _limits(bids, budgets=budgets)
    ranked = zip(_places_among_equals(bids), bids, strict=True)
    found = milp(
        c=np.array([place * TIE_RATIO - bid.worth_per_hour / highest for place, bid in ranked]),
        integrality=np.ones(len(bids)),
        bounds=Bounds(0.0, 1.0),
        constraints=LinearConstraint(rows, -np.inf, limits),
        options={"node_limit": MAX_NODES, "mip_rel_gap": 0.0},
    )
    if found.status != 0 or found.x is None:
        return Inexact.NO_PROOF
    return [bid for bid, share in zip(bids, found.x, strict=True) if share > 0.5]


def _places_among_equals(bids: Sequence[Bid]) -> list[int]:
    """How many of the same worth come before each: those that did not serve for longer."""
    seen: Counter[float] = Counter()
    places = [0] * len(bids)
    for number in sorted(range(len(bids)), key=lambda n: -bids[n].unserved_seconds):
        places[number] = seen[bids[number].worth_per_hour]
        seen[bids[number].worth_per_hour] += 1
    return places


def _limits(bids: Sequence[Bid], *, budgets: Budgets) -> tuple[FloatArray, FloatArray]:
    """Rows and their upper limits: each pool's memory and each quota in shares of what is left, and
    that no replica of a variant comes before the one that is worth more. Shapes (n, bids), (n,)."""
    rows = [
        np.array([bid.memory_bytes / max(1, left) * (bid.pool == pool) for bid in bids])
        for pool, left in budgets.pool_bytes.items()
    ]
    limits = [1.0 if left > 0 else 0.0 for left in budgets.pool_bytes.values()]
    for quota, places in budgets.quota_replicas.items():
        rows.append(np.array([float(bid.quota == quota) for bid in bids]))
        limits.append(float(max(0, places)))
    for before, after in _orders(bids):
        row = np.zeros(len(bids))
        row[after], row[before] = 1.0, -1.0
        rows.append(row)
        limits.append(0.0)
    return np.array(rows), np.array(limits)


def _orders(bids: Sequence[Bid]) -> list[tuple[int, int]]:
    """(place, place) of every two bids of one variant that follow each other, and of those that come
    behind what their service has."""
    numbers: dict[object, list[int]] = {}
    for number, bid in enumerate(bids):
        numbers.setdefault(bid.key, []).append(number)
    followers = [pair for each in numbers.values() for pair in pairwise(each)]
    behind = [(n, bid) for n, bid in enumerate(bids) if bid.most_per_byte < math.inf]
    own = [(k, n) for n, bid in behind for k, each in enumerate(bids) if _is_before(each, bid)]
    return [*followers, *own]


def _is_before(one: Bid, other: Bid) -> bool:
    is_own = one.is_incumbent and one.service == other.service and one.key != other.key
    return is_own and not set(places_of(one)).isdisjoint(places_of(other))
