"""The form of `services[].calendar`: times with more demand than the past can tell, and their rules.

In: plain values of the file. Out: validated `EventPart`s, which `calendar_events` turns into the
dataclasses of `collector.model.calendar`, and what is wrong between their keys. Reads time zones
from the machine, or from the package that carries them; nothing after this does.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, WithJsonSchema

from collector.files.part import FilePart
from collector.files.problem import KeyPath, Problem
from collector.files.units import Duration
from collector.model.calendar import DAY_SECONDS, CalendarEvent, Once, Weekday, Weekly

MAX_EVENTS: Final = 100
MAX_FACTOR: Final = 1000
MAX_REQUESTS_PER_SECOND: Final = 1_000_000
MAX_WEEKLY_SECONDS: Final = 7 * DAY_SECONDS

_MOMENT: Final = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_TIME: Final = r"([01][0-9]|2[0-3]):[0-5][0-9]"
_WEEKLY_KEYS: Final = ("days", "at", "timezone")


def moment(typed: str) -> str:
    """A point in time with its offset from UTC, as RFC 3339 writes it."""
    try:
        is_moment = re.fullmatch(_MOMENT, typed) and datetime.fromisoformat(typed).timestamp() > 0
    except (ValueError, OverflowError):
        is_moment = False
    if not is_moment:
        raise ValueError(
            "must be a date and time with its offset, such as 2026-12-01T09:00:00+01:00"
        )
    return typed


def time_of_day(typed: str) -> str:
    """Hours and minutes of a day."""
    if not re.fullmatch(_TIME, typed):
        raise ValueError('must be a time of day from "00:00" to "23:59"')
    return typed


def time_zone(typed: str) -> str:
    """The name of a time zone that can be read here."""
    try:
        ZoneInfo(typed)
    except (KeyError, ValueError, OSError) as error:  # unknown, no name at all, a folder of zones
        raise ValueError(
            "must be the IANA name of a time zone, such as Europe/Berlin or UTC"
        ) from error
    return typed


def event_name(typed: str) -> str:
    """A name for people, on one line."""
    if not typed.isprintable() or typed != typed.strip():
        raise ValueError("must be one line of text without spaces at its ends")
    return typed


Moment = Annotated[
    str,
    AfterValidator(moment),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": f"^{_MOMENT}$"}),
]
TimeOfDay = Annotated[
    str,
    AfterValidator(time_of_day),
    WithJsonSchema({"type": "string", "pattern": f"^{_TIME}$", "examples": ["09:00"]}),
]
TimeZone = Annotated[
    str,
    AfterValidator(time_zone),
    WithJsonSchema({"type": "string", "examples": ["Europe/Berlin", "UTC"]}),
]


class EventPart(FilePart):
    """A time with more demand than usual: once with `start`, or weekly with `days`, `at`, `timezone`."""

    name: Annotated[str, AfterValidator(event_name)] = Field(
        min_length=1, max_length=80, description="What people call it; decisions name it."
    )
    start: Moment | None = Field(
        default=None,
        description="When it begins, with its offset from UTC, such as 2026-12-01T09:00:00+01:00. "
        "Default: it is weekly.",
    )
    days: list[Annotated[Weekday, Field(strict=False)]] | None = Field(
        default=None,
        min_length=1,
        description="The days of the week on which it begins: mon, tue, wed, thu, fri, sat, sun. "
        "Default: it happens once, at start.",
    )
    at: TimeOfDay | None = Field(
        default=None,
        description='The time of day at which it begins on these days, such as "09:00". Default: it '
        "happens once, at start.",
    )
    timezone: TimeZone | None = Field(
        default=None,
        description="The IANA name of the time zone that `at` is meant in, such as Europe/Berlin; "
        "summer time is followed. Default: it happens once. A weekly event must say it, for the "
        "machine's own zone is often not its users'.",
    )
    duration: Duration = Field(
        description="How long it lasts, such as 2h; of a weekly event at most 7d."
    )
    factor: Annotated[float, Field(gt=0, le=MAX_FACTOR)] | None = Field(
        default=None,
        description="How many times the demand it is without the event, such as 3. It only ever adds "
        "replicas: 1 or less has no effect. Default: only requests_per_second counts.",
    )
    requests_per_second: Annotated[float, Field(gt=0, le=MAX_REQUESTS_PER_SECOND)] | None = Field(
        default=None,
        description="Replicas for at least so many requests per second of the usual length are kept "
        "ready while it lasts, whatever came before. Default: only the factor counts.",
    )


def calendar_problems(calendar: list[EventPart], path: KeyPath) -> Iterator[Problem]:
    """Everything that is wrong between the keys of a service's events."""
    names: set[str] = set()
    for index, event in enumerate(calendar):
        where = (*path, index)
        yield from _event_problems(event, where)
        if event.name in names:
            yield _problem(
                (*where, "name"), f"repeats {event.name!r}; decisions tell events by name"
            )
        names.add(event.name)


def _event_problems(event: EventPart, path: KeyPath) -> Iterator[Problem]:
    given = [key for key in _WEEKLY_KEYS if getattr(event, key) is not None]
    missing = [key for key in _WEEKLY_KEYS if key not in given]
    if event.start is not None and given:
        yield _problem(
            (*path, given[0]), "is not allowed beside 'start': an event is weekly, or happens once"
        )
    elif event.start is None and missing:
        yield _problem(
            path,
            f"has no {missing[0]!r}; it needs 'start' for one time, or 'days', 'at' and 'timezone' "
            "for every week",
        )
    elif event.start is None and event.duration > MAX_WEEKLY_SECONDS:
        yield _problem(
            (*path, "duration"),
            f"is {event.duration / DAY_SECONDS:g}d, must be at most 7d for a weekly event",
        )
    if event.factor is None and event.requests_per_second is None:
        yield _problem(
            path, "says nothing to expect; it needs a 'factor' such as 2, or 'requests_per_second'"
        )


def _problem(path: KeyPath, message: str) -> Problem:
    return Problem(line=None, path=path, message=message)


def calendar_events(calendar: list[EventPart]) -> tuple[CalendarEvent, ...]:
    """The events as values; of a calendar without problems."""
    return tuple(
        CalendarEvent(
            name=each.name,
            schedule=_schedule(each),
            duration_seconds=each.duration,
            factor=each.factor,
            requests_per_second=each.requests_per_second,
        )
        for each in calendar
    )


def _schedule(part: EventPart) -> Once | Weekly:
    if part.start is not None:
        return Once(start_timestamp_seconds=datetime.fromisoformat(part.start).timestamp())
    hours, _, minutes = (part.at or "").partition(":")
    return Weekly(
        days=tuple(each for each in Weekday if each in (part.days or ())),
        minute_of_day=60 * int(hours) + int(minutes),
        zone=ZoneInfo(part.timezone or ""),
    )
