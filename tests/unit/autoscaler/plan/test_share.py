"""Services that want one memory: who gets it, who gives up what, and what is left alone."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from autoscaler.model.action import Direction, Hold, Reason, Scale
from autoscaler.model.assessment import Assessment, Fleet
from autoscaler.plan.choose import Choice
from autoscaler.plan.guard import Floor
from autoscaler.plan.intent import intent
from autoscaler.plan.parts import supply_counts
from autoscaler.plan.share import choices
from autoscaler.plan.size import size
from collector.model.catalogue import Control, Variant
from collector.model.replica import ReplicaState
from collector.model.snapshot import ReplicaView
from support.builders import (
    GIB,
    NOW,
    make_assessment,
    make_catalogue,
    make_fleet,
    make_forecast,
    make_replica_view,
    make_service,
    make_snapshot,
    make_variant,
)

CONTROL = Control()  # 0.9 of a lower bound of 1 when sizing up
LEAD_SECONDS = 60.0  # of every fleet here
OLD, YOUNG, STARTS = 3600.0, 3.0, None  # seconds since a replica began to serve


def fleet_of(
    service: str, *ages: float | None, variant: Variant | None = None, **fields: Any
) -> Fleet:
    """Replicas that serve for so long, or still start."""
    kind = variant or make_variant()
    views = tuple(
        _view(f"{service}-{kind.name}-{k}", service=service, variant=kind.name, age=age)
        for k, age in enumerate(ages)
    )
    serving = tuple(view for view in views if view.replica.state is ReplicaState.SERVING)
    return replace(make_fleet(variant=kind, **fields), supply=views, serving=serving)


def _view(name: str, *, service: str, variant: str, age: float | None) -> ReplicaView:
    state = ReplicaState.LOADING if age is None else ReplicaState.SERVING
    return make_replica_view(
        name, service=service, variant=variant, state=state, served_at=NOW - (age or 0.0)
    )


def service_of(name: str, *fleets: Fleet, price: float = 1.0, **fields: Any) -> Assessment:
    service = make_service(name, variants=tuple(fleet.variant for fleet in fleets))
    return make_assessment(
        service=service, fleets=fleets, violation_price_per_minute=price, **fields
    )


def shared_out(
    *services: Assessment, gib: int, unserved: Mapping[str, float] | None = None
) -> dict[str, Choice]:
    """What each comes to on one pool of that size; none may shrink by itself."""
    intents = [
        intent(
            each,
            need=size(each, control=CONTROL),
            floor=Floor(counts=supply_counts(each), reason=None, is_blind=False),
            control=CONTROL,
            now=NOW,
        )
        for each in services
    ]
    waited = unserved or {}
    intents = [
        replace(each, unserved_seconds=waited.get(each.assessment.service.name, 0.0))
        for each in intents
    ]
    chosen = choices(
        intents,
        snapshot=make_snapshot(
            replicas=[view for each in services for fleet in each.fleets for view in fleet.supply]
        ),
        catalogue=make_catalogue(
            *(each.service for each in services), pool_bytes=gib * GIB, control=CONTROL
        ),
        now=NOW,
    )
    return {str(each.intent.assessment.service.name): each for each in chosen}


def taken(chosen: dict[str, Choice]) -> list[str]:
    return [
        name
        for name, each in chosen.items()
        if isinstance(each.action, Scale) and each.action.direction is Direction.IN
    ]


def held(name: str, **fields: Any) -> Assessment:
    """A service without replicas for which a request waits, near the end of its hold."""
    given = {"held_requests": 1.0, "backlog_requests": 1.0, "oldest_held_seconds": 59.0}
    return service_of(name, fleet_of(name), **{**given, "demand": 0.5, **fields})


def later(name: str, **fields: Any) -> Assessment:
    """A service whose one replica carries the present demand, and not what is forecast."""
    now = {"demand": 0.1, "forecast": make_forecast(1.5)}
    return service_of(name, fleet_of(name, OLD), **{**now, **fields})


# --- what was just ordered -------------------------------------------------------------------

NOT_NEEDED_ANY_MORE = 0.2  # requests/s: one of two replicas carries them


@pytest.mark.parametrize(
    ("ages", "rival", "expected"),
    [
        pytest.param((OLD, OLD), held("b"), ["a"], id="an-old-one-goes-to-an-equal"),
        pytest.param((OLD, YOUNG), held("b"), [], id="not-a-young-one"),
        pytest.param((YOUNG, OLD), held("b"), [], id="whatever-its-place-in-the-list"),
        pytest.param((OLD, OLD, STARTS), held("b"), [], id="not-an-old-one-while-another-starts"),
        pytest.param((OLD, YOUNG), held("b", price=0.1), [], id="not-to-a-lower-tier"),
        pytest.param((OLD, YOUNG), later("b"), [], id="not-to-what-an-equal-expects"),
        pytest.param((OLD, YOUNG), held("b", price=10.0), ["a"], id="to-a-higher-tier-in-need"),
        pytest.param(
            (OLD, YOUNG), later("b", price=10.0), [], id="not-to-what-a-higher-tier-expects"
        ),
        pytest.param((OLD, OLD), later("b", price=10.0), ["a"], id="but-an-old-one"),
    ],
)
def test_what_was_just_ordered_is_not_taken_for_a_need_that_is_no_greater(
    ages: Sequence[float | None], rival: Assessment, expected: list[str]
) -> None:
    mine = service_of("a", fleet_of("a", *ages), demand=NOT_NEEDED_ANY_MORE)
    gib = len(ages) + rival.supply_count
    assert taken(shared_out(mine, rival, gib=gib)) == expected


def test_a_higher_tier_that_finds_room_elsewhere_exposes_nobody_to_equals() -> None:
    mine = service_of("a", fleet_of("a", OLD, YOUNG), demand=NOT_NEEDED_ANY_MORE)
    chosen = shared_out(mine, held("b"), held("dear", price=10.0), gib=3)
    assert taken(chosen) == []
    assert isinstance(chosen["dear"].action, Scale)
    assert chosen["b"].reason is Reason.MEMORY_FULL


# --- moving to another variant ---------------------------------------------------------------


def test_who_must_yield_and_finds_no_room_for_another_variant_yields_first() -> None:
    large = make_variant("large", memory_bytes=9 * GIB, max_replicas=1)
    small = make_variant("small", memory_bytes=2 * GIB, cost_per_hour=2.0, max_replicas=1)
    mine = service_of(
        "a",
        fleet_of("a", OLD, variant=large),
        fleet_of("a", variant=small),
        demand=0.5,
    )
    other = make_variant("v", memory_bytes=8 * GIB)
    rival = replace(held("b", price=100.0), fleets=(fleet_of("b", variant=other),))
    chosen = shared_out(mine, rival, gib=10)
    assert taken(chosen) == ["a"]
    assert chosen["a"].reason is Reason.YIELD_MEMORY


@pytest.mark.parametrize("others", [(), (held("b", price=0.001),)], ids=["alone", "exactly"])
def test_no_service_stops_what_serves_for_smaller_replicas_of_its_own(
    others: tuple[Assessment, ...],
) -> None:
    large = make_variant("large", memory_bytes=4 * GIB)
    small = make_variant("small", cost_per_hour=2.0)
    mine = service_of(
        "a", fleet_of("a", OLD, variant=large), fleet_of("a", variant=small), demand=3.5
    )
    chosen = shared_out(mine, *others, gib=4)
    assert (chosen["a"].action, chosen["a"].reason) == (Hold(), Reason.MEMORY_FULL)


def test_who_has_room_beside_what_serves_starts_smaller_replicas_there() -> None:
    large = make_variant("large", memory_bytes=4 * GIB)
    small = make_variant("small", cost_per_hour=2.0)
    mine = service_of(
        "a", fleet_of("a", OLD, variant=large), fleet_of("a", variant=small), demand=3.5
    )
    action = shared_out(mine, gib=6)["a"].action
    assert isinstance(action, Scale)
    assert (action.variant, action.to_replicas) == ("small", 2)


# --- equals ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "unserved",
    [
        pytest.param({"a": 50.0, "b": 60.0}, id="longer"),
        pytest.param({"a": 50.0, "b": math.inf}, id="never"),
    ],
)
def test_of_equals_that_wait_the_one_that_did_not_serve_for_longest_is_next(
    unserved: dict[str, float],
) -> None:
    chosen = shared_out(held("a"), held("b"), gib=1, unserved=unserved)
    assert chosen["a"].action == Hold()
    assert isinstance(chosen["b"].action, Scale)


def test_memory_that_was_given_up_for_a_larger_equal_goes_to_it() -> None:
    large = make_variant("large", memory_bytes=4 * GIB)
    waits = replace(held("b"), fleets=(fleet_of("b", variant=large),))
    gave_up = held("a")
    chosen = shared_out(gave_up, waits, gib=4, unserved={"a": 1.0, "b": math.inf})
    assert [name for name, each in chosen.items() if isinstance(each.action, Scale)] == ["b"]


@pytest.mark.parametrize("first", ["a", "b"])
def test_the_exact_search_gives_equals_their_turn_too(first: str) -> None:
    large = make_variant("large", memory_bytes=4 * GIB)
    equals = [replace(held(name), fleets=(fleet_of(name, variant=large),)) for name in ("a", "b")]
    better_per_byte = held("small", price=0.5)
    chosen = shared_out(*equals, better_per_byte, gib=4, unserved={first: 60.0})
    assert [name for name, each in chosen.items() if isinstance(each.action, Scale)] == [first]
