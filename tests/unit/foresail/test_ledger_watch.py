"""What the page says of the ledger: a real file, looked at on a virtual clock."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from autoscaler.ledger import Ledger
from autoscaler.metrics import ControllerMetrics
from collector.clock import VirtualClock
from collector.model.ids import DecisionId
from foresail.ledger_watch import READ_INTERVAL_SECONDS, VERIFY_INTERVAL_SECONDS, LedgerWatch
from support.builders import NOW
from support.execution import make_decision, scale_out, silent_log


class RoundClock(VirtualClock):
    """Knows when the watch rests between two rounds."""

    def __init__(self) -> None:
        super().__init__(NOW)
        self._rests = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self._rests.set()
        await super().sleep(seconds)

    async def pass_by(self, seconds: float) -> None:
        """Returns when the watch rests again after that much time."""
        async with asyncio.timeout(10):
            await self._rests.wait()
            self._rests.clear()
            await self.advance(seconds)
            await self._rests.wait()


class Watched:
    """A ledger file, its watch, and the metrics it feeds."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = RoundClock()
        self.metrics = ControllerMetrics()
        self.watch = LedgerWatch(path, clock=self.clock, metrics=self.metrics)

    def ledger(self) -> contextlib.AbstractContextManager[Ledger]:
        return contextlib.closing(Ledger(self.path, clock=self.clock, log=silent_log()))

    @property
    def is_intact(self) -> bool | None:
        return self.watch.summary.is_intact if self.watch.summary else None

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.watch.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def look(self, *, after_seconds: float = READ_INTERVAL_SECONDS) -> None:
        """One more round."""
        await self.clock.pass_by(after_seconds)


@pytest.fixture(name="watched")
def _watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path / "ledger.sqlite")


def append(ledger: Ledger, *, count: int, begin: int = 0) -> None:
    for number in range(begin, begin + count):
        decision = make_decision(scale_out(), decision_id=DecisionId(f"{number:016x}"))
        ledger.append_decision(decision, entries=())


async def test_without_a_file_nothing_is_known(watched: Watched) -> None:
    async with watched.running():
        await watched.look()
        assert watched.watch.summary is None
        assert watched.watch.records == ()


async def test_a_new_ledger_is_found_counted_and_verified(watched: Watched) -> None:
    async with watched.running():
        with watched.ledger() as ledger:
            append(ledger, count=25)
            await watched.look()
            assert watched.is_intact
            summary = watched.watch.summary
            assert summary is not None
            assert summary.record_count == 25
            assert summary.findings == ()
            seqs = [each.seq for each in watched.watch.records]
            assert seqs == list(range(25, 5, -1))
            assert summary.head_hash == watched.watch.records[0].hash.hex()
            name = "foresail_ledger_records_total"
            assert watched.metrics.registry.get_sample_value(name) == 25

            append(ledger, count=1, begin=25)
            await watched.look()
            assert watched.watch.records[0].seq == 26
            assert watched.is_intact


async def test_what_verification_found_outlasts_a_ledger_that_cannot_be_read(
    watched: Watched,
) -> None:
    with watched.ledger() as ledger:
        append(ledger, count=3)
    watched.path.with_suffix(".checkpoint").unlink()
    async with watched.running():
        await watched.look()
        assert watched.is_intact is False
        hidden = watched.path.with_name("hidden")
        watched.path.rename(hidden)
        await watched.look()
        assert watched.watch.summary is None
        hidden.rename(watched.path)
        await watched.look()
        assert watched.is_intact is False
        summary = watched.watch.summary
        assert summary is not None
        assert "a cut tail could not be seen" in summary.findings[0]


async def test_it_is_verified_again_and_again(watched: Watched) -> None:
    with watched.ledger() as ledger:
        append(ledger, count=3)
        async with watched.running():
            await watched.look()
            assert watched.is_intact
            watched.path.with_suffix(".checkpoint").unlink()
            await watched.look()
            assert watched.is_intact
            await watched.look(after_seconds=VERIFY_INTERVAL_SECONDS)
            for _ in range(5):  # the reading thread may take a round or two of virtual time
                if watched.is_intact is not False:
                    await watched.look()
            assert watched.is_intact is False
