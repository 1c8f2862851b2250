"""One reading of the days before: newest first, bounded, in one unit, and honest about what is missing."""

import math
from struct import unpack_from

import pytest

from autoscaler.forecast.past_days import PastWanted
from autoscaler.model.state import PROFILE_BINS, ControllerState, DayProfile
from collector.clock import VirtualClock
from collector.model.ids import ServiceName
from foresail.past_reading import LIMIT_SECONDS, PastRead, PastReading, Wish
from support.builders import make_service, make_service_state, make_state
from support.past_days import FakePast

DAY_SECONDS = 86_400.0
MONDAY = 19_674 * DAY_SECONDS
END = MONDAY + 3 * DAY_SECONDS + 6 * 3600.0  # Thursday, six o'clock
CHAT = ServiceName("chat")


class TickingClock(VirtualClock):
    """Moves only as a reading takes its time."""

    elapsed_seconds = 0.0

    def monotonic_seconds(self) -> float:
        return self.elapsed_seconds


def morning(timestamp_seconds: float) -> float:
    """Eight requests a second from nine to ten, else two."""
    return 8.0 if timestamp_seconds % DAY_SECONDS // 3600 == 9 else 2.0


def read(
    past: FakePast,
    *,
    names: tuple[str, ...] = ("chat",),
    base: DayProfile = DayProfile(),  # noqa: B008  a value
    begin: float = MONDAY,
    state: ControllerState | None = None,
    clock: VirtualClock | None = None,
) -> PastRead:
    wanted = PastWanted(base=base, begin_timestamp_seconds=begin)
    return PastReading(
        past,
        wishes=[Wish(service=make_service(name), wanted=wanted) for name in names],
        state=state or ControllerState(),
        end_timestamp_seconds=END,
        clock=clock or VirtualClock(END + 2700.0),
    ).read()


def work_at(profile: DayProfile, hour: float) -> tuple[float, int]:
    """(mean work, days) of a working day's hour."""
    place = int(hour * 30)
    return float(unpack_from("<f", profile.work, 4 * place)[0]), profile.days[place]


def test_a_profile_is_told_every_day_that_was_measured() -> None:
    found = read(FakePast({"chat": morning}))
    profile = found.profiles[CHAT]
    assert work_at(profile, 9.5) == (800.0, 3)
    assert work_at(profile, 8.5) == (200.0, 3)
    assert work_at(profile, 5.5) == (200.0, 4)
    assert profile.next_bin == END // 120
    assert (found.days, found.error) == ({CHAT: 3.25}, None)
    assert found.read_seconds == found.wanted_seconds == END - MONDAY


def test_the_newest_days_are_read_first_each_within_midnights() -> None:
    past = FakePast({"chat": morning})
    read(past)
    days = [(begin + 600.0 - MONDAY, end - MONDAY) for begin, end in past.asked]
    assert days == [
        (3 * DAY_SECONDS, 3.25 * DAY_SECONDS),
        (2 * DAY_SECONDS, 3 * DAY_SECONDS),
        (DAY_SECONDS, 2 * DAY_SECONDS),
        (0.0, DAY_SECONDS),
    ]


def test_a_fleet_is_read_in_smaller_pieces() -> None:
    names = tuple(f"s{number}" for number in range(500))
    past = FakePast(dict.fromkeys(names, lambda _: 1.0))
    found = read(past, names=names, begin=END - DAY_SECONDS / 4)
    lengths = {end - begin - 600.0 for begin, end in past.asked}
    assert lengths == {4 * 3600.0, 2 * 3600.0}
    assert set(found.days.values()) == {0.25}


def test_what_the_time_is_too_short_for_is_left_out_and_said() -> None:
    clock = TickingClock(END)
    past = FakePast({"chat": morning})

    def take_a_while() -> None:
        clock.elapsed_seconds += 0.6 * LIMIT_SECONDS

    past.on_read = take_a_while
    found = read(past, clock=clock)
    assert found.days == {CHAT: 1.25}
    assert found.read_seconds == 1.25 * DAY_SECONDS
    assert found.error == "the 120 s for it were over"
    assert work_at(found.profiles[CHAT], 9.5) == (800.0, 1)


def test_a_reading_that_is_stopped_asks_nothing_more() -> None:
    past = FakePast({"chat": morning})
    reading = PastReading(
        past,
        wishes=[
            Wish(
                service=make_service(),
                wanted=PastWanted(base=DayProfile(), begin_timestamp_seconds=MONDAY),
            )
        ],
        state=ControllerState(),
        end_timestamp_seconds=END,
        clock=VirtualClock(END),
    )
    past.on_read = reading.stop
    assert reading.read().error == "the controller ends"
    assert len(past.asked) == 1


def test_what_was_read_before_it_failed_is_told_and_the_failure_said() -> None:
    past = FakePast({"chat": morning}, fails_before_timestamp_seconds=MONDAY + DAY_SECONDS)
    found = read(past)
    assert found.error == "it is gone"
    assert found.read_seconds == 1.25 * DAY_SECONDS
    assert work_at(found.profiles[CHAT], 9.5) == (800.0, 1)


@pytest.mark.parametrize(
    "past",
    [
        pytest.param(
            FakePast({"chat": morning}, fails_before_timestamp_seconds=math.inf), id="all-fails"
        ),
        pytest.param(FakePast({"chat": lambda _: None}), id="nothing-was-measured"),
        pytest.param(FakePast({"chat": lambda _: math.nan}), id="no-numbers"),
    ],
)
def test_of_nothing_no_profile_is_made(past: FakePast) -> None:
    found = read(past)
    assert found.profiles == {}
    assert found.days == {CHAT: 0}


def test_one_service_without_a_past_takes_nothing_from_others() -> None:
    past = FakePast({"chat": morning, "code": lambda _: None})
    found = read(past, names=("chat", "code"))
    assert set(found.profiles) == {CHAT}
    assert found.days == {CHAT: 3.25, "code": 0}


def test_a_gap_is_told_on_top_of_what_was_known() -> None:
    known = read(FakePast({"chat": lambda _: 5.0}), begin=END - DAY_SECONDS).profiles[CHAT]
    older = DayProfile(
        work=known.work, days=known.days, next_bin=int(MONDAY // 120) + 2 * PROFILE_BINS
    )
    found = read(FakePast({"chat": morning}), base=older, begin=MONDAY)
    assert work_at(found.profiles[CHAT], 9.5) == ((500.0 + 800.0) / 2, 2)  # Wednesday alone


@pytest.mark.parametrize(
    ("remembered", "work"),
    [
        pytest.param(None, 1200.0, id="of-the-newest-days"),
        pytest.param(10.0, 400.0, id="as-remembered"),
    ],
)
def test_answers_that_grew_longer_do_not_change_the_shape_of_days(
    remembered: float | None, work: float
) -> None:
    """Two requests a second of 100 prompt tokens; an output token is worth ten of them."""
    past = FakePast(
        {"chat": lambda _: 2.0},
        output_tokens=lambda at: 50.0 if at >= MONDAY + 3 * DAY_SECONDS else 500.0,
    )
    known = make_service_state(output_tokens_per_request=remembered)
    found = read(past, state=make_state(**{CHAT: known}))
    profile = found.profiles[CHAT]
    assert work_at(profile, 1.0) == (work, 4)
    assert work_at(profile, 23.0) == (work, 3)
