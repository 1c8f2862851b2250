"""A cheaper mix of variants in place of the one that runs, one step at a time. Pure.

In: a service for which nothing is to be done, what its mix must carry for good, and what room there is.
Out: a variant with more replicas, where the dearer ones that then go by the ordinary rules make up for
them. After `guard`, called by `share`. It must not take anything away, nor touch what others want.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from autoscaler.model.assessment import Assessment, Fleet
from autoscaler.plan.guard import Floor, lasting_need
from autoscaler.plan.intent import Intent
from autoscaler.plan.mix import (
    ROUNDING,
    Counts,
    Parts,
    Wanted,
    cost_per_hour,
    is_enough,
    least_count,
    shrunk,
)
from autoscaler.plan.parts import is_managed, supply_counts
from collector.model.catalogue import Control
from collector.model.ids import VariantName

LEAST_SAVING_RATIO = 0.15
"""Of what the mix costs: demand that sways by less must not move it back and forth."""
SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CheaperMix:
    """One step towards it."""

    fleet: Fleet
    replicas: int  # of it, those that run included
    saving_per_hour: float  # money, once what is dearer has gone


def cheaper_mix(
    wanted: Intent, *, room: Mapping[VariantName, int], control: Control, now: float
) -> CheaperMix | None:
    """The step that saves most, if it is worth its while; None where the mix should stay.

    `room` says how many more replicas of each variant can be started now. Started is one variant, and
    only with as many replicas as let the rest go: a mix that took two new variants at once is not found.
    """
    assessment, parts = wanted.assessment, wanted.need.parts
    if not _is_calm(assessment, floor=wanted.floor, parts=parts):
        return None
    supply = supply_counts(assessment)
    need = wanted.need.wanted
    if need is None or not _may_save(supply, parts=parts, wanted=need):
        return None
    lasting = lasting_need(
        assessment, need=wanted.need, recommendations=wanted.looks, control=control, now=now
    )
    if lasting is None or not is_enough(supply, parts=parts, wanted=lasting):
        return None
    steps = list(_steps(wanted, supply=supply, lasting=lasting, room=room, now=now))
    best = max(steps, key=lambda step: (step.saving_per_hour, -step.replicas), default=None)
    is_due = best is not None and _is_due(best, assessment=assessment, control=control, now=now)
    return best if is_due else None


def _is_calm(assessment: Assessment, *, floor: Floor, parts: Parts) -> bool:
    """Whether all that is there serves and is known, and nothing comes, goes or waits."""
    fleets = assessment.fleets
    return (
        len(fleets) > 1
        and not floor.is_blind
        and 0 < assessment.supply_count == assessment.serving_count
        and not any(fleet.draining_count for fleet in fleets)
        and not assessment.held_requests
        and all(
            part.is_proven or not fleet.supply for part, fleet in zip(parts, fleets, strict=True)
        )
    )


def _may_save(supply: Counts, *, parts: Parts, wanted: Wanted) -> bool:
    """Whether all of it on the cheapest work would save enough; asked first, since it is quick."""
    cost = cost_per_hour(supply, parts=parts)
    least = wanted.replicas * min(part.price for part in parts)
    return cost - least > LEAST_SAVING_RATIO * cost


def _steps(
    wanted: Intent,
    *,
    supply: Counts,
    lasting: Wanted,
    room: Mapping[VariantName, int],
    now: float,
) -> Iterator[CheaperMix]:
    """Every number of further replicas of one variant with which the mix ends up clearly cheaper."""
    parts = wanted.need.parts
    before = cost_per_hour(shrunk(supply, parts=parts, wanted=lasting), parts=parts)
    for index, (fleet, part) in enumerate(zip(wanted.assessment.fleets, parts, strict=True)):
        waits = now < fleet.start_allowed_timestamp_seconds
        if not (part.is_proven and is_managed(fleet)) or waits:
            continue
        enough = least_count(lasting.replicas / part.worth)
        most = min(room.get(fleet.variant.name, 0), part.most - supply[index], enough)
        for more in range(1, most + 1):
            there = tuple(n + more * (i == index) for i, n in enumerate(supply))
            after = cost_per_hour(shrunk(there, parts=parts, wanted=lasting), parts=parts)
            if before - after > max(LEAST_SAVING_RATIO * before, ROUNDING):
                yield CheaperMix(
                    fleet=fleet, replicas=supply[index] + more, saving_per_hour=before - after
                )


def _is_due(step: CheaperMix, *, assessment: Assessment, control: Control, now: float) -> bool:
    """Whether the present mix has run for as long as the change takes to earn back what it costs.

    Paid twice are the new replicas, while they start and until the old ones have gone. Who waits that
    long pays at most twice what one who knew the future would.
    """
    more = step.replicas - len(step.fleet.supply)
    paid_twice_seconds = step.fleet.lead_time_seconds + control.scale_in_hold_seconds
    cost = more * step.fleet.variant.cost_per_hour * paid_twice_seconds / SECONDS_PER_HOUR
    earned_back_seconds = cost / step.saving_per_hour * SECONDS_PER_HOUR
    return _rested_seconds(assessment, now=now) >= max(
        earned_back_seconds, control.scale_in_hold_seconds
    )


def _rested_seconds(assessment: Assessment, *, now: float) -> float:
    """Since the youngest replica began to serve; none where that is not known or lies ahead."""
    began = [
        view.replica.serving_timestamp_seconds
        for fleet in assessment.fleets
        for view in fleet.serving
    ]
    known = [at for at in began if at is not None and at <= now]
    return now - max(known) if known and len(known) == len(began) else -math.inf
