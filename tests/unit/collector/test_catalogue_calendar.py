"""What `calendar` of a service means, and exactly what its owner is told when it is wrong."""

import subprocess
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import TypeAdapter

from collector.catalogue_file import parse_catalogue
from collector.errors import CatalogueError
from collector.model.calendar import CalendarEvent, Once, Weekday, Weekly
from collector.model.catalogue import Service
from support.builders import make_service
from support.files import CATALOGUE

WEEKLY = """\
name: Monday opening
days: [mon]
at: "09:00"
timezone: Europe/Berlin
duration: 2h
factor: 3"""
ONCE = """\
name: launch
start: 2026-12-01T09:00:00+01:00
duration: 90m
requests_per_second: 25"""


def with_events(*events: str) -> bytes:
    """The valid catalogue with a calendar of its first service, one event per text."""
    lines = ["    calendar:"]
    for event in events:
        first, *others = event.splitlines()
        lines += [f"      - {first}", *(f"        {each}" for each in others)]
    return CATALOGUE.replace("    owner: me\n", "\n".join(["    owner: me", *lines, ""])).encode()


def calendar(*events: str) -> tuple[CalendarEvent, ...]:
    return parse_catalogue(with_events(*events), path=Path("c.yaml")).services[0].calendar


def told(*events: str) -> list[str]:
    with pytest.raises(CatalogueError) as caught:
        parse_catalogue(with_events(*events), path=Path("c.yaml"))
    return [line.removeprefix("c.yaml:") for line in str(caught.value).splitlines()]


def test_a_weekly_event_is_told_by_the_clock_of_its_place() -> None:
    assert calendar(WEEKLY) == (
        CalendarEvent(
            name="Monday opening",
            schedule=Weekly(days=(Weekday.MON,), minute_of_day=540, zone=ZoneInfo("Europe/Berlin")),
            duration_seconds=7200.0,
            factor=3.0,
        ),
    )


def test_an_event_that_happens_once_has_its_offset_with_it() -> None:
    assert calendar(ONCE) == (
        CalendarEvent(
            name="launch",
            schedule=Once(start_timestamp_seconds=1_796_112_000.0),
            duration_seconds=5400.0,
            requests_per_second=25.0,
        ),
    )


def test_without_a_calendar_there_are_no_events() -> None:
    assert parse_catalogue(CATALOGUE.encode(), path=Path("c.yaml")).services[0].calendar == ()


def test_a_calendar_comes_back_from_json_as_it_was() -> None:
    services = TypeAdapter(Service)
    service = make_service(calendar=calendar(WEEKLY, ONCE))
    assert services.validate_json(services.dump_json(service)) == service


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param(
            [WEEKLY.replace("\nat:", "\nstart: 2026-12-01T09:00:00Z\nat:")],
            "13: services.chat.calendar[0].days is not allowed beside 'start': an event is weekly, "
            "or happens once",
            id="once-and-weekly",
        ),
        pytest.param(
            [WEEKLY.replace("\ntimezone: Europe/Berlin", "")],
            "12: services.chat.calendar[0] has no 'timezone'; it needs 'start' for one time, or "
            "'days', 'at' and 'timezone' for every week",
            id="weekly-without-timezone",
        ),
        pytest.param(
            [ONCE.replace("\nrequests_per_second: 25", "")],
            "12: services.chat.calendar[0] says nothing to expect; it needs a 'factor' such as 2, or "
            "'requests_per_second'",
            id="nothing-expected",
        ),
        pytest.param(
            [WEEKLY.replace("2h", "8d")],
            "16: services.chat.calendar[0].duration is 8d, must be at most 7d for a weekly event",
            id="longer-than-its-week",
        ),
        pytest.param(
            [ONCE, ONCE],
            "16: services.chat.calendar[1].name repeats 'launch'; decisions tell events by name",
            id="name-twice",
        ),
        pytest.param(
            [WEEKLY.replace("Europe/Berlin", "Europe/Bonn")],
            "15: services.chat.calendar[0].timezone is 'Europe/Bonn', must be the IANA name of a time "
            "zone, such as Europe/Berlin or UTC",
            id="unknown-zone",
        ),
        pytest.param(
            [WEEKLY.replace("Europe/Berlin", "Europe")],
            "15: services.chat.calendar[0].timezone is 'Europe', must be the IANA name of a time "
            "zone, such as Europe/Berlin or UTC",
            id="folder-of-zones",
        ),
        pytest.param(
            [WEEKLY.replace("Europe/Berlin", "../../etc/passwd")],
            "15: services.chat.calendar[0].timezone is '../../etc/passwd', must be the IANA name of a "
            "time zone, such as Europe/Berlin or UTC",
            id="zone-that-is-a-path",
        ),
        pytest.param(
            [ONCE.replace("+01:00", "")],
            "13: services.chat.calendar[0].start is '2026-12-01T09:00:00', must be a date and time "
            "with its offset, such as 2026-12-01T09:00:00+01:00",
            id="start-without-offset",
        ),
        pytest.param(
            [ONCE.replace("12-01T", "02-30T")],
            "13: services.chat.calendar[0].start is '2026-02-30T09:00:00+01:00', must be a date and "
            "time with its offset, such as 2026-12-01T09:00:00+01:00",
            id="no-such-day",
        ),
        pytest.param(
            [WEEKLY.replace('"09:00"', '"9:00"')],
            "14: services.chat.calendar[0].at is '9:00', must be a time of day from \"00:00\" to "
            '"23:59"',
            id="one-digit-hour",
        ),
        pytest.param(
            [WEEKLY.replace("[mon]", "[monday]")],
            "13: services.chat.calendar[0].days[0] is 'monday', must be one of: mon, tue, wed, thu, "
            "fri, sat, sun; did you mean 'mon'?",
            id="long-weekday",
        ),
        pytest.param(
            [WEEKLY.replace("factor: 3", "factor: 0")],
            "17: services.chat.calendar[0].factor is 0, must be above 0",
            id="factor-of-zero",
        ),
    ],
)
def test_the_owner_is_told_what_is_wrong(events: list[str], expected: str) -> None:
    assert told(*events) == [expected]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        pytest.param(
            {"duration_seconds": 0.0, "factor": 2.0}, "duration_seconds must", id="length"
        ),
        pytest.param({"duration_seconds": 1.0}, "needs a factor", id="nothing"),
        pytest.param({"duration_seconds": 1.0, "factor": -1.0}, "must be above 0", id="negative"),
    ],
)
def test_an_event_without_sense_cannot_be_made(fields: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CalendarEvent(name="x", schedule=Once(start_timestamp_seconds=1.0), **fields)


def test_time_zones_are_known_where_the_machine_has_none() -> None:
    program = "from zoneinfo import TZPATH, ZoneInfo; assert not TZPATH; ZoneInfo('Europe/Berlin')"
    found = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONTZPATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (found.returncode, found.stderr) == (0, "")
