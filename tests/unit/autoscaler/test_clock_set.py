"""What is remembered moves with the host's clock: nothing gets older, or younger, because it was set."""

from dataclasses import fields, replace

import pytest

from autoscaler.assess import assess, start_allowed
from autoscaler.model.inputs import Inputs
from autoscaler.model.overflow import OverflowState, Spending
from autoscaler.model.state import (
    BudgetSpending,
    ControllerState,
    ObjectiveTotals,
    Recommendation,
    ScaleFit,
    ServiceState,
    VariantState,
    WorkSample,
)
from autoscaler.plan.spending import spent_last_hour
from autoscaler.remember import with_clock_set
from autoscaler.slo.budget import spend
from collector.model.catalogue import Control
from collector.model.ids import ReplicaId
from support.builders import (
    CHAT,
    NOW,
    SMALL,
    make_catalogue,
    make_history,
    make_service,
    make_snapshot,
    make_view,
    steady,
)

HOURS = pytest.mark.parametrize(
    "by", [3600.0, -7200.0, 40 * 86400.0], ids=["an-hour-on", "two-hours-back", "weeks-on"]
)


def known(**fields: object) -> ControllerState:
    return ControllerState(services={CHAT: ServiceState(**fields)})  # type: ignore[arg-type]  # a test names what differs


def moved(state: ControllerState, by: float) -> ServiceState:
    return with_clock_set(state, by_seconds=by).service(CHAT)


@HOURS
def test_a_clock_that_is_set_makes_no_service_idle(by: float) -> None:
    state = with_clock_set(known(last_demand_timestamp_seconds=NOW - 100.0), by_seconds=by)
    inputs = Inputs(
        snapshot=make_snapshot(services=(make_view(at=NOW + by),), taken_at=NOW + by),
        history=make_history({CHAT: steady(0.0)}, end=NOW + by),
        catalogue=make_catalogue(make_service()),
        state=state,
        now=NOW + by,
    )
    assert assess(make_service(), inputs=inputs).idle_seconds == 100.0


@HOURS
def test_a_clock_that_is_set_forgives_no_spending_and_keeps_none_for_longer(by: float) -> None:
    spending = (Spending(timestamp_seconds=NOW - 600.0, cost=2.0),)
    overflow = OverflowState(
        is_counted=True, needed_timestamp_seconds=NOW - 30.0, spending=spending
    )
    after = moved(known(overflow=overflow), by).overflow
    assert spent_last_hour(after, now=NOW + by) == 2.0
    assert spent_last_hour(after, now=NOW + by + 3100.0) == 0.0
    assert after.needed_timestamp_seconds == NOW + by - 30.0


@HOURS
def test_a_hold_goes_on_as_far_as_it_had_come(by: float) -> None:
    looks = (Recommendation(timestamp_seconds=NOW - 45.0, replicas=3),)
    after = moved(known(recommendations=looks), by)
    assert after.recommendations == (Recommendation(timestamp_seconds=NOW + by - 45.0, replicas=3),)


@HOURS
def test_the_wait_after_a_failed_start_goes_on(by: float) -> None:
    failed = VariantState(
        consecutive_start_failures=3, last_start_failure_timestamp_seconds=NOW - 5.0
    )
    state = with_clock_set(ControllerState(variants={CHAT: {SMALL: failed}}), by_seconds=by)
    control = Control(start_retry_seconds=10.0)
    allowed = start_allowed(state.variant(CHAT, SMALL), control=control, now=NOW + by)
    assert allowed == NOW + by + 35.0


def test_the_long_run_budget_outlives_a_clock_that_goes_weeks_ahead() -> None:
    budget = BudgetSpending(bad=3.0, allowed=10.0, seconds=86400.0)
    totals = ObjectiveTotals(seconds=NOW - 15.0, good=(50.0,), judged=(50.0,))
    weeks = 40 * 86400.0
    state = moved(known(budgets=(budget,), objective_totals=totals), weeks)
    totals_now = spend(
        state,
        service=make_service(),
        view=make_view(at=NOW + weeks, completed_requests_total=50.0),
        now=NOW + weeks,
    )
    assert totals_now.budgets[0].seconds == pytest.approx(86400.0, rel=0.01)


@pytest.mark.parametrize("kind", [ServiceState, OverflowState, VariantState])
def test_every_point_in_time_that_is_remembered_moves(kind: type) -> None:
    names = [each.name for each in fields(kind) if each.name.endswith("_timestamp_seconds")]
    assert names
    remembered = kind(**dict.fromkeys(names, NOW))
    state = ControllerState(
        services={
            CHAT: remembered
            if isinstance(remembered, ServiceState)
            else ServiceState(
                overflow=remembered if isinstance(remembered, OverflowState) else OverflowState()
            )
        },
        variants={
            CHAT: {SMALL: remembered if isinstance(remembered, VariantState) else VariantState()}
        },
    )
    after = with_clock_set(state, by_seconds=60.0)
    found = {
        ServiceState: after.service(CHAT),
        OverflowState: after.service(CHAT).overflow,
        VariantState: after.variant(CHAT, SMALL),
    }[kind]
    assert {name: getattr(found, name) for name in names} == dict.fromkeys(names, NOW + 60.0)


def test_running_samples_begin_anew_because_others_may_have_told_their_times() -> None:
    sample = WorkSample(
        observed_timestamp_seconds=NOW,
        prompt_tokens_total=1.0,
        output_tokens_total=1.0,
        is_saturated=True,
    )
    state = ControllerState(replicas={ReplicaId("r1"): sample})
    assert with_clock_set(state, by_seconds=60.0).replicas == {}
    assert with_clock_set(state, by_seconds=0.0) is state


def test_forecasts_keep_their_times_and_what_was_never_seen_stays_so() -> None:
    fit = ScaleFit(last_timestamp_seconds=NOW)
    after = moved(known(scale_fit=fit), 3600.0)
    assert after == replace(ServiceState(), scale_fit=fit)
