"""When an overflow is open, for which part of the requests, and when its money is spent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.model.overflow import OverflowReason, OverflowState, Spending
from autoscaler.plan.overflow import Planned, plan_overflow
from autoscaler.plan.overflow_decisions import BECAUSE
from autoscaler.plan.size import size
from collector.model.catalogue import Control
from support.builders import (
    NOW,
    make_assessment,
    make_fleet,
    make_overflow,
    make_service,
    with_capacity,
)

CONTROL = Control()
COUNTED = OverflowState(is_counted=True)
OPEN = OverflowState(is_counted=True, is_open=True, share_ratio=0.5, needed_timestamp_seconds=NOW)


def planned(*, state: OverflowState = COUNTED, unknown: bool = False, **fields) -> Planned:
    fields.setdefault("service", make_service(overflow=make_overflow()))
    assessment = make_assessment(**fields)
    if unknown:
        assessment = with_capacity(assessment, None)
    need = size(assessment, control=CONTROL)
    found = plan_overflow(assessment, need=need, state=state, control=CONTROL, now=NOW)
    assert found is not None
    return found


def spent(cost: float, *, is_open: bool, ago_seconds: float = 60.0) -> OverflowState:
    return OverflowState(
        is_counted=True,
        is_open=is_open,
        spending=(Spending(timestamp_seconds=NOW - ago_seconds, cost=cost),),
    )


DEAR = {"price_per_million_output_tokens": 1000.0}  # 0.09 a request: 324 an hour for 1 a second

CASES = [
    pytest.param(
        {"serving": 1, "demand": 0.9}, (False, "not_needed", 0.0), id="what-serves-carries-it"
    ),
    pytest.param(
        {"serving": 1, "demand": 2.0}, (True, "shortfall", 0.5), id="half-of-it-is-not-carried"
    ),
    pytest.param(
        {"serving": 1, "demand": 1.04}, (False, "not_needed", 0.0), id="a-sliver-opens-nothing"
    ),
    pytest.param(
        {"serving": 1, "demand": 1.3}, (True, "shortfall", 0.25), id="shares-are-rounded-up"
    ),
    pytest.param(
        {"serving": 0, "demand": 1.0},
        (True, "held_request", 1.0),
        id="all-while-nothing-serves",
    ),
    pytest.param(
        {"serving": 1, "demand": 2.0, "service": make_service(overflow=make_overflow(**DEAR))},
        (False, "not_worth_it", 0.0),
        id="its-tokens-cost-more-than-the-violations",
    ),
    pytest.param(
        {"serving": 1, "demand": 2.0, "violation_price_per_minute": 0.0},
        (False, "not_worth_it", 0.0),
        id="violations-cost-nothing",
    ),
    pytest.param(
        {"serving": 1, "demand": 2.0, "are_lengths_unknown": True},
        (False, "lengths_unknown", 0.0),
        id="nobody-knows-what-an-answer-costs",
    ),
    pytest.param(
        {"serving": 1, "demand": 2.0, "state": OverflowState()},
        (False, "spending_unknown", 0.0),
        id="missing-is-never-zero",
    ),
    pytest.param(
        {"serving": 1, "demand": 2.0, "state": spent(5.0, is_open=True)},
        (False, "cost_limit", 0.0),
        id="the-limit-closes-an-open-one",
    ),
    pytest.param(
        {"serving": 1, "demand": 2.0, "state": spent(4.6, is_open=True)},
        (True, "shortfall", 0.5),
        id="under-the-limit-an-open-one-stays",
    ),
    pytest.param(
        {"serving": 1, "demand": 2.0, "state": spent(4.6, is_open=False)},
        (False, "cost_limit", 0.0),
        id="a-closed-one-waits-for-a-tenth-of-it",
    ),
    pytest.param(
        {"serving": 1, "demand": 2.0, "state": spent(9.0, is_open=False, ago_seconds=3660.0)},
        (True, "shortfall", 0.5),
        id="what-was-spent-before-this-hour-is-over",
    ),
    pytest.param(
        {"serving": 1, "demand": 0.5, "state": OPEN},
        (True, "recently_needed", 0.0),
        id="a-moment-later-only-what-has-no-room",
    ),
    pytest.param(
        {"serving": 1, "demand": 1.02, "state": OPEN},
        (True, "shortfall", 0.05),
        id="open-until-all-is-carried",
    ),
]


@pytest.mark.parametrize(("fields", "told"), CASES)
def test_the_law(fields: dict, told: tuple[bool, str, float]) -> None:
    if fields.get("serving") == 0:
        fields = {**fields, "held_requests": 1.0, "oldest_held_seconds": 1.0}  # of a hold of 60
    plan = planned(**fields).plan
    assert (plan.is_open, plan.reason.value, plan.share_ratio) == told


@pytest.mark.parametrize(
    ("starting", "waited_seconds", "is_open"),
    [
        pytest.param(0, 1.0, True, id="one-ordered-now-comes-too-late"),
        pytest.param(1, 1.0, False, id="one-that-starts-comes-in-time"),
        pytest.param(1, 30.0, True, id="it-was-held-for-long"),
    ],
)
def test_a_request_that_would_outlast_its_hold_opens_it_whatever_it_costs(
    starting: int, waited_seconds: float, is_open: bool
) -> None:
    # Ordered 3610 s ago by the builder: such a start may end any moment, so the lead time is longer.
    fleet = make_fleet(starting=starting, lead_time_seconds=3610.0 + 40.0 if starting else 60.0)
    plan = planned(
        service=make_service(overflow=make_overflow(**DEAR)),
        fleets=(fleet,),
        unknown=True,
        held_requests=1.0,
        oldest_held_seconds=waited_seconds,
    ).plan
    assert plan.is_open is is_open
    assert plan.share_ratio == (1.0 if is_open else 0.0)


def test_with_replicas_of_unknown_capacity_only_what_is_held_for_long_goes() -> None:
    short = planned(unknown=True, serving=1, held_requests=2.0, oldest_held_seconds=29.0).plan
    long = planned(unknown=True, serving=1, held_requests=2.0, oldest_held_seconds=30.0).plan
    assert (short.is_open, long.is_open, long.share_ratio) == (False, True, 0.0)


def test_it_closes_a_level_window_after_it_was_needed() -> None:
    since = OverflowState(
        is_counted=True, is_open=True, share_ratio=0.5, needed_timestamp_seconds=NOW - 60.0
    )
    plan = planned(serving=1, demand=0.5, state=since).plan
    assert (plan.is_open, plan.reason) == (False, OverflowReason.NOT_NEEDED)


@pytest.mark.parametrize(
    ("before", "demand", "share"),
    [
        pytest.param(0.5, 2.5, 0.6, id="up-at-once"),
        pytest.param(0.5, 1.85, 0.5, id="down-not-for-one-step"),
        pytest.param(0.5, 1.6, 0.4, id="down-when-well-less"),
        pytest.param(1.0, 30.0, 0.95, id="never-all-once-something-serves"),
    ],
)
def test_a_share_rises_at_once_and_falls_in_strides(
    before: float, demand: float, share: float
) -> None:
    state = OverflowState(is_counted=True, is_open=True, share_ratio=before)
    assert planned(serving=1, demand=demand, state=state).plan.share_ratio == share


def test_the_budget_is_what_is_left_of_the_hour() -> None:
    plan = planned(serving=1, demand=2.0, state=spent(1.5, is_open=True)).plan
    assert (plan.budget, plan.spent_last_hour) == (3.5, 1.5)
    assert plan.violations_per_hour == pytest.approx(30.0)
    assert plan.tokens_per_hour == pytest.approx(1.008)


def test_a_service_without_an_overflow_has_no_plan() -> None:
    assessment = make_assessment(serving=1, demand=9.0)
    need = size(assessment, control=CONTROL)
    assert plan_overflow(assessment, need=need, state=OPEN, control=CONTROL, now=NOW) is None


def test_every_reason_has_a_clause() -> None:
    assert set(BECAUSE) == set(OverflowReason)


@given(
    serving=st.integers(0, 4),
    demand=st.floats(0, 50),
    limit=st.floats(0.01, 10),
    cost=st.floats(0, 20),
    is_open=st.booleans(),
)
def test_it_never_opens_without_money_and_never_beyond_all_requests(
    serving: int, demand: float, limit: float, cost: float, is_open: bool
) -> None:
    plan = planned(
        service=make_service(overflow=make_overflow(max_cost_per_hour=limit)),
        serving=serving,
        demand=demand,
        state=spent(cost, is_open=is_open),
    ).plan
    assert 0.0 <= plan.share_ratio <= 1.0
    assert 0.0 <= plan.budget <= limit
    if plan.is_open:
        assert plan.budget > 0
