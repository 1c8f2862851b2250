"""Whatever is announced: a calendar raises what a service gets, and lowers nothing."""

import math
from dataclasses import replace
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.checkpoint import decisions_json, state_json
from autoscaler.decide import Decided, decide
from autoscaler.model.action import Scale
from autoscaler.model.demand import DemandBefore
from collector.model.calendar import CalendarEvent, Once, Weekday, Weekly
from support.builders import (
    CHAT,
    NOW,
    make_catalogue,
    make_history,
    make_rates,
    make_replica_views,
    make_service,
    make_service_state,
    make_snapshot,
    make_state,
    make_variant,
    make_view,
    steady,
)

ZONES = tuple(map(ZoneInfo, ("UTC", "Europe/Berlin", "America/Los_Angeles", "Asia/Kathmandu")))
RATES = st.floats(min_value=0.0, max_value=50.0)
SCHEDULES: st.SearchStrategy[Once | Weekly] = st.one_of(
    st.builds(Once, start_timestamp_seconds=st.floats(NOW - 9000.0, NOW + 900.0)),
    st.builds(
        Weekly,
        days=st.lists(st.sampled_from(Weekday), min_size=1, unique=True).map(tuple),
        minute_of_day=st.integers(0, 1439),
        zone=st.sampled_from(ZONES),
    ),
)
EVENTS = st.builds(
    CalendarEvent,
    name=st.sampled_from("abc"),
    schedule=SCHEDULES,
    duration_seconds=st.floats(min_value=1.0, max_value=7 * 86_400.0),
    factor=st.floats(min_value=0.01, max_value=1000.0),
    requests_per_second=st.none() | st.floats(min_value=1e-6, max_value=1e6),
)
BEFORE = st.builds(
    DemandBefore,
    timestamp_seconds=st.floats(NOW - 4000.0, NOW + 100.0),
    rates=RATES.map(make_rates),
)


def decided(
    calendar: tuple[CalendarEvent, ...],
    *,
    demand: float,
    replicas: int,
    before: tuple[DemandBefore, ...] = (),
    is_measured: bool = True,
) -> Decided:
    variant = make_variant(max_replicas=100)
    state = make_service_state(
        demand_before_events=before, last_demand_timestamp_seconds=NOW - 5000.0
    )
    return decide(
        snapshot=make_snapshot(services=(make_view(),), replicas=make_replica_views(replicas)),
        history=make_history({CHAT: steady(demand)} if is_measured else {}),
        catalogue=make_catalogue(make_service(variants=(variant,), calendar=calendar)),
        state=make_state(**{CHAT: state}),
        now=NOW,
    )


def after(result: Decided, *, replicas: int) -> int:
    """Replicas once the decision is carried out."""
    action = result.decisions[0].action
    return action.to_replicas if isinstance(action, Scale) else replicas


@settings(max_examples=150, deadline=None)
@given(
    calendar=st.lists(EVENTS, max_size=4).map(tuple),
    demand=RATES,
    replicas=st.integers(0, 8),
    before=st.lists(BEFORE, max_size=3).map(tuple),
    is_measured=st.booleans(),
)
def test_a_calendar_never_leaves_a_service_with_fewer_replicas(
    calendar: tuple[CalendarEvent, ...],
    demand: float,
    replicas: int,
    before: tuple[DemandBefore, ...],
    is_measured: bool,
) -> None:
    given_too = {"demand": demand, "replicas": replicas, "is_measured": is_measured}
    without = decided((), **given_too)
    result = decided(calendar, before=before, **given_too)
    assert after(result, replicas=replicas) >= after(without, replicas=replicas)
    evidence = result.decisions[0].evidence
    assert evidence.expected_work_ratio is None or math.isfinite(evidence.expected_work_ratio)
    remembered = result.next_state.service(CHAT).demand_before_events
    assert len(remembered) <= len(calendar) + 1


@settings(max_examples=30, deadline=None)
@given(calendar=st.lists(EVENTS, max_size=4).map(tuple), demand=RATES)
def test_the_same_calendar_decides_the_same(
    calendar: tuple[CalendarEvent, ...], demand: float
) -> None:
    first, again = (decided(calendar, demand=demand, replicas=2) for _ in range(2))
    assert decisions_json(first.decisions) == decisions_json(again.decisions)
    assert state_json(first.next_state) == state_json(again.next_state)


@settings(max_examples=60, deadline=None)
@given(event=EVENTS, demand=RATES, replicas=st.integers(1, 8))
def test_an_event_takes_nothing_away_when_it_ends(
    event: CalendarEvent, demand: float, replicas: int
) -> None:
    over = Once(start_timestamp_seconds=NOW - event.duration_seconds)
    result = decided((replace(event, schedule=over),), demand=demand, replicas=replicas)
    without = decided((), demand=demand, replicas=replicas)
    assert result.decisions[0].action == without.decisions[0].action
