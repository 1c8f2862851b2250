"""What events of a calendar make of a forecast: more, ahead of time, and never twice."""

from dataclasses import replace
from typing import Any

import pytest

from autoscaler.forecast.calendar import is_unsettled, with_calendar
from autoscaler.model.demand import Announced, DemandBefore, Forecast
from autoscaler.model.inputs import Inputs
from autoscaler.model.state import ServiceState
from collector.model.calendar import CalendarEvent, Once
from collector.model.catalogue import Service
from support.builders import (
    CHAT,
    NOW,
    make_catalogue,
    make_forecast,
    make_history,
    make_rates,
    make_service,
    make_service_state,
    make_snapshot,
    make_state,
)

HORIZON = 120.0
MINUTE = 60.0


def event(
    name: str = "opening", *, begins_in: float = 100.0, minutes: float = 60.0, **expected: float
) -> CalendarEvent:
    """Three times the usual demand unless said otherwise."""
    return CalendarEvent(
        name=name,
        schedule=Once(start_timestamp_seconds=NOW + begins_in),
        duration_seconds=minutes * MINUTE,
        **(expected or {"factor": 3.0}),
    )


def before(seconds_ago: float, *, demand: float) -> DemandBefore:
    return DemandBefore(timestamp_seconds=NOW - seconds_ago, rates=make_rates(demand))


def seen(service: Service, *, now: float = NOW, **state: Any) -> Inputs:
    return Inputs(
        snapshot=make_snapshot(taken_at=now),
        history=make_history({}, end=now),
        catalogue=make_catalogue(service),
        state=make_state(**{CHAT: make_service_state(**state)}),
        now=now,
    )


def asked(
    service: Service, *, forecast: Forecast | None, **given: Any
) -> tuple[Forecast | None, Announced]:
    inputs = seen(service, **given)
    return with_calendar(forecast, service=service, inputs=inputs, horizon_seconds=HORIZON)


def peak(*calendar: CalendarEvent, demand: float = 2.0, **given: Any) -> float:
    """Expected requests per second where `demand` is forecast from what was measured."""
    service = make_service(calendar=calendar)
    raised, _ = asked(service, forecast=make_forecast(demand), **given)
    assert raised is not None
    return raised.peak.requests_per_second


@pytest.mark.parametrize(
    ("calendar", "expected"),
    [
        pytest.param((), 2.0, id="none"),
        pytest.param((event(begins_in=121.0),), 2.0, id="begins-after-the-horizon"),
        pytest.param((event(begins_in=120.0),), 6.0, id="begins-at-the-horizon"),
        pytest.param((event(begins_in=30.0, minutes=0.5),), 6.0, id="over-before-the-horizon"),
        pytest.param((event(begins_in=-10.0),), 2.0, id="under-way-and-measured"),
        pytest.param((event(begins_in=-3600.0),), 2.0, id="just-over"),
        pytest.param((event(factor=0.5),), 2.0, id="less-than-usual-lowers-nothing"),
        pytest.param((event(), event("sale", factor=2.0)), 12.0, id="together-they-multiply"),
        pytest.param(
            (event(begins_in=10.0, minutes=1.0), event("sale", begins_in=70.0, factor=2.0)),
            6.0,
            id="one-after-the-other-they-do-not",
        ),
        pytest.param(
            (event(begins_in=-7200.0, minutes=1e4), event("sale", factor=2.0)),
            4.0,
            id="what-is-measured-carries-the-one-under-way",
        ),
        pytest.param((event(factor=1e3), event("b", factor=1e3), event("c")), 2e6, id="bounded"),
    ],
)
def test_ahead_of_an_event_its_factor_counts(
    calendar: tuple[CalendarEvent, ...], expected: float
) -> None:
    assert peak(*calendar) == expected


@pytest.mark.parametrize(
    ("calendar", "remembered", "expected"),
    [
        pytest.param((event(begins_in=-60.0),), before(70.0, demand=1.5), 4.5, id="it-began"),
        pytest.param(
            (event(begins_in=-60.0),), before(70.0, demand=0.1), 2.0, id="more-came-than-that"
        ),
        pytest.param(
            (event(begins_in=-60.0), event("sale", factor=2.0)),
            before(70.0, demand=1.5),
            9.0,
            id="and-another-begins",
        ),
        pytest.param(
            (event(begins_in=-60.0, minutes=1.0), event("sale", begins_in=-60.0, factor=2.0)),
            before(70.0, demand=1.5),
            3.0,
            id="the-other-one-is-over",
        ),
        pytest.param(
            (event(begins_in=-60.0, minutes=1.0),), before(70.0, demand=1.5), 2.0, id="it-is-over"
        ),
        pytest.param(
            (event(begins_in=-2710.0),), before(2720.0, demand=1.5), 2.0, id="every-window-is-in-it"
        ),
        pytest.param(
            (event(begins_in=-60.0),), before(50.0, demand=1.5), 2.0, id="from-after-its-beginning"
        ),
        pytest.param(
            (event(begins_in=-60.0),), before(-50.0, demand=9.0), 2.0, id="the-clock-went-back"
        ),
    ],
)
def test_under_way_the_factor_counts_on_the_demand_from_before(
    calendar: tuple[CalendarEvent, ...], remembered: DemandBefore, expected: float
) -> None:
    assert peak(*calendar, demand_before_events=(remembered,)) == expected


def test_the_last_forecast_before_each_beginning_is_remembered() -> None:
    service = make_service(calendar=(event(begins_in=50.0), event("sale", begins_in=80.0)))
    known: tuple[DemandBefore, ...] = ()
    for seconds, demand in ((0.0, 1.0), (45.0, 2.0), (60.0, 3.0), (75.0, 4.0), (90.0, 9.0)):
        _, announced = asked(
            service,
            forecast=make_forecast(demand),
            now=NOW + seconds,
            demand_before_events=known,
        )
        known = announced.demand_before_events
    assert known == (before(-45.0, demand=2.0), before(-75.0, demand=4.0))


def test_a_tick_without_measured_demand_forgets_nothing() -> None:
    kept = before(70.0, demand=1.5)
    service = make_service(calendar=(event(begins_in=-60.0),))
    raised, announced = asked(service, forecast=None, demand_before_events=(kept,))
    assert raised is not None
    assert raised.peak == make_rates(4.5)
    assert announced.demand_before_events == (kept,)


def test_an_absolute_rate_is_the_least_of_every_scenario_to_the_end() -> None:
    service = make_service(calendar=(event(begins_in=-3500.0, requests_per_second=3.0),))
    raised, _ = asked(service, forecast=make_forecast(2.0, factors=(0.5, 1.0, 2.0)))
    assert raised is not None
    assert [raised.times(factor) for factor in (0.1, 1.0)] == [make_rates(3.0)] * 2
    assert raised.upper == make_rates(4.0)


def test_an_absolute_rate_lasts_longer_than_any_history() -> None:
    a_month = event(begins_in=-20 * 86_400.0, minutes=30 * 1440, requests_per_second=3.0)
    raised, _ = asked(make_service(calendar=(a_month,)), forecast=make_forecast(0.0))
    assert raised is not None
    assert raised.upper == make_rates(3.0)


def test_an_absolute_rate_needs_no_past() -> None:
    service = make_service(calendar=(event(requests_per_second=3.0),))
    raised, announced = asked(service, forecast=None)
    assert raised is not None
    assert raised.upper == make_rates(3.0)
    assert announced.forecast_without is None


def test_of_requests_of_unknown_length_only_their_number_is_known() -> None:
    service = make_service(calendar=(event(requests_per_second=3.0),))
    unknown = ServiceState()
    raised, _ = asked(
        service,
        forecast=None,
        prompt_tokens_per_request=unknown.prompt_tokens_per_request,
        output_tokens_per_request=unknown.output_tokens_per_request,
    )
    assert raised is not None
    assert raised.upper == replace(make_rates(0.0), requests_per_second=3.0)


@pytest.mark.parametrize(
    ("calendar", "clauses"),
    [
        pytest.param((event(),), ("'opening' in 2 min",), id="begins-soon"),
        pytest.param((event(begins_in=20.0),), ("'opening' in 20 s",), id="begins-at-once"),
        pytest.param((event(begins_in=300.0),), (), id="too-far-off"),
        pytest.param((event(factor=0.5),), (), id="raises-nothing"),
        pytest.param((event(begins_in=-7200.0, minutes=500.0),), (), id="is-measured"),
        pytest.param(
            (event("b"), event("a", begins_in=-7200.0, minutes=500.0, requests_per_second=9.0)),
            ("'a' for 2 h now", "'b' in 2 min"),
            id="both",
        ),
        pytest.param(
            (event(begins_in=0.0, requests_per_second=9.0),), ("'opening' for 0 s now",), id="now"
        ),
    ],
)
def test_the_events_behind_it_are_named(
    calendar: tuple[CalendarEvent, ...], clauses: tuple[str, ...]
) -> None:
    _, announced = asked(make_service(calendar=calendar), forecast=make_forecast(2.0))
    assert announced.clauses == clauses


@pytest.mark.parametrize(
    ("begins_in", "expected"),
    [
        pytest.param(10.0, False, id="before-it"),
        pytest.param(-10.0, True, id="just-begun"),
        pytest.param(-1000.0, True, id="long-windows-reach-back-before-it"),
        pytest.param(-1100.0, False, id="inside-it"),
        pytest.param(-3610.0, True, id="just-ended"),
        pytest.param(-4700.0, False, id="after-it"),
    ],
)
def test_nothing_is_learned_from_a_jump_that_was_announced(
    begins_in: float, expected: bool
) -> None:
    service = make_service(calendar=(event(begins_in=begins_in),))
    assert is_unsettled(service, inputs=seen(service), horizon_seconds=HORIZON) is expected
