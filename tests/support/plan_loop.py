"""The plan alone in a closed loop: what is decided is there at the next look, and serves at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from autoscaler.model.action import Hold, Reason, Scale
from autoscaler.model.assessment import Assessment, Fleet
from autoscaler.model.state import Recommendation
from autoscaler.plan.choose import Choice
from autoscaler.plan.guard import Floor, scale_in_floor
from autoscaler.plan.intent import Intent, intent
from autoscaler.plan.look_back import look_at
from autoscaler.plan.parts import supply_counts
from autoscaler.plan.share import choices
from autoscaler.plan.size import size
from collector.model.catalogue import Control, Variant
from collector.model.ids import VariantName
from support.builders import (
    CAPACITY,
    CHAT,
    NOW,
    make_assessment,
    make_catalogue,
    make_fleet,
    make_replica_view,
    make_service,
    make_snapshot,
    make_variant,
)

TICK_SECONDS = 150.0
"""Half the hold: fewer looks would leave a gap in it."""


def variant_of(name: str, *, cost: float, **fields: Any) -> Variant:
    return make_variant(name, **{"cost_per_hour": cost, "max_replicas": 50, **fields})


@dataclass(slots=True)
class PlanLoop:
    """One service, each variant as fast as its speed says, in requests per second."""

    variants: Sequence[tuple[Variant, float]]
    counts: dict[VariantName, int]
    control: Control = field(default_factory=Control)
    pool_bytes: int = 2**50
    fields: dict[str, Any] = field(default_factory=dict)  # of the assessment
    now: float = NOW
    changes: list[tuple[float, Reason, Scale]] = field(default_factory=list)
    looks: tuple[Recommendation, ...] = ()
    began: dict[tuple[VariantName, int], float] = field(default_factory=dict)
    fleets: tuple[Fleet, ...] = ()  # as last looked at
    rivals: tuple[Assessment, ...] = ()  # other services, that stay as they are

    @property
    def cost_per_hour(self) -> float:
        return sum(each.cost_per_hour * self.counts[each.name] for each, _ in self.variants)

    def tick(self, requests_per_second: float) -> Choice:
        """One look at that demand, and what comes of it."""
        self.now += TICK_SECONDS
        assessment = self._assessment(requests_per_second)
        need = size(assessment, control=self.control)
        self.looks = (*self.looks, look_at(need, now=self.now))[-4:]
        floor = scale_in_floor(
            assessment, need=need, recommendations=self.looks, control=self.control, now=self.now
        )
        wanted = intent(assessment, need=need, floor=floor, control=self.control, now=self.now)
        choice, *_ = choices(
            [replace(wanted, looks=self.looks), *map(self._rival, self.rivals)],
            snapshot=make_snapshot(
                replicas=[v for f in assessment.fleets for v in f.supply], taken_at=self.now
            ),
            catalogue=make_catalogue(
                make_service(variants=tuple(each for each, _ in self.variants)),
                pool_bytes=self.pool_bytes,
                control=self.control,
            ),
            now=self.now,
        )
        self._carry_out(choice)
        return choice

    def _rival(self, assessment: Assessment) -> Intent:
        need, supply = size(assessment, control=self.control), supply_counts(assessment)
        floor = Floor(counts=supply, reason=None, is_blind=False)
        return intent(assessment, need=need, floor=floor, control=self.control, now=self.now)

    def _assessment(self, requests_per_second: float) -> Assessment:
        fleets = [self._fleet(variant, speed=speed) for variant, speed in self.variants]
        self.fleets = tuple(sorted(fleets, key=_price))
        given = {"demand": requests_per_second, **self.fields}
        return make_assessment(fleets=self.fleets, **given)

    def _fleet(self, variant: Variant, *, speed: float) -> Fleet:
        views = tuple(
            make_replica_view(
                f"{variant.name}-{k}",
                service=CHAT,
                variant=variant.name,
                served_at=self.began.get((variant.name, k), NOW - 7200.0),
                at=self.now,
            )
            for k in range(self.counts[variant.name])
        )
        capacity = replace(CAPACITY, low_ratio=speed, high_ratio=speed)
        fleet = make_fleet(variant=variant, capacity=capacity)
        return replace(fleet, supply=views, serving=views)

    def _carry_out(self, choice: Choice) -> None:
        action = choice.action
        if isinstance(action, Hold):
            return
        for k in range(action.from_replicas, action.to_replicas):
            self.began[action.variant, k] = self.now
        self.counts[action.variant] = action.to_replicas
        self.changes.append((self.now, choice.reason, action))


def _price(fleet: Fleet) -> float:
    assert fleet.capacity is not None
    return fleet.variant.cost_per_hour / fleet.capacity.low_ratio
