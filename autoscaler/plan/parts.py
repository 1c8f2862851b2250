"""The variants of a service as parts of a mix. Pure.

In: an assessment. Out: what one replica of each variant is worth beside the others, with its price and
bounds. Between what was found out about each variant and `mix`, which knows numbers only.
"""

import math

from autoscaler.model.assessment import Assessment, Fleet
from autoscaler.model.demand import Rates
from autoscaler.plan.mix import MAX_REPLICAS, Counts, Part, Parts, Wanted, carried, least_count

USUAL_MIX = Rates(
    requests_per_second=0.0, prompt_tokens_per_second=4.0, output_tokens_per_second=1.0
)
"""By which variants are compared while nothing is asked for; 4 : 1 as in recorded conversations."""

Worths = tuple[float | None, ...]
"""Of one replica of each fleet, in replicas of the first whose capacity is known; None: not known."""


def worths(assessment: Assessment) -> Worths:
    """What one replica of each fleet is worth, for the mix of tokens that is asked for."""
    rates = asked_for(assessment)
    sustained = [_sustained(fleet, rates=rates) for fleet in assessment.fleets]
    reference = next((each for each in sustained if each is not None), None)
    return tuple(_ratio(each, reference=reference) for each in sustained)


def asked_for(assessment: Assessment) -> Rates:
    """The mix of tokens by which variants are compared: expected, else of now, else the usual one."""
    peak = assessment.forecast.peak if assessment.forecast else None
    for rates in (peak, assessment.demand_now):
        if rates and rates.prompt_tokens_per_second + rates.output_tokens_per_second > 0:
            return rates
    return USUAL_MIX


def _sustained(fleet: Fleet, *, rates: Rates) -> float | None:
    """How many times this demand one replica sustains; None when nobody knows."""
    if fleet.capacity is None:
        return None
    work = fleet.capacity.work_ratio(rates)
    return fleet.capacity.low_ratio / work if work > 0 else math.inf


def _ratio(sustained: float | None, *, reference: float | None) -> float | None:
    if sustained is None or reference is None:
        return None
    if sustained == reference:  # the reference itself, whatever its numbers are
        return 1.0
    ratio = sustained / reference if 0 < reference < math.inf else math.inf
    return ratio if 1 / MAX_REPLICAS < ratio < MAX_REPLICAS else None


def guessed(known: Worths) -> tuple[float, ...]:
    """The worths, those that nobody knows taken for the least of the others."""
    least = min((each for each in known if each is not None), default=1.0)
    return tuple(least if each is None else each for each in known)


def is_managed(fleet: Fleet) -> bool:
    """Whether it is decided how many replicas it has; of units that others run, as advice to them."""
    return fleet.variant.is_sized


def supply_counts(assessment: Assessment) -> Counts:
    """What serves or will, per fleet."""
    return tuple(len(fleet.supply) for fleet in assessment.fleets)


def serving_counts(assessment: Assessment) -> Counts:
    """What serves now, per fleet."""
    return tuple(len(fleet.serving) for fleet in assessment.fleets)


def bounded_parts(assessment: Assessment) -> Parts:
    """The fleets within their declared bounds; one that others run stays as it is.

    A variant of which alone nobody knows what it carries grows by one at a time.
    """
    known = worths(assessment)
    return tuple(
        _part(fleet, worth=worth, guess=guess, is_compared=any(known))
        for fleet, worth, guess in zip(assessment.fleets, known, guessed(known), strict=True)
    )


def _part(fleet: Fleet, *, worth: float | None, guess: float, is_compared: bool) -> Part:
    supply = len(fleet.supply)
    least, most = supply, supply
    if is_managed(fleet):
        least, most = fleet.variant.min_replicas, fleet.variant.max_replicas
    if worth is None and is_compared:
        one_more = supply + (1 if len(fleet.serving) == supply else 0)
        most = max(least, min(most, one_more))
    return Part(
        worth=guess,
        is_proven=worth is not None,
        cost_per_hour=fleet.variant.cost_per_hour,
        lead_time_seconds=fleet.lead_time_seconds,
        is_spot=fleet.variant.is_spot,
        least=least,
        most=most,
    )


def unbounded_parts(parts: Parts, *, supply: Counts, wanted: Wanted) -> Parts:
    """The same without declared bounds, for what the demand alone asks for.

    As they are where no bound can matter: quicker, for whoever asks for the same mix twice.
    """
    reach = wanted.replicas + carried(supply, parts=parts)
    if all(
        part.least == 0 and part.most >= max(1, count, least_count(reach / part.worth))
        for part, count in zip(parts, supply, strict=True)
    ):
        return parts
    return tuple(part.unbounded() for part in parts)
