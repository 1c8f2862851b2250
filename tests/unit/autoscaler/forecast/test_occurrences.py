"""When events happen, by the wall clock of their place."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from autoscaler.forecast.occurrences import occurrences
from collector.model.calendar import CalendarEvent, Once, Weekday, Weekly

HOUR = 3600.0
DAY = 86400.0


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def weekly(
    *days: Weekday, minute: int = 540, zone: str = "Europe/Berlin", duration: float = 2 * HOUR
) -> CalendarEvent:
    schedule = Weekly(days=days, minute_of_day=minute, zone=ZoneInfo(zone))
    return CalendarEvent(name="e", schedule=schedule, duration_seconds=duration, factor=2.0)


def spans(event: CalendarEvent, begin: str, end: str) -> list[tuple[str, str]]:
    found = occurrences((event,), begin=at(begin), end=at(end))
    return [
        (
            datetime.fromtimestamp(each.begin_timestamp_seconds, tz=UTC).strftime("%m-%dT%H:%M"),
            datetime.fromtimestamp(each.end_timestamp_seconds, tz=UTC).strftime("%m-%dT%H:%M"),
        )
        for each in found
    ]


@pytest.mark.parametrize(
    ("event", "begin", "end", "expected"),
    [
        pytest.param(
            weekly(Weekday.MON), "2026-11-16T00:00", "2026-11-29T00:00",
            [("11-16T08:00", "11-16T10:00"), ("11-23T08:00", "11-23T10:00")],
            id="every-monday",
        ),
        pytest.param(
            weekly(Weekday.MON), "2026-03-23T00:00", "2026-04-05T00:00",
            [("03-23T08:00", "03-23T10:00"), ("03-30T07:00", "03-30T09:00")],
            id="nine-stays-nine-when-summer-time-begins",
        ),
        pytest.param(
            weekly(Weekday.SUN, minute=150), "2026-03-28T12:00", "2026-03-30T00:00",
            [("03-29T01:30", "03-29T03:30")],
            id="a-time-that-is-left-out-is-meant-before-the-change",
        ),
        pytest.param(
            weekly(Weekday.SUN, minute=150), "2026-10-24T12:00", "2026-10-26T00:00",
            [("10-25T00:30", "10-25T02:30")],
            id="a-time-that-is-repeated-is-meant-the-first-time",
        ),
        pytest.param(
            weekly(Weekday.MON, minute=30, zone="Pacific/Kiritimati"),
            "2026-11-21T00:00", "2026-11-24T00:00",
            [("11-22T10:30", "11-22T12:30")],
            id="monday-is-sunday-elsewhere",
        ),
        pytest.param(
            weekly(Weekday.SUN, minute=1410, zone="America/Los_Angeles"),
            "2026-11-23T07:00", "2026-11-23T07:30",
            [("11-23T07:30", "11-23T09:30")],
            id="begins-at-the-end-of-the-time-asked-for",
        ),
        pytest.param(
            weekly(Weekday.MON, duration=6 * DAY), "2026-11-21T00:00", "2026-11-21T01:00",
            [("11-16T08:00", "11-22T08:00")],
            id="began-days-ago",
        ),
        pytest.param(
            weekly(*Weekday, minute=0, zone="UTC", duration=DAY),
            "2026-11-20T12:00", "2026-11-22T12:00",
            [("11-20T00:00", "11-23T00:00")],
            id="days-that-touch-are-one",
        ),
    ],
)  # fmt: skip
def test_weekly_events_happen(
    event: CalendarEvent, begin: str, end: str, expected: list[tuple[str, str]]
) -> None:
    assert spans(event, begin, end) == expected


def test_an_event_of_once_happens_once() -> None:
    event = CalendarEvent(
        name="e", schedule=Once(start_timestamp_seconds=1000.0), duration_seconds=100.0, factor=2.0
    )
    seen = [
        bool(occurrences((event,), begin=begin, end=begin + 10.0))
        for begin in (980.0, 995.0, 1050.0, 1100.0, 1101.0)
    ]
    assert seen == [False, True, True, True, False]


@pytest.mark.parametrize("now", [-5.0, 1e13, float("inf"), float("nan")])
def test_a_clock_that_is_out_of_its_mind_finds_nothing(now: float) -> None:
    assert occurrences((weekly(Weekday.MON),), begin=now, end=now + 60.0) == ()
