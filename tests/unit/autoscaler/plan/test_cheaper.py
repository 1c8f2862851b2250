"""When a mix of variants moves for its price, which step it takes, and what keeps it where it is."""

from typing import Any

import pytest

from autoscaler.model.action import Direction, Reason, Scale
from collector.model.ids import VariantName
from support.builders import GIB, NOW, make_assessment, make_fleet, make_service, make_variant
from support.plan_loop import PlanLoop, variant_of

BIG = (variant_of("big", cost=3.0), 4.0)
LITTLE = (variant_of("little", cost=1.0), 1.0)
SPOT = (variant_of("spot", cost=0.2, is_spot=True), 1.0)
HOLD_TICKS = 3


def loop(*variants: Any, **more: Any) -> PlanLoop:
    """Eight little ones under a demand that needs just that many, unless said otherwise."""
    given = {"counts": {"big": 0, "little": 8, "spot": 0}, **more}
    counts = {VariantName(name): count for name, count in given.pop("counts").items()}
    return PlanLoop(variants or (BIG, LITTLE), counts, **given)


def story(told: PlanLoop, *, requests_per_second: float = 7.0, ticks: int = HOLD_TICKS) -> PlanLoop:
    for _ in range(ticks):
        told.tick(requests_per_second)
    return told


def test_big_replicas_replace_many_little_ones_once_a_hold_has_passed() -> None:
    told = story(loop(), ticks=HOLD_TICKS - 1)
    assert told.changes == []
    choice = told.tick(7.0)
    assert choice.action == Scale(
        variant=VariantName("big"), direction=Direction.OUT, from_replicas=0, to_replicas=2
    )
    assert choice.reason is Reason.CHEAPER_MIX
    assert choice.candidates[0].value_per_hour == pytest.approx(2.0)  # eight, less two of three


def test_the_little_ones_go_by_the_rules_of_scale_in_and_then_nothing_moves() -> None:
    told = story(loop(), ticks=30)
    assert told.counts == {"big": 2, "little": 0, "spot": 0}
    assert {reason for _, reason, _ in told.changes[1:]} == {Reason.SURPLUS_CAPACITY}
    told.changes.clear()
    assert story(told, ticks=20).changes == []


def test_a_big_replica_that_is_hardly_used_yields_to_a_little_one() -> None:
    told = story(loop(counts={"big": 1, "little": 0}), requests_per_second=0.5, ticks=20)
    assert told.counts == {"big": 0, "little": 1}


@pytest.mark.parametrize(
    ("more", "requests_per_second"),
    [
        pytest.param({"counts": {"big": 1, "little": 0}}, 2.0, id="saves-too-little"),
        pytest.param({"pool_bytes": 8 * GIB}, 7.0, id="no-memory-to-start-it-beside"),
        pytest.param({"fields": {"burn_rate": 2.0}}, 7.0, id="the-budget-burns"),
        pytest.param({"fields": {"burn_rate": None}}, 7.0, id="burn-not-measured"),
        pytest.param(
            {"fields": {"doubts": ((Reason.NO_FRESH_DATA, "stale"),)}}, 7.0, id="stale-data"
        ),
        pytest.param({"fields": {"held_requests": 1.0}}, 7.0, id="somebody-waits"),
        pytest.param({"began": {("little", 7): NOW}}, 7.0, id="one-has-just-come"),
        pytest.param({"began": {("little", 7): NOW + 1e6}}, 7.0, id="clock-was-set-back"),
    ],
)
def test_the_mix_stays(more: dict[str, Any], requests_per_second: float) -> None:
    told = story(loop(**more), requests_per_second=requests_per_second)
    assert [reason for _, reason, _ in told.changes] == []


@pytest.mark.parametrize(
    ("variants", "expected"),
    [
        pytest.param(
            ((variant_of("big", cost=2.0, max_replicas=1), 4.0), LITTLE),
            {"big": 1},
            id="its-maximum",
        ),
        pytest.param((LITTLE, SPOT), {"spot": 4}, id="half-of-it-on-spot"),
    ],
)
def test_the_step_keeps_to_bounds(variants: Any, expected: dict[str, int]) -> None:
    told = story(loop(*variants), ticks=30)
    assert {name: told.counts[VariantName(name)] for name in expected} == expected


def test_what_others_were_refused_is_not_taken_for_a_better_price() -> None:
    greedy = make_fleet(variant=make_variant(memory_bytes=2**49))
    rival = make_assessment(service=make_service("rival"), demand=5.0, fleets=(greedy,))
    assert story(loop(rivals=(rival,))).changes == []
