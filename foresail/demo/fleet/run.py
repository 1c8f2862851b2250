"""`foresail demo --fleet`: a race replayed at a pace that can be watched, and a summary at its end.

In: options, a clock, what to do with the summary. Out: an exit code, a page on loopback while it runs,
a file if asked for. The replay runs in a thread, so that the page answers meanwhile; what the page is
given was made in that thread and never changes.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable

from autoscaler.replay.shared_replay import SharedConditions
from collector.clock import Clock
from collector.gateway.settings import LOOPBACK_HOSTS
from foresail.demo.fleet.app import create_fleet_app
from foresail.demo.fleet.bodies import FleetBody, FleetSummary
from foresail.demo.fleet.options import FleetOptions, check_options
from foresail.demo.fleet.progress import FleetProgress, day_clock
from foresail.demo.fleet.race import Race
from foresail.demo.fleet.report import fleet_body, fleet_summary
from foresail.demo.fleet.services import GPUS, fleet_services
from foresail.demo.fleet.summary_file import write_summary
from foresail.demo.fleet.terminal import INTERRUPTED_EXIT_CODE, Terminal
from foresail.demo.options import LOOPBACK, free_ports
from foresail.http.server import serving
from foresail.supervisor import stop_on_signals

STEP_SECONDS = 15.0
LOOKS_PER_SECOND = 4.0
"""How often the page can have something new."""


def run_fleet_demo(options: FleetOptions, *, tell: Callable[[FleetSummary], None]) -> int:
    """0 after the whole replay, 130 when interrupted before its end.

    Raises ConfigurationError for options that cannot work, before anything is started.
    """
    check_options(options)
    terminal = Terminal.of(headless=options.headless, tell=tell)
    return asyncio.run(FleetDemo(options, terminal=terminal).run())


class FleetDemo:
    """One run."""

    def __init__(self, options: FleetOptions, *, terminal: Terminal) -> None:
        self._options = options
        self._terminal = terminal

    async def run(self) -> int:
        """The exit code."""
        stop_on_signals(self._terminal.stop)
        race = await asyncio.to_thread(make_race, self._options)
        self._terminal.say(
            f"{len(race.services)} services on {GPUS} GPUs, {day_clock(0.0)} to "
            f"{day_clock(self._options.replayed_seconds)} of recorded traffic: Foresail beside "
            f"{self._options.peer}"
        )
        if self._options.headless:
            await self._headless(race)
        else:
            await self._on_page(race)
        return 0 if race.is_over else INTERRUPTED_EXIT_CODE

    async def _headless(self, race: Race) -> None:
        with self._progress() as progress:
            while not race.is_over and not self._terminal.stop.is_set():
                await asyncio.to_thread(race.advance, race.now_seconds + 20 * STEP_SECONDS)
                progress.show(race)
        self._finish(race)

    async def _on_page(self, race: Race) -> None:
        pace = Pace(race, speed_ratio=self._options.speed_ratio, clock=self._terminal.clock)
        app = create_fleet_app(lambda: pace.body, allowed_hosts=LOOPBACK_HOSTS)
        port = self._options.port or free_ports(1)[0]
        async with serving(app, host=LOOPBACK, port=port):
            self._terminal.say(f"live page: http://{LOOPBACK}:{port}/")
            with self._progress() as progress:
                await pace.run(stop=self._terminal.stop, on_step=progress.show)
            self._finish(race)
            await self._terminal.stay()

    def _finish(self, race: Race) -> None:
        """Tells it, unless somebody wanted it to end before there was all to tell."""
        if not race.is_over:
            return
        summary = fleet_summary(race)
        self._terminal.tell(summary)
        write_summary(summary, path=self._options.json_path)

    def _progress(self) -> FleetProgress:
        return FleetProgress(
            end_seconds=self._options.replayed_seconds, console=self._terminal.console
        )


class Pace:
    """Lets a race run so many times faster than it was recorded, and no faster."""

    def __init__(self, race: Race, *, speed_ratio: float, clock: Clock) -> None:
        self._race = race
        self._speed_ratio = speed_ratio
        self._clock = clock
        wanted = speed_ratio / LOOKS_PER_SECOND
        self._step_seconds = STEP_SECONDS * max(1, math.ceil(wanted / STEP_SECONDS))
        self.body: FleetBody = fleet_body(race, speed_ratio=speed_ratio)

    async def run(self, *, stop: asyncio.Event, on_step: Callable[[Race], None]) -> None:
        """To the end of the race, or until told to stop. On a machine that cannot keep up: as it can."""
        started = self._clock.monotonic_seconds()
        while not self._race.is_over and not stop.is_set():
            to = self._race.now_seconds + self._step_seconds
            due = started + to / self._speed_ratio
            await self._sleep(due - self._clock.monotonic_seconds(), stop=stop)
            if stop.is_set():
                return
            self.body = await asyncio.to_thread(self._advanced, to)
            on_step(self._race)

    def _advanced(self, to_seconds: float) -> FleetBody:
        self._race.advance(to_seconds)
        return fleet_body(self._race, speed_ratio=self._speed_ratio)

    async def _sleep(self, seconds: float, *, stop: asyncio.Event) -> None:
        """Shorter when told to stop."""
        tasks = [
            asyncio.ensure_future(self._clock.sleep(seconds)),
            asyncio.ensure_future(stop.wait()),
        ]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)


def make_race(options: FleetOptions) -> Race:
    """Everything ready to be advanced."""
    seconds = options.replayed_seconds
    return Race(
        fleet_services(seconds=seconds, seed=options.seed),
        peer=options.peer,
        conditions=SharedConditions(gpus=GPUS, end_seconds=seconds, seed=options.seed),
    )
