"""What the whole decision makes of past days: replicas ahead of their bursts, and none the fewer."""

import pytest

from autoscaler.decide import decide
from autoscaler.learn import observe
from autoscaler.model.action import Scale
from autoscaler.model.inputs import Inputs
from autoscaler.model.state import DayProfile, Recommendation, ScaleFit
from collector.model.calendar import CalendarEvent, Once
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
from support.day_profiles import make_profile

WINDOWS = (0.0, 0.0, 0.0, 1.0, 0.0)
BINS = 248
LEAD_SECONDS = 60.0  # of a variant that was never started
BURST = make_profile(burst_timestamp_seconds=NOW + LEAD_SECONDS, factor=3.0)
LULL = make_profile(burst_timestamp_seconds=NOW + LEAD_SECONDS, factor=0.0)


def inputs(fit: ScaleFit, *, replicas: int, calendar: tuple[CalendarEvent, ...] = ()) -> Inputs:
    """Replicas at seven tenths of what they sustain, and no hold against taking any away."""
    needed = tuple(
        Recommendation(timestamp_seconds=NOW - age, replicas=0) for age in range(900, 0, -15)
    )
    known = make_service_state(scale_fit=fit, recommendations=needed)
    variant = make_variant(max_replicas=50)
    return Inputs(
        snapshot=make_snapshot(services=(make_view(),), replicas=make_replica_views(replicas)),
        history=make_history({CHAT: steady(0.7 * replicas, bins=BINS)}, bins=BINS),
        catalogue=make_catalogue(make_service(calendar=calendar, variants=(variant,))),
        state=make_state(**{CHAT: known}),
        now=NOW,
    )


def replicas_after(profile: DayProfile, *, weight: float, replicas: int = 3) -> int:
    fit = ScaleFit(weights=(*WINDOWS, weight), error_rows=300.0, day_profile=profile)
    seen = inputs(fit, replicas=replicas)
    decided = decide(
        snapshot=seen.snapshot,
        history=seen.history,
        catalogue=seen.catalogue,
        state=seen.state,
        now=NOW,
    )
    action = decided.decisions[0].action
    return action.to_replicas if isinstance(action, Scale) else replicas


@pytest.mark.parametrize(
    ("profile", "weight", "expected"),
    [
        pytest.param(DayProfile(), 1.0, 4, id="nothing-told-yet"),
        pytest.param(BURST, 0.0, 4, id="past-days-have-not-come-true"),
        pytest.param(BURST, 0.5, 6, id="half-of-it-does"),
        pytest.param(BURST, 1.0, 9, id="all-of-it-does"),
        pytest.param(LULL, 1.0, 3, id="a-lull-takes-nothing-away-from-what-is-asked-now"),
    ],
)
def test_replicas_are_there_for_what_past_days_foretell(
    profile: DayProfile, weight: float, expected: int
) -> None:
    assert replicas_after(profile, weight=weight) == expected


@pytest.mark.parametrize(
    ("calendar", "told_days"),
    [
        pytest.param((), 1, id="nothing-announced"),
        pytest.param((True,), 0, id="an-event-was-announced"),
    ],
)
def test_the_time_of_an_event_is_told_by_the_calendar_alone(
    calendar: tuple[bool, ...], told_days: int
) -> None:
    event = CalendarEvent(
        name="opening",
        schedule=Once(start_timestamp_seconds=NOW - 3700.0),
        duration_seconds=3600.0,
        factor=2.0,
    )
    seen = inputs(ScaleFit(), replicas=1, calendar=(event,) * len(calendar))
    profile = observe(seen).service(CHAT).scale_fit.day_profile
    assert max(profile.days) == told_days
