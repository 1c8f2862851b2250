"""A controller among fakes: a world that shows what it is told, an executor that only remembers.

The catalogue file, the wake socket and the history are real; time moves when a test advances it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import structlog
import yaml
from structlog.testing import LogCapture

from autoscaler.execute import Executor
from autoscaler.execute.overflow import overflow_grants
from autoscaler.metrics import ControllerMetrics
from autoscaler.model.decision import Decision
from autoscaler.model.effect import JournalEntry
from collector.catalogue_file import CatalogueWatch
from collector.clock import VirtualClock
from collector.gateway.settings import GatewaySettings
from collector.gateway.wake import WakeListener
from collector.history.memory import MemoryHistoryStore
from collector.loop import Observer
from collector.model.catalogue import Catalogue
from collector.model.ids import DecisionId
from collector.model.overflow import OverflowGrant
from collector.model.snapshot import Snapshot
from foresail.controller import Controller, ControllerParts
from foresail.metered_journal import MeteredJournal
from foresail.settings import Settings, TickSettings
from support.builders import NOW, UNREAD, fresh, make_snapshot, make_view
from support.desks import catalogue, service
from support.fakes import FakeFence, MemoryJournal

INGEST_SECONDS = 5.0
DECIDE_SECONDS = 15.0


class ShownWorld:
    """An observer: `held` requests at a gateway that started at `gateway_started`."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self.looks = 0
        self.held = 0.0
        self.gateway_started: float | None = 50.0
        self.error: Exception | None = None
        self.resumed_from: float | None = None
        self.clock_set_by_seconds = 0.0  # told by the next look

    def resume(self, snapshot: Snapshot, *, catalogue: Catalogue) -> None:
        self.resumed_from = snapshot.taken_timestamp_seconds

    async def observe(self) -> Snapshot:
        self.looks += 1
        if self.error is not None:
            raise self.error
        now, started = self._clock.timestamp_seconds(), self.gateway_started
        snapshot = make_snapshot(services=(make_view(held=self.held, at=now),), taken_at=now)
        start = UNREAD if started is None else fresh(started, at=now)
        set_by, self.clock_set_by_seconds = self.clock_set_by_seconds, 0.0
        return replace(snapshot, gateway_start_timestamp_seconds=start, clock_set_by_seconds=set_by)


class RememberingExecutor:
    """Takes decisions and does nothing; `takes_routes` is the gateway's answer."""

    def __init__(self, *, takes_routes: bool = True) -> None:
        self.lost_leadership: str | None = None
        self.submitted: list[Decision] = []
        self.publishes = 0
        self.overflows: tuple[OverflowGrant, ...] = ()
        self.takes_routes = takes_routes
        self.may_recover = asyncio.Event()
        self.may_recover.set()
        self.recovered = False

    async def recover(self) -> None:
        await self.may_recover.wait()
        self.recovered = True

    async def submit(self, decision: Decision, *, now: float) -> tuple[JournalEntry, ...]:
        self.submitted.append(decision)
        return ()

    async def open_overflows(
        self, decisions: Sequence[Decision], *, decide_interval_seconds: float
    ) -> None:
        self.overflows = overflow_grants(decisions, decide_interval_seconds=decide_interval_seconds)

    async def publish_routes(self) -> bool:
        self.publishes += 1
        return self.takes_routes


def chat_catalogue(*, mode: str = "active", **options: Any) -> Mapping[str, Any]:
    """One service that nobody has to serve without a request; `options` are those of the desk's."""
    given = {"min_replicas": 0, "command": ["serve", "{port}"], **options}
    return catalogue({"chat": service(**given)}, mode=mode)


@dataclass
class ControlLoop:
    """One controller and everything around it."""

    folder: Path
    content: Mapping[str, Any] = field(default_factory=chat_catalogue)  # of the catalogue
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    fence: FakeFence = field(default_factory=FakeFence)
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(NOW))
    executor: RememberingExecutor = field(default_factory=RememberingExecutor)
    log: LogCapture = field(default_factory=LogCapture)
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.write_catalogue(self.content)
        self.world = ShownWorld(self.clock)
        self.controller = Controller(self._parts())

    @property
    def catalogue_path(self) -> Path:
        return self.folder / "catalogue.yaml"

    @property
    def wake_path(self) -> Path:
        return self.folder / "wake.sock"

    def write_catalogue(self, content: Mapping[str, Any] | str) -> None:
        text = content if isinstance(content, str) else yaml.safe_dump(dict(content))
        self.catalogue_path.write_text(text)

    def start(self) -> "asyncio.Task[None]":
        """Runs the loop; advance the clock to let it do something."""
        run = self.controller.run(
            executor=cast(Executor, self.executor),  # the part of it that the loop uses
            observer=cast(Observer, self.world),  # likewise
            stop=self.stop,
        )
        return asyncio.create_task(run)

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log lines of one event."""
        return [dict(each) for each in self.log.entries if each["event"] == name]

    def metric(self, name: str, **labels: str) -> float | None:
        """One sample of the controller's own series."""
        return self.controller.parts.metrics.registry.get_sample_value(name, labels)

    def recorded(self) -> list[str]:
        """Reasons in the ledger, oldest first."""
        return [each.reason.value for each in self.journal.decisions]

    def carried_out(self) -> list[DecisionId]:
        return [each.decision_id for each in self.executor.submitted]

    def _parts(self) -> ControllerParts:
        settings = Settings(
            catalogue_path=self.catalogue_path,
            gateway=GatewaySettings(state_dir=self.folder),
            ticks=TickSettings(ingest_seconds=INGEST_SECONDS, decide_seconds=DECIDE_SECONDS),
        )
        metrics = ControllerMetrics()
        return ControllerParts(
            settings=settings,
            clock=self.clock,
            catalogue=CatalogueWatch(self.catalogue_path),
            history=MemoryHistoryStore(bin_seconds=15.0, keep_seconds=3600.0),
            journal=MeteredJournal(self.journal, metrics=metrics),
            fence=self.fence,
            wake=WakeListener(self.wake_path),
            metrics=metrics,
            log=structlog.wrap_logger(
                structlog.ReturnLogger(),
                processors=[self.log],
                wrapper_class=structlog.make_filtering_bound_logger(0),
            ),
            state_folder=self.folder / "checkpoint",
        )


@contextlib.asynccontextmanager
async def running(folder: Path, **parts: Any) -> AsyncIterator[ControlLoop]:
    """A loop that has made its first tick; it is ended behind the `async with`."""
    loop = ControlLoop(folder, **parts)
    task = loop.start()
    try:
        await loop.clock.advance(0.0)
        yield loop
    finally:
        loop.stop.set()
        await task
