"""A past that is told at once is the past that was told as it passed."""

import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.forecast.calendar import is_announced
from autoscaler.forecast.day_profile import change_ratio, told
from autoscaler.forecast.past_days import told_past, work_by_bin
from autoscaler.model.demand import DemandSeries
from autoscaler.model.state import DayProfile
from collector.model.calendar import CalendarEvent, Once
from collector.model.catalogue import Control, Service
from support.builders import make_service
from support.demand_series import make_series

CONTROL = Control()
BIN_SECONDS = 15.0
WINDOW_BINS = 248
MONDAY = 19_674 * 86_400.0
DELAY_SECONDS = 2700.0
WORK = st.lists(st.floats(0.0, 1e12), min_size=1, max_size=7)
COVER = st.lists(st.sampled_from([0.0, 7.5, 15.0, 15.0, 15.0]), min_size=1, max_size=11)


def cut(series: DemandSeries, *, end_bin: int) -> DemandSeries:
    first = max(0, end_bin - WINDOW_BINS)
    return make_series(
        series.work[first:end_bin].tolist(),
        covered_seconds=series.covered_seconds[first:end_bin].tolist(),
    )


def told_as_it_passed(series: DemandSeries, *, start: float, service: Service) -> DayProfile:
    profile, bins = DayProfile(), len(series.work)
    for end_bin in range(WINDOW_BINS, bins + 1, 40):  # every ten minutes
        profile = told(
            profile,
            series=cut(series, end_bin=end_bin),
            control=CONTROL,
            end_timestamp_seconds=start + end_bin * BIN_SECONDS,
            is_announced=partial(is_announced, service),
        )
    return profile


@settings(max_examples=25, deadline=None)
@given(
    work=WORK,
    covered=COVER,
    day=st.integers(0, 6),
    hours=st.integers(6, 50),
    event=st.tuples(st.floats(0.0, 50.0), st.floats(1.0, 40_000.0)),  # hour it begins, seconds
)
def test_told_at_once_is_told_as_it_passed(
    work: list[float],
    covered: list[float],
    day: int,
    hours: int,
    event: tuple[float, float],
) -> None:
    start = MONDAY + day * 86_400.0
    opening = CalendarEvent(
        name="opening",
        schedule=Once(start_timestamp_seconds=start + event[0] * 3600.0),
        duration_seconds=event[1],
        factor=2.0,
    )
    service = make_service(calendar=(opening,))
    bins = WINDOW_BINS + hours * 240
    bins -= (bins - WINDOW_BINS) % 40
    series = make_series(
        [work[(n // 13) % len(work)] for n in range(bins)],
        covered_seconds=[covered[(n // 5) % len(covered)] for n in range(bins)],
    )
    expected = told_as_it_passed(series, start=start, service=service)
    assert expected.next_bin is not None
    told_bins = round((expected.next_bin * 120.0 - start) / BIN_SECONDS)
    past = make_series(
        series.work[:told_bins].tolist(),
        covered_seconds=series.covered_seconds[:told_bins].tolist(),
    )
    found = told_past(
        DayProfile(),
        service=service,
        first_bin=round(start / 120.0),
        work=work_by_bin(past).astype(np.float32),
    )
    assert found.next_bin == expected.next_bin
    assert found.days == expected.days
    means, others = (np.frombuffer(each.work, "<f4") for each in (found, expected))
    assert means == pytest.approx(others, rel=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    work=st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=9),
    first=st.integers(0, 10_000_000),
    count=st.integers(1, 3000),
    asked_bins=st.integers(-3000, 3000),
)
def test_any_past_gives_a_bounded_change(
    work: list[float], first: int, count: int, asked_bins: int
) -> None:
    past = np.resize(np.clip(np.array(work), -1e30, 1e30), count)
    profile = told_past(DayProfile(), service=make_service(), first_bin=first, work=past)
    change = change_ratio(
        profile,
        asked_timestamp_seconds=(first + count + asked_bins) * 120.0,
        horizon_seconds=120.0,
        control=CONTROL,
    )
    assert math.isfinite(change)
    assert -1.0 <= change <= 5.0
    assert np.isfinite(np.frombuffer(profile.work, "<f4")).all()
