"""Whatever was measured: what past days foretell is a bounded number, and takes nothing from now."""

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.decide import decide
from autoscaler.forecast.day_profile import change_ratio, told
from autoscaler.model.action import Scale
from autoscaler.model.state import DayProfile, Recommendation, ScaleFit
from collector.model.catalogue import Control
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
from support.demand_series import make_series

BINS = 248
WORK = st.floats(min_value=0.0, max_value=1e300)
COVER = st.sampled_from([0.0, 7.5, 15.0])


@settings(max_examples=60, deadline=None)
@given(
    work=st.lists(WORK, min_size=1, max_size=9),
    covered=st.lists(COVER, min_size=1, max_size=9),
    ends=st.lists(st.floats(-1e6, 1e12), min_size=1, max_size=5),
    level_seconds=st.sampled_from([5.0, 60.0, 600.0, 1e5]),
    horizon_seconds=st.floats(0.0, 1e6),
)
def test_any_past_gives_a_bounded_change(
    work: list[float],
    covered: list[float],
    ends: list[float],
    level_seconds: float,
    horizon_seconds: float,
) -> None:
    control, profile = Control(level_window_seconds=level_seconds), DayProfile()
    series = make_series(
        [work[n % len(work)] for n in range(BINS)],
        covered_seconds=[covered[n % len(covered)] for n in range(BINS)],
    )
    for end in [*ends, *ends]:
        profile = told(
            profile,
            series=series,
            control=control,
            end_timestamp_seconds=end,
            is_announced=lambda begin, end: False,
        )
        change = change_ratio(
            profile,
            asked_timestamp_seconds=end - 3000.0,
            horizon_seconds=horizon_seconds,
            control=control,
        )
        assert math.isfinite(change)
        assert -1.0 <= change <= 5.0


def replicas_after(*, factor: float, weight: float, demand: float, supply: int) -> int:
    profile = make_profile(burst_timestamp_seconds=NOW + 60.0, factor=factor)
    fit = ScaleFit(weights=(0.1, 0.3, 0.3, 0.2, 0.1, weight), error_rows=300.0, day_profile=profile)
    needed = tuple(
        Recommendation(timestamp_seconds=NOW - age, replicas=0) for age in range(900, 0, -15)
    )
    variant = make_variant(max_replicas=50)
    decided = decide(
        snapshot=make_snapshot(services=(make_view(),), replicas=make_replica_views(supply)),
        history=make_history({CHAT: steady(demand, bins=BINS)}, bins=BINS),
        catalogue=make_catalogue(make_service(variants=(variant,))),
        state=make_state(**{CHAT: make_service_state(scale_fit=fit, recommendations=needed)}),
        now=NOW,
    )
    action = decided.decisions[0].action
    return action.to_replicas if isinstance(action, Scale) else supply


@settings(max_examples=60, deadline=None)
@given(
    factor=st.floats(0.0, 50.0),
    weight=st.floats(-1.0, 2.0),
    demand=st.floats(0.1, 20.0),
    supply=st.integers(1, 12),
)
def test_what_is_foretold_never_takes_what_is_asked_for_now(
    factor: float, weight: float, demand: float, supply: int
) -> None:
    """A replica sustains one request a second."""
    after = replicas_after(factor=factor, weight=weight, demand=demand, supply=supply)
    assert after >= min(supply, math.ceil(demand - 1e-6))


@settings(max_examples=30, deadline=None)
@given(demand=st.floats(0.1, 5.0), supply=st.integers(1, 6), weight=st.floats(0.0, 1.5))
def test_the_more_past_days_grew_the_more_replicas(
    demand: float, supply: int, weight: float
) -> None:
    found = [
        replicas_after(factor=each, weight=weight, demand=demand, supply=supply)
        for each in (0.5, 1.0, 2.0, 4.0)
    ]
    assert all(less <= more for less, more in pairwise(found))


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_past_like_the_present_changes_nothing(weight: float) -> None:
    assert replicas_after(factor=1.0, weight=weight, demand=1.8, supply=3) == 3
