"""Tells services what their days were like before the start, once and beside the loop, until cancelled.

In: the state as it was resumed, a `PastReader`. Out: a `PastDaysTold` for the controller, which takes it
as any other event, and a log line. The first decision never waits for it: a profile is as good as none
until then. It must not touch the state itself.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from structlog.typing import FilteringBoundLogger

from autoscaler.forecast.past_days import DAY_SECONDS, past_end, past_wanted
from autoscaler.model.event import PastDaysTold
from autoscaler.model.state import ControllerState
from collector.clock import Clock
from collector.model.catalogue import Catalogue
from collector.model.ids import ServiceName
from collector.ports import PastReader
from foresail.past_reading import PastRead, PastReading, Wish

LOOK_INTERVAL_SECONDS: Final = 1.0
"""At whether the last run's state is there."""
RETRY_INTERVAL_SECONDS: Final = 60.0
MOST_LINES: Final = 20
"""A line per service for so many; of more, one for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastDaysPorts:
    """What the side work looks at, and whom it tells."""

    reader: PastReader
    catalogue: Callable[[], Catalogue]
    resumed: Callable[[], ControllerState | None]  # once; None before there is one
    state: Callable[[], ControllerState]  # now
    tell: Callable[[PastDaysTold], None]
    clock: Clock
    log: FilteringBoundLogger


async def keep_past_days(ports: PastDaysPorts) -> None:
    """Reads for each service once, at the start or when it is new, until cancelled.

    Where nothing can be read at all that is told when it changes, and tried again.
    """
    state, told = await _resumed(ports), None
    seen: frozenset[ServiceName] = frozenset()
    wishes: Mapping[ServiceName, Wish] = {}
    while True:
        catalogue = ports.catalogue()
        end = past_end(catalogue.control, now=ports.clock.timestamp_seconds())
        wishes = {
            **_still_declared(wishes, catalogue=catalogue),
            **_new_wishes(catalogue, seen=seen, state=state, end_timestamp_seconds=end),
        }
        seen |= {each.name for each in catalogue.services}
        if wishes:
            found = await _read(ports, wishes=wishes, state=state, end_timestamp_seconds=end)
            is_nothing = found.read_seconds == 0
            if not is_nothing or found.error != told:
                _say(ports.log, found=found)
            told = found.error if is_nothing else None
            wishes = wishes if is_nothing else {}
        await ports.clock.sleep(RETRY_INTERVAL_SECONDS)
        state = ports.state()


async def _resumed(ports: PastDaysPorts) -> ControllerState:
    while (state := ports.resumed()) is None:
        await ports.clock.sleep(LOOK_INTERVAL_SECONDS)
    return state


def _still_declared(
    wishes: Mapping[ServiceName, Wish], *, catalogue: Catalogue
) -> Mapping[ServiceName, Wish]:
    declared = {each.name: each for each in catalogue.services}
    return {
        name: Wish(service=declared[name], wanted=wish.wanted)
        for name, wish in wishes.items()
        if name in declared
    }


def _new_wishes(
    catalogue: Catalogue,
    *,
    seen: frozenset[ServiceName],
    state: ControllerState,
    end_timestamp_seconds: float,
) -> Mapping[ServiceName, Wish]:
    """Of the services that were not looked at yet, those whose profile lacks days."""
    found: dict[ServiceName, Wish] = {}
    for service in catalogue.services:
        profile = state.service(service.name).scale_fit.day_profile
        wanted = past_wanted(profile, end_timestamp_seconds=end_timestamp_seconds)
        if service.name not in seen and wanted is not None:
            found[service.name] = Wish(service=service, wanted=wanted)
    return found


async def _read(
    ports: PastDaysPorts,
    *,
    wishes: Mapping[ServiceName, Wish],
    state: ControllerState,
    end_timestamp_seconds: float,
) -> PastRead:
    """Reads in a worker thread and tells what was found."""
    reading = PastReading(
        ports.reader,
        wishes=tuple(wishes.values()),
        state=state,
        end_timestamp_seconds=end_timestamp_seconds,
        clock=ports.clock,
    )
    try:
        found = await asyncio.to_thread(reading.read)
    finally:
        reading.stop()  # a controller that ends waits for its threads
    if found.profiles:
        ports.tell(PastDaysTold(profiles=found.profiles))
    return found


def _say(log: FilteringBoundLogger, *, found: PastRead) -> None:
    """A line per service, or one for all of many; a warning where history was not read to its end."""
    wanted = _days(found.wanted_seconds / DAY_SECONDS)
    if found.error is not None:
        read = _days(found.read_seconds / DAY_SECONDS)
        log.warning(
            "past_days_left_out", error=f"{read} of {wanted} days before were read: {found.error}"
        )
    if not found.read_seconds:
        return
    if len(found.days) > MOST_LINES:
        log.info("past_days", told=_of_many(found, wanted=wanted))
        return
    for name, days in found.days.items():
        log.info(
            "past_days",
            told=f"day profile of {name}: {_days(days)} days of {wanted} told from history",
        )


def _of_many(found: PastRead, *, wanted: str) -> str:
    told = [days for days in found.days.values() if days]
    some = f", {_days(min(told))} to {_days(max(told))} days of {wanted} each" if told else ""
    return f"day profiles of {len(told)} of {len(found.days)} services told from history{some}"


def _days(days: float) -> str:
    return f"{days:.2g}"
