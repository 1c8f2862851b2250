"""What every run of the fleet demo has of the terminal: its clock, its lines, and when it is to end.

Made once per run by the commands; the runs speak and wait through it.
"""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from rich.console import Console

from collector.clock import Clock, SystemClock
from foresail.demo.fleet.bodies import FleetSummary

INTERRUPTED_EXIT_CODE = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminal:
    """One run's."""

    tell: Callable[[FleetSummary], None]
    stays_open: bool  # the page is served after the end until somebody stops it
    clock: Clock = field(default_factory=SystemClock)
    console: Console = field(default_factory=lambda: Console(stderr=True))
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    @classmethod
    def of(cls, *, headless: bool, tell: Callable[[FleetSummary], None]) -> "Terminal":
        """Of this process."""
        return cls(tell=tell, stays_open=not headless and sys.stdin.isatty())

    def say(self, line: str) -> None:
        """One line, as it is."""
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)

    async def stay(self) -> None:
        """Returns when somebody has seen enough."""
        if self.stays_open and not self.stop.is_set():
            self.say("the page stays as it is; press Ctrl-C to end")
            await self.stop.wait()
