"""When declared events happen: occurrences between two moments, by the wall clock of their place. Pure.

In: the events of a calendar and two epoch timestamps. Out: occurrences with begin and end. Time zones
come loaded with the events; nothing is read here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Final

from collector.model.calendar import DAY_SECONDS, CalendarEvent, Once, Weekday, Weekly

LAST_TIMESTAMP_SECONDS: Final = 2e11
"""The year 8307: dates end soon after it, clocks that say so are wrong."""
WEEKDAYS: Final = tuple(Weekday)


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """One time that an event happens."""

    event: CalendarEvent
    begin_timestamp_seconds: float
    end_timestamp_seconds: float


def occurrences(
    calendar: Sequence[CalendarEvent], *, begin: float, end: float
) -> tuple[Occurrence, ...]:
    """What of the calendar touches the time from `begin` to `end`, both included.

    Occurrences of one event that touch each other are one: it goes on.
    """
    if not 0 <= begin <= end <= LAST_TIMESTAMP_SECONDS:
        return ()
    return tuple(
        each for event in calendar for each in _joined(_occurrences(event, begin=begin, end=end))
    )


def _occurrences(event: CalendarEvent, *, begin: float, end: float) -> Iterator[Occurrence]:
    """In the order of their beginnings."""
    for start in _starts(event, begin=begin - event.duration_seconds, end=end):
        if begin - event.duration_seconds <= start <= end:
            yield Occurrence(
                event=event,
                begin_timestamp_seconds=start,
                end_timestamp_seconds=start + event.duration_seconds,
            )


def _starts(event: CalendarEvent, *, begin: float, end: float) -> Iterator[float]:
    match event.schedule:
        case Once(start_timestamp_seconds=start):
            yield start
        case Weekly() as weekly:
            yield from _weekly_starts(weekly, first=_day(begin), last=_day(end))


def _day(timestamp_seconds: float) -> date:
    return datetime.fromtimestamp(max(2 * DAY_SECONDS, timestamp_seconds), tz=UTC).date()


def _weekly_starts(weekly: Weekly, *, first: date, last: date) -> Iterator[float]:
    """From a day before the first to a day after the last: no place is further off UTC."""
    hour, minute = divmod(weekly.minute_of_day, 60)
    for offset in range(-1, (last - first).days + 2):
        day = first + timedelta(days=offset)
        if WEEKDAYS[day.weekday()] in weekly.days:
            local = datetime(day.year, day.month, day.day, hour, minute, tzinfo=weekly.zone)
            yield local.timestamp()


def _joined(found: Iterator[Occurrence]) -> Iterator[Occurrence]:
    current: Occurrence | None = None
    for each in found:
        if current and each.begin_timestamp_seconds <= current.end_timestamp_seconds:
            current = replace(current, end_timestamp_seconds=each.end_timestamp_seconds)
            continue
        if current:
            yield current
        current = each
    if current:
        yield current
