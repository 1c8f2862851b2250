"""What may be taken away, and what stands in the way."""

from dataclasses import replace
from typing import Any

import pytest

from autoscaler.model.action import Reason
from autoscaler.model.assessment import Assessment
from autoscaler.model.state import Recommendation
from autoscaler.plan.guard import Floor, scale_in_floor
from autoscaler.plan.size import size
from collector.model.catalogue import Control
from support.builders import CAPACITY, NOW, make_assessment, make_fleet, make_variant

CONTROL = Control()  # hold 300 s, idle 900 s, 0.9 for the remaining ones


def looks(replicas: int, *, over_seconds: float = 300.0, every_seconds: float = 15.0) -> tuple:
    count = int(over_seconds / every_seconds)
    return tuple(
        Recommendation(timestamp_seconds=NOW - i * every_seconds, replicas=replicas)
        for i in range(count, -1, -1)
    )


def floor(
    assessment: Assessment, *, recommendations: tuple = (), control: Control = CONTROL
) -> Floor:
    return scale_in_floor(
        assessment,
        need=size(assessment, control=control),
        recommendations=recommendations,
        control=control,
        now=NOW,
    )


def test_a_surplus_goes_once_all_tests_are_passed() -> None:
    assert floor(make_assessment(serving=3, demand=0.7), recommendations=looks(1)) == Floor(
        counts=(2,), reason=None, is_blind=False
    )


STALE = ((Reason.NO_FRESH_DATA, "arrived_requests_total is stale"),)
CONTRADICTED = ((Reason.DEMAND_NOT_CONSERVED, "arrived requests differ by +9"),)


@pytest.mark.parametrize(
    ("fields", "recommendations", "reason", "is_blind"),
    [
        pytest.param({"doubts": STALE}, looks(1), Reason.NO_FRESH_DATA, True, id="stale"),
        pytest.param(
            {"doubts": CONTRADICTED}, looks(1), Reason.DEMAND_NOT_CONSERVED, True, id="contradicted"
        ),
        pytest.param(
            {"burn_rate": None}, looks(1), Reason.NO_FRESH_DATA, False, id="burn-not-measured"
        ),
        pytest.param(
            {"fleets": (make_fleet(serving=2, starting=1),)},
            looks(1),
            Reason.CHANGE_IN_PROGRESS,
            False,
            id="one-still-starts",
        ),
        pytest.param(
            {"fleets": (make_fleet(serving=3, draining_count=1),)},
            looks(1),
            Reason.CHANGE_IN_PROGRESS,
            False,
            id="one-still-drains",
        ),
        pytest.param(
            {"burn_rate": 1.01}, looks(1), Reason.BUDGET_BURNING, False, id="budget-burning"
        ),
        pytest.param({}, looks(1, over_seconds=240), Reason.SCALE_IN_HOLD, False, id="hold-short"),
        pytest.param({}, (), Reason.SCALE_IN_HOLD, False, id="hold-not-begun"),
        pytest.param(
            {},
            (looks(3)[0], *looks(1)[1:]),
            Reason.SCALE_IN_HOLD,
            False,
            id="needed-once-within-the-hold",
        ),
        pytest.param(
            {},
            (looks(1)[0], looks(1)[-1]),
            Reason.SCALE_IN_HOLD,
            False,
            id="nobody-looked-during-the-hold",
        ),
        pytest.param(
            {"demand": 0.0},
            looks(0, over_seconds=15),
            Reason.SCALE_IN_HOLD,
            False,
            id="no-demand-is-no-way-around-the-hold",
        ),
    ],
)
def test_a_surplus_stays_while_anything_speaks_against(
    fields: dict[str, Any], recommendations: tuple, reason: Reason, is_blind: bool
) -> None:
    assessment = make_assessment(**{"serving": 3, "demand": 0.7, **fields})
    assert floor(assessment, recommendations=recommendations) == Floor(
        counts=(3,), reason=reason, is_blind=is_blind
    )


def test_the_rest_must_carry_the_load_at_the_utilisation_of_scale_in() -> None:
    assessment = make_assessment(serving=3, demand=1.5)  # two would do when sizing up
    roomy = Control(scale_in_utilisation_ratio=0.7)
    assert floor(assessment, recommendations=looks(2)).replicas == 2
    assert floor(assessment, recommendations=looks(2), control=roomy) == Floor(
        counts=(3,), reason=Reason.CONSOLIDATION_TEST, is_blind=False
    )


@pytest.mark.parametrize(
    ("burn_rate", "long_burn_rate", "replicas"),
    [
        pytest.param(1.0, None, 2, id="spent-exactly-does-not-hold"),
        pytest.param(1.01, None, 3, id="nothing-known-of-the-long-run"),
        pytest.param(14.4, 1.0, 2, id="unspent-in-the-long-run-pays-for-a-short-burn"),
        pytest.param(14.4, 0.0, 2, id="never-spent"),
        pytest.param(14.5, 0.0, 3, id="but-not-for-a-fast-one"),
        pytest.param(1.01, 1.01, 3, id="spent-in-the-long-run"),
        pytest.param(1.0, 50.0, 2, id="overspent-but-not-now"),
    ],
)
def test_a_burn_holds_unless_the_long_run_has_budget_left(
    burn_rate: float, long_burn_rate: float | None, replicas: int
) -> None:
    assessment = make_assessment(
        serving=3, demand=0.7, burn_rate=burn_rate, long_burn_rate=long_burn_rate
    )
    kept = floor(assessment, recommendations=looks(1))
    assert kept.replicas == replicas
    assert kept.reason is (Reason.BUDGET_BURNING if replicas == 3 else None)


@pytest.mark.parametrize(
    ("every_seconds", "over_seconds"),
    [
        pytest.param(50.0, 300.0, id="divides-the-hold"),
        pytest.param(70.0, 350.0, id="does-not-divide-it"),
        pytest.param(150.0, 300.0, id="half-the-hold"),
    ],
)
def test_the_hold_ends_at_any_pace_of_looking(every_seconds: float, over_seconds: float) -> None:
    seen = looks(1, over_seconds=over_seconds, every_seconds=every_seconds)
    assert floor(make_assessment(serving=3, demand=0.7), recommendations=seen).replicas == 2


@pytest.mark.parametrize(
    ("serving", "kept"),
    [
        pytest.param(2, 1, id="one-of-two"),
        pytest.param(6, 5, id="one-of-six"),
        pytest.param(12, 10, id="two-of-twelve"),
        pytest.param(60, 50, id="ten-of-sixty"),
    ],
)
def test_at_most_a_sixth_goes_at_once(serving: int, kept: int) -> None:
    variant = make_variant(max_replicas=100)
    assessment = make_assessment(demand=0.5, fleets=(make_fleet(serving=serving, variant=variant),))
    assert floor(assessment, recommendations=looks(1)).replicas == kept


@pytest.mark.parametrize(
    ("idle_seconds", "minimum", "held", "expected"),
    [
        pytest.param(900.0, 0, 0.0, (0, None), id="idle-goes-to-zero"),
        pytest.param(899.0, 0, 0.0, (1, Reason.SCALE_IN_HOLD), id="not-idle-for-long-enough"),
        pytest.param(None, 0, 0.0, (1, Reason.SCALE_IN_HOLD), id="unknown-idle-time"),
        pytest.param(900.0, 1, 0.0, (1, None), id="minimum-stays"),
        pytest.param(900.0, 0, 1.0, (1, None), id="a-held-request-keeps-it"),
    ],
)
def test_the_last_replica_goes_only_when_idle(
    idle_seconds: float | None, minimum: int, held: float, expected: tuple[int, Reason | None]
) -> None:
    fleet = make_fleet(serving=1, variant=make_variant(min_replicas=minimum))
    assessment = make_assessment(
        demand=0.0, fleets=(fleet,), idle_seconds=idle_seconds, held_requests=held
    )
    result = floor(assessment, recommendations=looks(0))
    assert (result.replicas, result.reason) == expected


@pytest.mark.parametrize(
    ("idle_seconds", "recommendations", "expected"),
    [
        pytest.param(900.0, looks(1), (0, None), id="the-idle-time-was-its-hold"),
        pytest.param(
            900.0,
            looks(1, over_seconds=240.0),
            (1, Reason.SCALE_IN_HOLD),
            id="but-somebody-must-have-looked",
        ),
        pytest.param(
            900.0,
            (looks(1)[0], looks(1)[-1]),
            (1, Reason.SCALE_IN_HOLD),
            id="without-a-gap",
        ),
    ],
)
def test_an_idle_service_is_not_kept_for_what_was_forecast_before(
    idle_seconds: float, recommendations: tuple, expected: tuple[int, Reason | None]
) -> None:
    assessment = make_assessment(serving=1, demand=0.1, idle_seconds=idle_seconds)
    result = floor(assessment, recommendations=recommendations)
    assert (result.replicas, result.reason) == expected


def test_an_idle_time_shorter_than_the_hold_does_not_shorten_it() -> None:
    control = Control(idle_to_zero_seconds=60.0)
    assessment = make_assessment(serving=1, demand=0.0, idle_seconds=100.0)
    held = floor(assessment, recommendations=looks(1), control=control)
    assert (held.replicas, held.reason) == (1, Reason.SCALE_IN_HOLD)


def test_the_last_but_one_does_not_wait_for_the_idle_time() -> None:
    assessment = make_assessment(serving=2, demand=0.0, idle_seconds=400.0)
    assert floor(assessment, recommendations=looks(0)).replicas == 1


def test_nothing_stands_in_the_way_when_all_are_needed() -> None:
    assert floor(make_assessment(serving=2, demand=1.6)) == Floor(
        counts=(2,), reason=None, is_blind=False
    )


def test_a_capacity_that_was_hardly_seen_takes_nothing_away() -> None:
    hardly = replace(CAPACITY, is_provisional=True)
    assessment = make_assessment(demand=0.7, fleets=(make_fleet(serving=3, capacity=hardly),))
    assert floor(assessment, recommendations=looks(1)) == Floor(
        counts=(3,), reason=Reason.CONSOLIDATION_TEST, is_blind=False
    )
