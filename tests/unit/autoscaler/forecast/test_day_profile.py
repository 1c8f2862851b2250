"""What past days foretell: told once, late, and only where it was measured and not announced."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from struct import unpack_from

import numpy as np
import pytest

from autoscaler.forecast.day_profile import change_ratio, told
from autoscaler.forecast.lead_time import forecast_at_lead, learn_from
from autoscaler.model.demand import DemandSeries
from autoscaler.model.state import PROFILE_PLACES, DayProfile, ScaleFit
from collector.model.catalogue import Control
from support.demand_series import make_series

CONTROL = Control()  # level window 60 s
DAY_SECONDS = 86_400.0
MONDAY = 19_674 * DAY_SECONDS  # 13 November 2023, midnight UTC
NINE = 9 * 3600.0
LEAD_SECONDS = 120.0
LOOK_BACK_BINS = 248
DELAY_SECONDS = 2700.0


def nothing_announced(begin: float, end: float) -> bool:
    return False


def rate_at(timestamp_seconds: float) -> float:
    """Four times the demand from nine to twenty past, every day."""
    since_nine = timestamp_seconds % DAY_SECONDS - NINE
    return 400.0 if 0 <= since_nine < 1200.0 else 100.0


def series_until(end: float, *, rate: Sequence[float] | None = None) -> DemandSeries:
    starts = end - 15.0 * np.arange(LOOK_BACK_BINS, 0, -1)
    return make_series(rate if rate is not None else [rate_at(each) for each in starts])


def after(profile: DayProfile, *, end: float, series: DemandSeries | None = None) -> DayProfile:
    return told(
        profile,
        series=series or series_until(end),
        control=CONTROL,
        end_timestamp_seconds=end,
        is_announced=nothing_announced,
    )


def place_at(timestamp_seconds: float) -> int:
    day, second = divmod(timestamp_seconds - MONDAY, DAY_SECONDS)
    return int(second // 120) + (720 if day % 7 >= 5 else 0)


def work_at(profile: DayProfile, timestamp_seconds: float) -> float | None:
    """The mean told for a moment; None where none was."""
    place = place_at(timestamp_seconds)
    if not profile.days or profile.days[place] == 0:
        return None
    return float(unpack_from("<f", profile.work, 4 * place)[0])


def told_morning(
    profile: DayProfile, *, day: int, series: DemandSeries | None = None
) -> DayProfile:
    """With 8:30 to 9:30 of a day since Monday."""
    midnight = MONDAY + day * DAY_SECONDS
    for minutes in (60, 75, 90, 105):
        end = midnight + 8.5 * 3600.0 + 60.0 * minutes
        profile = after(profile, end=end, series=series)
    return profile


def mornings(days: int) -> DayProfile:
    profile = DayProfile()
    for day in range(days):
        profile = told_morning(profile, day=day)
    return profile


def change(profile: DayProfile, *, day: int, asked: float, lead: float = LEAD_SECONDS) -> float:
    return change_ratio(
        profile,
        asked_timestamp_seconds=MONDAY + day * DAY_SECONDS + asked,
        horizon_seconds=lead,
        control=CONTROL,
    )


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(NINE - 300.0, 0.0, id="too-early-to-matter"),
        pytest.param(NINE - 120.0, 3.0, id="the-burst-begins-within-the-lead-time"),
        pytest.param(NINE + 1140.0, -0.75, id="the-burst-is-over-by-then"),
        pytest.param(NINE - 2400.0, 0.0, id="never-told"),
    ],
)
def test_past_days_foretell_the_change_within_the_lead_time(asked: float, expected: float) -> None:
    assert change(mornings(1), day=1, asked=asked) == pytest.approx(expected)


def test_before_the_first_day_nothing_is_foretold() -> None:
    assert change(DayProfile(), day=0, asked=NINE - 120.0) == 0.0


def test_a_bin_is_told_late_so_that_nothing_finds_its_own_outcome() -> None:
    end = MONDAY + NINE + DELAY_SECONDS
    profile = after(DayProfile(), end=end)
    assert work_at(profile, MONDAY + NINE - 120.0) == 100.0
    assert work_at(profile, MONDAY + NINE) is None


def test_a_bin_is_told_once_however_often_one_looks() -> None:
    end = MONDAY + NINE + DELAY_SECONDS
    profile = after(DayProfile(), end=end)
    for later in (0.0, 15.0, 105.0):
        assert after(profile, end=end + later) == profile
    assert set(after(profile, end=end + 120.0).days) == {0, 1}


def test_recent_days_count_more() -> None:
    profile = DayProfile()
    for day, work in ((0, 100.0), (1, 200.0), (2, 300.0), (3, 300.0), (4, 300.0), (7, 900.0)):
        series = make_series([work] * LOOK_BACK_BINS)
        profile = told_morning(profile, day=day, series=series)
    # five days: about their mean, 240.5; the sixth moves it by 0.2063 of the difference
    assert work_at(profile, MONDAY + NINE) == pytest.approx(376.5, abs=0.1)


def test_what_was_not_measured_tells_nothing() -> None:
    end = MONDAY + NINE + DELAY_SECONDS + 240.0
    covered = np.full(LOOK_BACK_BINS, 15.0)
    covered[52:56] = 0.0  # of the bins from 8:58 to 9:02 the first half of 9:00
    work = [100.0] * LOOK_BACK_BINS
    profile = after(DayProfile(), end=end, series=make_series(work, covered_seconds=covered))
    assert work_at(profile, MONDAY + NINE - 120.0) == 100.0
    assert work_at(profile, MONDAY + NINE) is None
    assert work_at(profile, MONDAY + NINE + 120.0) == 100.0


def test_what_was_announced_tells_nothing() -> None:
    asked: list[tuple[float, float]] = []

    def announced(begin: float, end: float) -> bool:
        asked.append((begin, end))
        return begin < MONDAY + NINE + 60.0 < end

    end = MONDAY + NINE + DELAY_SECONDS + 240.0
    profile = told(
        DayProfile(),
        series=series_until(end),
        control=CONTROL,
        end_timestamp_seconds=end,
        is_announced=announced,
    )
    assert work_at(profile, MONDAY + NINE) is None
    assert work_at(profile, MONDAY + NINE + 120.0) == 400.0
    assert (MONDAY + NINE, MONDAY + NINE + 120.0) in asked


def test_working_days_say_nothing_of_weekends_that_have_spoken() -> None:
    weekdays = mornings(5)
    quiet = make_series([100.0] * LOOK_BACK_BINS)
    saturday = told_morning(weekdays, day=5, series=quiet)
    assert change(weekdays, day=5, asked=NINE - 120.0) == pytest.approx(3.0)  # the first weekend
    assert change(saturday, day=6, asked=NINE - 120.0) == pytest.approx(0.0)
    assert change(saturday, day=7, asked=NINE - 120.0) == pytest.approx(3.0)  # Monday


def test_midnight_is_no_gap() -> None:
    profile = DayProfile()
    for minutes in range(0, 120, 15):
        end = MONDAY + DAY_SECONDS + 60.0 * minutes
        profile = after(profile, end=end, series=make_series([50.0] * LOOK_BACK_BINS))
    full = replace(profile, days=b"\1" * PROFILE_PLACES)
    assert work_at(profile, MONDAY + 60.0) == 50.0
    assert work_at(profile, MONDAY + DAY_SECONDS - 60.0) == 50.0
    assert change(full, day=1, asked=-60.0) == pytest.approx(0.0)


def test_a_clock_set_back_stops_nothing() -> None:
    profile = mornings(1)
    back = after(profile, end=MONDAY + 6 * 3600.0)
    assert back.days == profile.days
    assert work_at(after(back, end=MONDAY + 6.2 * 3600.0), MONDAY + 5.4 * 3600.0) == 100.0


def test_one_bursts_foretold_growth_is_bounded() -> None:
    loud = make_series([1e9] * LOOK_BACK_BINS)
    profile = told_morning(DayProfile(), day=0, series=make_series([1.0] * LOOK_BACK_BINS))
    place = place_at(MONDAY + NINE)
    packed = bytearray(profile.work)
    packed[4 * place : 4 * place + 4] = told_morning(DayProfile(), day=0, series=loud).work[
        4 * place : 4 * place + 4
    ]
    assert change(replace(profile, work=bytes(packed)), day=1, asked=NINE - 120.0) == 5.0


@pytest.mark.parametrize(
    ("work", "days"),
    [
        pytest.param(b"", b"\1" * PROFILE_PLACES, id="days-without-work"),
        pytest.param(bytes(4 * PROFILE_PLACES), b"", id="work-without-days"),
        pytest.param(bytes(8), b"\1\1", id="of-another-length"),
    ],
)
def test_a_profile_of_another_length_is_refused(work: bytes, days: bytes) -> None:
    with pytest.raises(ValueError, match="must have"):
        DayProfile(work=work, days=days)


def watched_mornings(day: int) -> Iterator[tuple[float, DemandSeries]]:
    """(end, series) at the end of every bin from 7:30 to 10:30."""
    noise = np.random.default_rng(day).lognormal(0.0, 0.1, 4 * 60 * 4 + LOOK_BACK_BINS)
    first = MONDAY + day * DAY_SECONDS + 7.5 * 3600.0 - 15.0 * LOOK_BACK_BINS
    rates = [rate_at(first + 15.0 * n) * noise[n] for n in range(LOOK_BACK_BINS + 720)]
    for number in range(LOOK_BACK_BINS, len(rates)):
        series = make_series(rates[number - LOOK_BACK_BINS : number])
        yield first + 15.0 * number, series


def test_on_the_third_day_the_burst_is_in_the_forecast_before_it_begins() -> None:
    fit, foretold = ScaleFit(), []
    for day in range(3):
        for end, series in watched_mornings(day):
            if math.isclose(end % DAY_SECONDS, NINE - LEAD_SECONDS):
                found = forecast_at_lead(
                    series,
                    fit=fit,
                    control=CONTROL,
                    horizon_seconds=LEAD_SECONDS,
                    end_timestamp_seconds=end,
                )
                assert found is not None
                foretold.append(found.peak.prompt_tokens_per_second)
            fit = replace(fit, day_profile=after(fit.day_profile, end=end, series=series))
            fit = learn_from(
                fit,
                series=series,
                control=CONTROL,
                horizon_seconds=LEAD_SECONDS,
                end_timestamp_seconds=end,
            )
    assert foretold[0] == pytest.approx(100.0, rel=0.15)
    assert foretold[2] > 250.0
