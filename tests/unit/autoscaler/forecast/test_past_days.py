"""What history tells a profile at once: what was measured and not announced, day by day, and nothing twice."""

from struct import unpack_from

import numpy as np
import pytest

from autoscaler.forecast.day_profile import told
from autoscaler.forecast.past_days import (
    measured_days,
    past_end,
    past_wanted,
    told_past,
    was_told_more,
    work_by_bin,
)
from autoscaler.model.demand import DemandSeries
from autoscaler.model.state import PROFILE_BINS, PROFILE_PLACES, DayProfile
from collector.model.calendar import CalendarEvent, Once
from collector.model.catalogue import Control
from support.builders import make_service
from support.demand_series import make_series

DAY_SECONDS = 86_400.0
MONDAY = 19_674 * DAY_SECONDS  # 13 November 2023, midnight UTC
MONDAY_BIN = 19_674 * PROFILE_BINS
NAN = float("nan")


def profile(*, days: bytes, next_bin: int | None) -> DayProfile:
    return DayProfile(work=bytes(4 * PROFILE_PLACES), days=days, next_bin=next_bin)


def told_for(places: int, *, until: float) -> DayProfile:
    """So many places told once, and looked at until then."""
    return profile(
        days=bytes([1] * places + [0] * (PROFILE_PLACES - places)), next_bin=int(until // 120)
    )


END = MONDAY + 14 * DAY_SECONDS
NOTHING_TOLD = profile(days=bytes(PROFILE_PLACES), next_bin=int(END // 120) - 3)


@pytest.mark.parametrize(
    ("known", "begin"),
    [
        pytest.param(DayProfile(), MONDAY, id="nothing-known-asks-for-two-weeks"),
        pytest.param(NOTHING_TOLD, MONDAY, id="looked-at-and-nothing-found"),
        pytest.param(told_for(719, until=END), MONDAY, id="less-than-a-day-begins-anew"),
        pytest.param(told_for(720, until=END), None, id="a-day-is-enough"),
        pytest.param(told_for(720, until=END - 86_400), None, id="a-day-missed-is-let-be"),
        pytest.param(
            told_for(720, until=END - 86_640), END - 87_000, id="more-is-asked-for-since-then"
        ),
        pytest.param(told_for(720, until=END - 30 * 86_400), MONDAY, id="two-weeks-at-most"),
        pytest.param(told_for(720, until=END + 86_400), None, id="a-clock-that-went-back"),
    ],
)
def test_history_is_asked_for_what_a_profile_lacks(known: DayProfile, begin: float | None) -> None:
    wanted = past_wanted(known, end_timestamp_seconds=END)
    assert (wanted.begin_timestamp_seconds if wanted else None) == begin


@pytest.mark.parametrize(("end", "begin"), [(0.0, None), (-600.0, None), (6000.0, 0.0)])
def test_before_the_epoch_there_was_nothing(end: float, begin: float | None) -> None:
    wanted = past_wanted(DayProfile(), end_timestamp_seconds=end)
    assert (wanted.begin_timestamp_seconds if wanted else None) == begin


def test_a_gap_is_told_on_top_of_what_is_known_and_little_is_begun_anew() -> None:
    old, little = told_for(1440, until=MONDAY), told_for(3, until=MONDAY)
    gap = past_wanted(old, end_timestamp_seconds=END)
    anew = past_wanted(little, end_timestamp_seconds=END)
    assert gap is not None
    assert gap.base is old
    assert anew is not None
    assert anew.base == DayProfile()


@pytest.mark.parametrize(
    ("level_seconds", "now", "end"),
    [
        pytest.param(60.0, MONDAY + 3 * 3600.0, MONDAY + 2 * 3600.0 + 600.0, id="45-minutes-late"),
        pytest.param(2.0, MONDAY + 3699.0, MONDAY + 3600.0, id="a-whole-ten-minutes"),
    ],
)
def test_history_ends_where_time_that_passes_will_tell(
    level_seconds: float, now: float, end: float
) -> None:
    assert past_end(Control(level_window_seconds=level_seconds), now=now) == end


def series(
    work: list[float], *, bin_seconds: float, covered: list[float] | None = None
) -> DemandSeries:
    amounts = np.array(work)
    return DemandSeries(
        bin_seconds=bin_seconds,
        requests_per_second=amounts,
        prompt_tokens_per_second=amounts,
        output_tokens_per_second=amounts,
        covered_seconds=np.array(covered or [bin_seconds] * len(work)),
        work=amounts,
    )


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(series([1, 3, 5, 7], bin_seconds=60.0), [2, 6], id="minutes"),
        pytest.param(series([1, 3], bin_seconds=120.0), [1, 3], id="as-wide-as-its-own"),
        pytest.param(
            series([10, 20], bin_seconds=300.0), [10, 10, 15, 20, 20], id="wider-and-astride"
        ),
        pytest.param(series([4], bin_seconds=600.0), [4] * 5, id="much-wider"),
        pytest.param(
            series([1, 3, 5, 7], bin_seconds=60.0, covered=[60, 60, 60, 47]),
            [2, NAN],
            id="too-little-measured",
        ),
        pytest.param(
            series([1, 4], bin_seconds=60.0, covered=[60, 50]), [260 / 110], id="weighed-by-cover"
        ),
        pytest.param(series([NAN, 4], bin_seconds=120.0), [NAN, 4], id="no-number"),
    ],
)
def test_work_is_the_mean_over_each_bin_of_a_profile(
    found: DemandSeries, expected: list[float]
) -> None:
    assert work_by_bin(found).tolist() == pytest.approx(expected, nan_ok=True)


def at(found: DayProfile, place: int) -> tuple[float, int]:
    """(mean, days) of a place."""
    return float(unpack_from("<f", found.work, 4 * place)[0]), found.days[place]


def test_days_are_told_in_their_order_each_to_its_kind() -> None:
    work = np.repeat([5.0, 10.0, 40.0, 30.0, 20.0], PROFILE_BINS)  # Friday to Tuesday
    found = told_past(
        DayProfile(), service=make_service(), first_bin=MONDAY_BIN + 4 * PROFILE_BINS, work=work
    )
    assert at(found, 0) == at(found, 719) == (pytest.approx(55 / 3), 3)
    assert at(found, 720) == at(found, 1439) == (25.0, 2)
    assert found.next_bin == MONDAY_BIN + 9 * PROFILE_BINS


def test_what_was_not_measured_tells_nothing() -> None:
    found = told_past(
        DayProfile(), service=make_service(), first_bin=MONDAY_BIN, work=np.array([5.0, NAN, 7.0])
    )
    assert [at(found, place) for place in range(4)] == [(5.0, 1), (0.0, 0), (7.0, 1), (0.0, 0)]


def test_the_first_look_goes_on_where_history_ended() -> None:
    """Even where reading it took two minutes."""
    end = past_end(Control(), now=MONDAY + 9 * 3600.0 + 299.0)
    first_bin = int(end // 120) - 5
    told_by_history = told_past(
        DayProfile(), service=make_service(), first_bin=first_bin, work=np.full(5, 9.0)
    )
    look = told(
        told_by_history,
        series=make_series([9.0] * 248),
        control=Control(),
        end_timestamp_seconds=MONDAY + 9 * 3600.0 + 420.0,
        is_announced=lambda begin, end: False,
    )
    places = [place for place in range(PROFILE_PLACES) if look.days[place]]
    begin = first_bin - MONDAY_BIN
    assert places == list(range(begin, begin + 5 + 6))
    assert look.days[begin : begin + 11] == b"\1" * 11


def test_what_is_known_already_is_told_no_second_time() -> None:
    work = np.array([5.0, 6.0, 7.0])
    known = told_past(DayProfile(), service=make_service(), first_bin=MONDAY_BIN, work=work[:2])
    found = told_past(known, service=make_service(), first_bin=MONDAY_BIN, work=work)
    assert [at(found, place) for place in range(3)] == [(5.0, 1), (6.0, 1), (7.0, 1)]


def test_what_was_announced_tells_nothing() -> None:
    opening = CalendarEvent(
        name="opening",
        schedule=Once(start_timestamp_seconds=MONDAY + 250.0),
        duration_seconds=200.0,
        factor=2.0,
    )
    found = told_past(
        DayProfile(),
        service=make_service(calendar=(opening,)),
        first_bin=MONDAY_BIN,
        work=np.full(6, 9.0),
    )
    assert list(found.days[:6]) == [1, 1, 0, 0, 1, 1]


def test_what_was_measured_is_said_in_days() -> None:
    work = np.full(3 * PROFILE_BINS, NAN)
    assert measured_days(work) == 0.0
    work[100:1180] = 0.0
    assert measured_days(work) == 1.5


def test_more_days_are_more_and_as_many_are_not() -> None:
    two, three = told_for(2, until=MONDAY), told_for(3, until=MONDAY)
    assert was_told_more(three, than=two)
    assert not was_told_more(two, than=two)
    assert not was_told_more(DayProfile(), than=DayProfile())
