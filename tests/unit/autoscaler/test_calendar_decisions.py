"""What the whole decision makes of a calendar: replicas ahead of an event, from zero too."""

from typing import Any

import pytest

from autoscaler.decide import decide
from autoscaler.learn import observe
from autoscaler.model.action import Hold, Reason, Scale
from autoscaler.model.decision import Decision
from autoscaler.model.inputs import Inputs
from autoscaler.model.state import ServiceState
from collector.model.calendar import CalendarEvent, Once
from collector.model.catalogue import Service
from support.builders import (
    CHAT,
    NOW,
    make_catalogue,
    make_history,
    make_replica_views,
    make_service,
    make_service_state,
    make_snapshot,
    make_state,
    make_variant,
    make_view,
    steady,
)

LONG_IDLE = NOW - 5000.0
UNKNOWN_LENGTHS = ServiceState(last_demand_timestamp_seconds=LONG_IDLE)


def event(*, begins_in: float = 10.0, **expected: float) -> CalendarEvent:
    schedule = Once(start_timestamp_seconds=NOW + begins_in)
    return CalendarEvent(name="opening", schedule=schedule, duration_seconds=600.0, **expected)


def inputs(
    service: Service,
    *,
    demand: float = 0.0,
    replicas: int = 0,
    state: ServiceState | None = None,
    bins: int = 100,
) -> Inputs:
    known = state or make_service_state(last_demand_timestamp_seconds=LONG_IDLE)
    return Inputs(
        snapshot=make_snapshot(services=(make_view(),), replicas=make_replica_views(replicas)),
        history=make_history({CHAT: steady(demand, bins=bins)}, bins=bins),
        catalogue=make_catalogue(service),
        state=make_state(**{CHAT: known}),
        now=NOW,
    )


def decision(service: Service, **given: Any) -> Decision:
    seen = inputs(service, **given)
    return decide(
        snapshot=seen.snapshot,
        history=seen.history,
        catalogue=seen.catalogue,
        state=seen.state,
        now=NOW,
    ).decisions[0]


@pytest.mark.parametrize(
    ("expected", "variant", "state", "replicas"),
    [
        pytest.param({"requests_per_second": 2.5}, {}, None, 4, id="rate"),
        pytest.param(
            {"requests_per_second": 2.5}, {}, UNKNOWN_LENGTHS, 1, id="rate-of-unknown-requests"
        ),
        pytest.param(
            {"requests_per_second": 2.5}, {"capacity_prior": None}, None, 1, id="unknown-capacity"
        ),
        pytest.param({"factor": 9.0}, {}, None, 0, id="a-factor-on-nothing"),
    ],
)
def test_a_service_that_sleeps_is_ready_for_an_announced_rate(
    expected: dict[str, float],
    variant: dict[str, Any],
    state: ServiceState | None,
    replicas: int,
) -> None:
    service = make_service(calendar=(event(**expected),), variants=(make_variant(**variant),))
    action = decision(service, state=state).action
    assert (action.to_replicas if isinstance(action, Scale) else 0) == replicas


def test_a_decision_names_the_event_it_is_made_for() -> None:
    found = decision(make_service(calendar=(event(factor=4.0),)), demand=1.0, replicas=2)
    assert found.reason is Reason.CALENDAR_EVENT
    assert found.evidence.announced == ("'opening' in 10 s",)
    assert "because of 'opening' in 10 s" in found.explanation


def test_what_demand_asks_for_by_itself_is_not_the_events_doing() -> None:
    found = decision(make_service(calendar=(event(factor=1.0001),)), demand=5.0, replicas=1)
    assert found.reason is Reason.DEMAND_FORECAST


def test_the_maximum_holds_against_an_event() -> None:
    service = make_service(
        calendar=(event(factor=100.0),), variants=(make_variant(max_replicas=3),)
    )
    assert decision(service, demand=1.0, replicas=3).action == Hold()


@pytest.mark.parametrize(
    ("calendar", "rows"),
    [
        pytest.param((), 1, id="nothing-announced"),
        pytest.param((event(begins_in=-30.0, factor=3.0),), 0, id="an-event-has-just-begun"),
    ],
)
def test_the_jump_of_an_event_is_no_lesson(calendar: tuple[CalendarEvent, ...], rows: int) -> None:
    learned = observe(inputs(make_service(calendar=calendar), demand=1.0, replicas=1))
    assert learned.service(CHAT).scale_fit.rows_total == rows
