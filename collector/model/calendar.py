"""What a service's owner knows will come: events that the traffic so far cannot tell.

Declared in the catalogue under `services[].calendar`; read by `autoscaler.forecast.calendar`. Time
zones are loaded by whoever builds these values, at the edge: what reads them does no I/O.
"""

from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo

DAY_SECONDS = 86_400.0
MINUTES_PER_DAY = 24 * 60


class Weekday(StrEnum):
    """A day of the week, in the order of `datetime.date.weekday`."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """Begins at one moment."""

    start_timestamp_seconds: float  # epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class Weekly:
    """Begins on some days of every week, by the clock on the wall of one place.

    A time that the change to summer time leaves out is meant as if the clock had not been changed
    yet, one that the change back repeats is meant the first time.
    """

    days: tuple[Weekday, ...]
    minute_of_day: int  # 0..1439, local
    zone: ZoneInfo

    def __post_init__(self) -> None:
        if not self.days:
            raise ValueError("days must name at least one day of the week")
        if not 0 <= self.minute_of_day < MINUTES_PER_DAY:
            raise ValueError(
                f"minute_of_day must be from 0 to {MINUTES_PER_DAY - 1}, got {self.minute_of_day}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarEvent:
    """A time with more demand than usual."""

    name: str
    schedule: Once | Weekly
    duration_seconds: float
    factor: float | None = None  # demand over what it is without the event; at most 1 has no effect
    requests_per_second: float | None = None  # at least so many must be carried while it lasts

    def __post_init__(self) -> None:
        if self.duration_seconds <= 0:
            raise ValueError(f"duration_seconds must be above 0, got {self.duration_seconds}")
        if self.factor is None and self.requests_per_second is None:
            raise ValueError(f"event {self.name!r} needs a factor or requests_per_second")
        if any(each is not None and each <= 0 for each in (self.factor, self.requests_per_second)):
            raise ValueError(f"factor and requests_per_second of {self.name!r} must be above 0")
