"""A further replica in place of one whose start hangs. Pure.

In: what a service needs, its pending replicas, how long starts were measured to take. Out: the need with
hanging ones beside it. Between `size` and `guard`, which take every pending replica for supply: it holds
memory, and may still come. Without measured starts nothing hangs: nobody knows how long is long.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from autoscaler.capacity.samples import sample_quantile
from autoscaler.model.assessment import Assessment, Fleet
from autoscaler.model.state import ControllerState, VariantState
from autoscaler.plan.mix import ROUNDING, carried
from autoscaler.plan.parts import supply_counts
from autoscaler.plan.size import Need, raised

HANGS_AFTER_LEAD_TIMES = 2.0
"""Of the P90 of measured starts. One in a thousand takes as long with a spread of published load times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hanging:
    """Pending replicas of one variant whose start takes too long."""

    count: int
    replaceable: int  # without those that were ordered in place of another

    def __add__(self, other: "Hanging") -> "Hanging":
        return Hanging(
            count=self.count + other.count, replaceable=self.replaceable + other.replaceable
        )


def with_replacements(
    need: Need, *, assessment: Assessment, state: ControllerState, now: float
) -> Need:
    """The need with hanging replicas beside it, and with one more where they leave it short.

    One per decision, and at most one for each that hangs: the first slow start that ends says how
    long is long now. A need that is not known stays as it is.
    """
    hanging_of_each = tuple(_hanging(assessment, state=state, now=now))
    found = sum(hanging_of_each, Hanging(count=0, replaceable=0))
    if not need.scenario_works or need.wanted is None or not found.count:
        return need
    worths = tuple(part.worth for part in need.parts)
    least = carried(tuple(part.least for part in need.parts), parts=need.parts)
    there = carried(supply_counts(assessment), parts=need.parts)
    needed = max(need.wanted.replicas, least)
    hanging_worth = sum(
        each.count * worth for each, worth in zip(hanging_of_each, worths, strict=True)
    )
    wanted = needed + hanging_worth
    if wanted > there + ROUNDING:
        missed = sum(
            each.replaceable * worth for each, worth in zip(hanging_of_each, worths, strict=True)
        )
        wanted = min(needed + missed, there + min(worths))
    higher = raised(need, assessment=assessment, replicas=wanted)
    return replace(higher, hanging_replicas=found.count, hanging_worth=hanging_worth)


def _hanging(assessment: Assessment, *, state: ControllerState, now: float) -> Iterator[Hanging]:
    for fleet in assessment.fleets:
        known = state.variant(assessment.service.name, fleet.variant.name)
        yield _hanging_of(fleet, known=known, now=now)


def _hanging_of(fleet: Fleet, *, known: VariantState, now: float) -> Hanging:
    if not known.lead_time_seconds:
        return Hanging(count=0, replaceable=0)
    limit = HANGS_AFTER_LEAD_TIMES * sample_quantile(known.lead_time_seconds, 0.9)
    serving = {view.replica.replica_id for view in fleet.serving}
    ordered = sorted(
        view.replica.ordered_timestamp_seconds
        for view in fleet.supply
        if view.replica.replica_id not in serving
    )
    return hanging(ordered, limit_seconds=limit, now=now)


def hanging(ordered: Sequence[float], *, limit_seconds: float, now: float) -> Hanging:
    """Of starts ordered at these times (epoch seconds, rising), which hang.

    One that was ordered when another hung already stands in for it: it is not replaced in turn.
    """
    count, replaceable = 0, 0
    overdue_since: list[float] = []
    for at in ordered:
        is_overdue = now - at > limit_seconds
        count += is_overdue
        if overdue_since and at >= overdue_since[0]:
            overdue_since.pop(0)
        elif is_overdue:
            replaceable += 1
            overdue_since.append(at + limit_seconds)
    return Hanging(count=count, replaceable=replaceable)
