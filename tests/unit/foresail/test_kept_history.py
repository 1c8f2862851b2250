"""The upkeep of a history whose past is elsewhere: tried until it works, and again for new services."""

import asyncio
import contextlib

import structlog
from structlog.testing import LogCapture

from collector.clock import VirtualClock
from collector.history.backfilled import BackfilledHistory
from collector.history.memory import MemoryHistoryStore
from collector.history.prometheus import GatewayScrapes
from collector.model.history import Resolution
from collector.ports import RangeAnswer
from foresail.kept_history import keep_backfilled
from support.builders import make_catalogue, make_service


class Ranges:
    """Knows nothing, or fails with `error`."""

    error: str | None = None
    rounds = 0

    def read_range(self, expression: str, **_: float) -> RangeAnswer:
        self.rounds += 1
        return RangeAnswer(series=(), errors=(self.error,) if self.error else ())


class Kept:
    """A history and its upkeep under a virtual clock."""

    def __init__(self) -> None:
        self.clock, self.ranges = VirtualClock(1_700_000_000.0), Ranges()
        self.catalogue = make_catalogue(make_service("chat"))
        self.log = LogCapture()
        self.history = BackfilledHistory(
            self.ranges,
            resolutions=(Resolution(bin_seconds=15.0, keep_seconds=600.0),),
            scraped=GatewayScrapes(interval_seconds=5.0),
            catalogue=lambda: self.catalogue,
            report=lambda _: None,
        )

    @contextlib.asynccontextmanager
    async def running(self):
        log = structlog.wrap_logger(
            structlog.ReturnLogger(),
            processors=[self.log],
            wrapper_class=structlog.make_filtering_bound_logger(0),
        )
        work = keep_backfilled(
            self.history, catalogue=lambda: self.catalogue, clock=self.clock, log=log
        )
        task = asyncio.create_task(work)
        try:
            await self.reaches(rounds=1)
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def reaches(self, *, rounds: int) -> None:
        """Returns once Prometheus was asked that often."""
        await self.until(lambda: self.ranges.rounds >= rounds)

    async def until(self, condition) -> None:
        """Lets virtual time pass until the condition holds; fails after five real seconds."""
        async with asyncio.timeout(5):
            while not condition():
                await self.clock.advance(1.0)
                await asyncio.sleep(0.001)

    @property
    def told(self) -> list[str]:
        return [each.get("error", each["event"]) for each in self.log.entries]


async def test_what_cannot_be_read_is_told_once_and_tried_again():
    kept = Kept()
    kept.ranges.error = "down"
    async with kept.running():
        await kept.reaches(rounds=3)
        assert kept.told == ["down"]
        kept.ranges.error = None
        await kept.until(lambda: kept.told == ["down", "history_backfilled"])


async def test_a_past_that_was_read_is_read_again_for_new_services_only():
    kept = Kept()
    async with kept.running():
        await kept.until(lambda: len(kept.told) == 1)
        await kept.clock.advance(60.0)
        assert kept.ranges.rounds == 1
        kept.catalogue = make_catalogue(make_service("chat"), make_service("code"))
        await kept.until(lambda: len(kept.told) == 2)
        await kept.clock.advance(60.0)
        assert kept.ranges.rounds == 2


async def test_another_history_needs_none():
    store = MemoryHistoryStore(bin_seconds=15.0, keep_seconds=600.0)
    log = structlog.wrap_logger(None, processors=[LogCapture()])
    await keep_backfilled(store, catalogue=make_catalogue, clock=VirtualClock(0.0), log=log)
