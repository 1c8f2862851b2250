"""How replicas of several variants carry one demand together, and how such a mix grows and shrinks. Pure.

In: what a replica of each variant is worth, its price and bounds, and what is wanted. Out: replicas per
variant. All is counted in replicas of the reference, the first variant whose capacity is known: a mix
carries what n of them would when the worths of its replicas sum up to n. `size`, `guard` and `choose`
build on it. It must not know of memory, of time or of who decides.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

MAX_REPLICAS = 1e9
"""More than any machine has: keeps a nonsensical reading a number."""
ROUNDING = 1e-9
"""Of a replica: a sum that falls short by less is no shortage."""

Counts = tuple[int, ...]
"""Replicas per fleet, in the assessment's order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One fleet as part of a mix."""

    worth: float  # of one replica, in replicas of the reference
    is_proven: bool  # the worth is known, not guessed
    cost_per_hour: float  # of one replica
    lead_time_seconds: float
    is_spot: bool  # may be taken away at any time
    least: int  # replicas it may shrink to …
    most: int  # … and grow to

    @property
    def price(self) -> float:
        """Money per hour for what one replica of the reference carries."""
        return self.cost_per_hour / self.worth

    def unbounded(self) -> "Part":
        """The same without bounds. Spelled out: `replace` takes five times as long, for every part of
        every tick."""
        return Part(
            worth=self.worth,
            is_proven=self.is_proven,
            cost_per_hour=self.cost_per_hour,
            lead_time_seconds=self.lead_time_seconds,
            is_spot=self.is_spot,
            least=0,
            most=int(MAX_REPLICAS),
        )


Parts = tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a mix is to come to."""

    replicas: float  # of the reference
    firm_ratio: float = (
        0.0  # share of it that must not be on spot, as far as there is anything else
    )
    at_least_one: bool = False  # of any fleet, however little is needed
    is_urgent: bool = False  # short now: of equal prices the one that comes sooner


def carried(counts: Counts, *, parts: Parts) -> float:
    """Replicas of the reference that this mix replaces."""
    return sum([count * part.worth for count, part in zip(counts, parts, strict=True)])


def least_count(replicas: float) -> int:
    """The smallest whole number that is not less, within what any machine has."""
    return math.ceil(min(replicas, MAX_REPLICAS) - ROUNDING)


def is_enough(counts: Counts, *, parts: Parts, wanted: Wanted) -> bool:
    """Whether the mix carries what is wanted, whatever of it is on spot."""
    has_one = sum(counts) > 0 or not wanted.at_least_one
    return has_one and carried(counts, parts=parts) >= min(wanted.replicas, MAX_REPLICAS) - ROUNDING


def within_bounds(counts: Counts, *, parts: Parts) -> Counts:
    """The mix with each fleet at its least at least and at its most at most."""
    return tuple(
        max(part.least, min(count, part.most)) for count, part in zip(counts, parts, strict=True)
    )


def settled(counts: Counts, *, parts: Parts, wanted: Wanted) -> Counts:
    """The mix grown until it is enough, or else without what is more than enough."""
    counts = within_bounds(counts, parts=parts)
    bigger = grown(counts, parts=parts, wanted=wanted)
    if bigger != counts:
        return bigger
    return shrunk(counts, parts=parts, wanted=wanted)


def grown(counts: Counts, *, parts: Parts, wanted: Wanted) -> Counts:
    """The mix with the cheapest replicas added that make it enough, as far as the bounds allow.

    What must not be on spot comes first, then the rest. Variants of which nobody knows what they
    carry come last.
    """
    order = sorted(range(len(parts)), key=lambda i: _growth_rank(parts[i], i, wanted=wanted))
    firm = [i for i in order if not parts[i].is_spot]
    if len(firm) < len(order):
        on_spot = sum(counts[i] * parts[i].worth for i in order if parts[i].is_spot)
        least = wanted.replicas * wanted.firm_ratio + on_spot
        counts = _covered(counts, order=firm, parts=parts, replicas=least, wanted=wanted)
    counts = _covered(counts, order=order, parts=parts, replicas=wanted.replicas, wanted=wanted)
    return _with_one(counts, parts=parts, wanted=wanted)


def _growth_rank(part: Part, index: int, *, wanted: Wanted) -> tuple[bool, float, float, int]:
    sooner = part.lead_time_seconds if wanted.is_urgent else 0.0
    return (not part.is_proven, part.price, sooner, index)


def _covered(
    counts: Counts, *, order: Sequence[int], parts: Parts, replicas: float, wanted: Wanted
) -> Counts:
    """Fills up with the first of the order; leaves its last replica to the others where they close
    the rest for less."""
    if not order or carried(counts, parts=parts) >= min(replicas, MAX_REPLICAS) - ROUNDING:
        return counts
    first, rest = order[0], order[1:]
    others = carried(_with(counts, first, 0), parts=parts)
    enough = least_count((replicas - others) / parts[first].worth)
    filled = _with(counts, first, max(counts[first], min(enough, parts[first].most)))
    if filled[first] < enough:
        return _covered(filled, order=rest, parts=parts, replicas=replicas, wanted=wanted)
    if all(parts[i].cost_per_hour > parts[first].cost_per_hour for i in rest):
        return filled  # whatever took the last one's place would cost more
    without_last = _with(filled, first, filled[first] - 1)
    other = _covered(without_last, order=rest, parts=parts, replicas=replicas, wanted=wanted)
    is_covered = carried(other, parts=parts) >= min(replicas, MAX_REPLICAS) - ROUNDING
    if is_covered and _burden(other, counts, parts, wanted) < _burden(
        filled, counts, parts, wanted
    ):
        return other
    return filled


def _burden(after: Counts, before: Counts, parts: Parts, wanted: Wanted) -> tuple[float, ...]:
    """Of what was added: how much nobody knows, money per hour, and how long the slowest takes where
    that matters."""
    added = [(a - b, part) for a, b, part in zip(after, before, parts, strict=True) if a > b]
    slowest = max((part.lead_time_seconds for _, part in added), default=0.0)
    cost = sum(count * part.cost_per_hour for count, part in added)
    guessed = sum(count for count, part in added if not part.is_proven)
    return (guessed, round(cost, 9), slowest if wanted.is_urgent else 0.0)


def _with_one(counts: Counts, *, parts: Parts, wanted: Wanted) -> Counts:
    """The mix with one replica where one is wanted of any fleet and there is none."""
    if not wanted.at_least_one or sum(counts) > 0:
        return counts
    possible = [i for i, part in enumerate(parts) if part.most > 0]
    if not possible:
        return counts
    one = min(possible, key=lambda i: (*_single_rank(parts[i], wanted), i))
    return _with(counts, one, 1)


def _single_rank(part: Part, wanted: Wanted) -> tuple[float, ...]:
    sooner = part.lead_time_seconds if wanted.is_urgent else 0.0
    return (part.is_spot, not part.is_proven, part.cost_per_hour, sooner)


def shrunk(counts: Counts, *, parts: Parts, wanted: Wanted, step: int | None = None) -> Counts:
    """The mix without what it can spare, at most `step` replicas of it, the dearest work first.

    What carries nobody knows how much is not counted on: the others must be enough without it. Of
    the dearest work and the dearest replicas that goes without which costs less in the end.
    """
    by_price = sorted(range(len(parts)), key=lambda i: (-parts[i].price, -i))
    least = _without_spare(counts, order=by_price, parts=parts, wanted=wanted)
    if least != counts and len(parts) > 1:
        by_cost = sorted(range(len(parts)), key=lambda i: (-parts[i].cost_per_hour, -i))
        other = _without_spare(counts, order=by_cost, parts=parts, wanted=wanted)
        if cost_per_hour(other, parts=parts) < cost_per_hour(least, parts=parts) - ROUNDING:
            least = other
    left = sum(counts) if step is None else step
    for index in by_price:
        fewer = min(counts[index] - least[index], left)
        counts, left = _with(counts, index, counts[index] - fewer), left - fewer
    return counts


def cost_per_hour(counts: Counts, *, parts: Parts) -> float:
    """Money per hour for the mix."""
    return sum(count * part.cost_per_hour for count, part in zip(counts, parts, strict=True))


def _without_spare(counts: Counts, *, order: Sequence[int], parts: Parts, wanted: Wanted) -> Counts:
    """The mix without all that it can spare of the first fleet of the order, then of the next …"""
    total, worths = sum(counts), _counted_on(parts)
    for index in order:
        lowest = _spared(counts, index, worths=worths, parts=parts, wanted=wanted)
        if wanted.at_least_one:
            lowest = max(lowest, counts[index] - (total - 1))
        fewer = max(0, counts[index] - max(lowest, parts[index].least))
        counts, total = _with(counts, index, counts[index] - fewer), total - fewer
    return counts


def _counted_on(parts: Parts) -> tuple[float, ...]:
    """Worths that are known. Where none is, all as they are guessed."""
    if not any(part.is_proven for part in parts):
        return tuple(part.worth for part in parts)
    return tuple(part.worth if part.is_proven else 0.0 for part in parts)


def _spared(
    counts: Counts, index: int, *, worths: tuple[float, ...], parts: Parts, wanted: Wanted
) -> int:
    """The fewest of one fleet with which the mix is still enough, and firm enough."""
    others = [i for i in range(len(counts)) if i != index]
    rest = sum(counts[i] * worths[i] for i in others)
    lowest = _least_beside(rest, replicas=wanted.replicas, worth=worths[index], most=counts[index])
    if parts[index].is_spot or not any(part.is_spot for part in parts):
        return lowest
    firm = sum(counts[i] * worths[i] for i in others if not parts[i].is_spot)
    replicas = wanted.replicas * wanted.firm_ratio
    return max(
        lowest,
        _least_beside(firm, replicas=replicas, worth=worths[index], most=counts[index]),
    )


def _least_beside(rest: float, *, replicas: float, worth: float, most: int) -> int:
    """Replicas of that worth that are needed beside the rest; `most` where they do not count."""
    missing = min(replicas, MAX_REPLICAS) - rest
    if missing <= ROUNDING:
        return 0
    return most if worth <= 0 else min(most, least_count(missing / worth))


def _with(counts: Counts, index: int, count: int) -> Counts:
    return (*counts[:index], count, *counts[index + 1 :])
