"""The controller process. In: settings. Out: a controller that runs to its end.

Parts are opened in the order of their need and closed in the opposite one.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from functools import partial

import structlog
from prometheus_client import CollectorRegistry
from structlog.typing import FilteringBoundLogger

from autoscaler.actuators.dry_run import DryRunRunner
from autoscaler.actuators.foreign_gateway import ForeignGateway
from autoscaler.actuators.gateway_router import GatewayRouter
from autoscaler.actuators.process import ProcessRunner
from autoscaler.execute import Executor, ExecutorPorts
from autoscaler.fence import ControllerFence
from autoscaler.ledger import Ledger
from autoscaler.metrics import ControllerMetrics
from autoscaler.ports import EngineRunner, Journal
from collector.catalogue_file import CatalogueWatch
from collector.clock import Clock, SystemClock
from collector.contract.loader import load_contracts
from collector.exporter import ObservationCollector
from collector.gateway.admin import ADMIN_SOCKET
from collector.gateway.client import GatewayClient
from collector.gateway.wake import WAKE_SOCKET, WakeListener
from collector.loop import Observer, ObserverPorts, gateway_target
from collector.model.catalogue import Mode
from collector.ports import DeviceProbe, ScrapeTarget
from collector.sources.device_memory import DeviceMemoryProbe
from collector.sources.nvml import NvmlDeviceProbe
from collector.sources.proc_memory import ProcessMemoryProbe
from foresail.controller import Controller, ControllerParts
from foresail.http.app import create_app
from foresail.http.server import serving
from foresail.kept_history import keep_backfilled, keep_tidy, kept_history, kept_past
from foresail.ledger_watch import LedgerWatch
from foresail.live_view import LiveView
from foresail.logs import configure_logging
from foresail.metered_journal import MeteredJournal
from foresail.own_gateway import refuse_unreachable
from foresail.past_days import PastDaysPorts, keep_past_days
from foresail.settings import EngineSource, Settings
from foresail.supervisor import stop_on_signals
from foresail.wiring.prometheus import page_reader, range_reader, tell_late_scrapes

UPKEEP_INTERVAL_SECONDS = 60.0

_Router = GatewayRouter | ForeignGateway
JournalWrapper = Callable[[Journal], Journal]
"""Something between the executor and the ledger; the fault tests put a killer there."""


def run_controller_process(
    settings: Settings, *, stop_engines: bool = False, journal: JournalWrapper | None = None
) -> None:
    """Controls until SIGTERM or SIGINT; then ends the engines too, when `stop_engines`.

    Raises ConfigurationError, CollectorError and AutoscalerError, each in one line.
    """
    configure_logging(settings.logging)
    asyncio.run(_control(settings, stop_engines=stop_engines, journal=journal or (lambda it: it)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """A controller with everything it works with, open."""

    controller: Controller
    executor: Executor
    observer: Observer
    router: _Router
    runner: ProcessRunner
    permission: "_Permission"

    async def run(self, *, stop: asyncio.Event) -> None:
        await self.controller.run(executor=self.executor, observer=self.observer, stop=stop)

    async def close(
        self, *, stop_engines: bool, longest_drain_seconds: float = float("inf")
    ) -> None:
        """Ends all tasks, and the engines when a person asked for it, in a dry run too."""
        self.permission.a_person_ends_engines = stop_engines
        await self.executor.close(
            stop_engines=stop_engines, longest_drain_seconds=longest_drain_seconds
        )


@dataclass(slots=True, kw_only=True)
class _Permission:
    """Whether the actuator may touch the world, whoever calls it: the last line behind governance."""

    catalogue: CatalogueWatch
    a_person_ends_engines: bool = False

    def is_active(self) -> bool:
        mode = self.catalogue.current.authority.mode
        return mode is Mode.ACTIVE or self.a_person_ends_engines


async def _control(settings: Settings, *, stop_engines: bool, journal: JournalWrapper) -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)
    async with assembled(settings, journal=journal) as all_parts, _attended(all_parts):
        try:
            await all_parts.run(stop=stop)
        finally:
            await all_parts.close(stop_engines=stop_engines)


@contextlib.asynccontextmanager
async def assembled(settings: Settings, *, journal: JournalWrapper) -> AsyncIterator[Assembled]:
    """All parts, opened; closed again in the opposite order."""
    clock, log = SystemClock(), structlog.get_logger("foresail.controller")
    metrics = ControllerMetrics()
    async with contextlib.AsyncExitStack() as stack:
        fence = stack.enter_context(ControllerFence(settings.state_dir))
        ledger = Ledger(settings.ledger_path, clock=clock, log=log)
        stack.callback(ledger.close)
        catalogue = CatalogueWatch(
            settings.catalogue_path, check=partial(refuse_unreachable, settings=settings)
        )
        history = kept_history(
            settings,
            catalogue=lambda: catalogue.current,
            open_ranges=lambda: range_reader(settings, clock=clock),
            log=log,
        )
        controller = Controller(
            ControllerParts(
                settings=settings,
                clock=clock,
                catalogue=catalogue,
                history=stack.enter_context(history),
                journal=MeteredJournal(journal(ledger), metrics=metrics),
                fence=fence,
                wake=WakeListener(settings.state_dir / WAKE_SOCKET),
                metrics=metrics,
                log=log,
                state_folder=settings.checkpoint_path,
            )
        )
        router = _router(controller, epoch=fence.epoch)
        permission = _Permission(catalogue=controller.parts.catalogue)
        runner = ProcessRunner(state_dir=settings.state_dir, base_environment=os.environ)
        devices = NvmlDeviceProbe(clock=clock)  # opens nothing before a pool names a device
        stack.push_async_callback(devices.close)
        executor, memory = _executor(
            controller,
            router=router,
            fence=fence,
            runner=DryRunRunner(runner, is_active=permission.is_active, log=log),
            devices=devices,
        )
        observer = await _observer(controller, memory=memory, executor=executor, stack=stack)
        stack.push_async_callback(observer.close)
        yield Assembled(
            controller=controller,
            executor=executor,
            observer=observer,
            router=router,
            runner=runner,
            permission=permission,
        )


@contextlib.asynccontextmanager
async def _attended(all_parts: Assembled) -> AsyncIterator[None]:
    """The page answers and the side work runs inside the `async with`."""
    controller, parts = all_parts.controller, all_parts.controller.parts
    watch = LedgerWatch(parts.settings.ledger_path, clock=parts.clock, metrics=parts.metrics)
    view = LiveView(controller, ledger=watch, routes=all_parts.router)
    clock, log = parts.clock, parts.log
    async with (  # each coroutine is made when its turn comes: the port may be in use
        _served(view, observer=all_parts.observer, controller=controller),
        _running(watch.run(), name="ledger-watch", log=log),
        _running(_upkeep(all_parts.runner, clock=clock), name="upkeep", log=log),
        _running(keep_tidy(parts.history, clock=clock, log=log), name="history-upkeep", log=log),
        _running(_backfill(parts), name="history-backfill", log=log),
        _running(_past_days(controller), name="past-days", log=log),
    ):
        yield


async def _backfill(parts: ControllerParts) -> None:
    """Fetches the past where the history has one elsewhere, until cancelled."""
    await keep_backfilled(
        parts.history,
        catalogue=lambda: parts.catalogue.current,
        clock=parts.clock,
        log=parts.log,
    )


async def _past_days(controller: Controller) -> None:
    """Tells services what history from before the start says of their days, until cancelled."""
    parts = controller.parts
    with kept_past(
        parts.settings,
        history=parts.history,
        catalogue=lambda: parts.catalogue.current,
        open_ranges=lambda: range_reader(parts.settings, clock=parts.clock),
    ) as reader:
        if reader is None:
            return
        await keep_past_days(
            PastDaysPorts(
                reader=reader,
                catalogue=lambda: parts.catalogue.current,
                resumed=controller.take_resumed,
                state=lambda: controller.state,
                tell=controller.on_past_days,
                clock=parts.clock,
                log=parts.log,
            )
        )


async def _upkeep(runner: ProcessRunner, *, clock: Clock) -> None:
    """Keeps engines' logs at a bounded size, until cancelled."""
    while True:
        await clock.sleep(UPKEEP_INTERVAL_SECONDS)
        await asyncio.to_thread(runner.shorten_logs)


def _router(controller: Controller, *, epoch: int) -> _Router:
    parts = controller.parts
    if not parts.settings.has_gateway:
        return ForeignGateway()
    client = GatewayClient(parts.settings.state_dir)
    return GatewayRouter(client, catalogue=lambda: parts.catalogue.current, epoch=epoch)


def _executor(
    controller: Controller,
    *,
    router: _Router,
    fence: ControllerFence,
    runner: EngineRunner,
    devices: DeviceProbe,
) -> tuple[Executor, DeviceMemoryProbe]:
    """The executor, and the probe of its processes' memory, which need one another."""
    parts = controller.parts
    memory = DeviceMemoryProbe(
        devices=devices,
        host=ProcessMemoryProbe(
            list_processes=lambda: executor.registry.processes(),  # noqa: PLW0108  made below
            list_pools=lambda: parts.catalogue.current.pools,
            clock=parts.clock,
        ),
        list_pools=lambda: parts.catalogue.current.pools,
        pool_of=lambda replica_id: executor.registry.pool(replica_id),  # noqa: PLW0108
        clock=parts.clock,
    )
    ports = ExecutorPorts(
        journal=parts.journal,
        runner=runner,
        router=router,
        fence=fence,
        clock=parts.clock,
        memory=memory,
        catalogue=lambda: parts.catalogue.current,
        knowledge=controller.knowledge,
        recheck=controller.recheck.refusal,
        on_event=controller.on_event,
        log=parts.log,
    )
    executor = Executor(ports)
    return executor, memory


async def _observer(
    controller: Controller,
    *,
    memory: DeviceMemoryProbe,
    executor: Executor,
    stack: contextlib.AsyncExitStack,
) -> Observer:
    parts, contracts = controller.parts, load_contracts()
    tell_late_scrapes(parts.settings, catalogue=parts.catalogue.current, log=parts.log)
    reader = page_reader(
        parts.settings,
        clock=parts.clock,
        contracts=contracts,
        catalogue=lambda: parts.catalogue.current,
    )
    pages = await stack.enter_async_context(reader)
    ports = ObserverPorts(
        reader=pages,
        version_reader=pages if parts.settings.sources.engines is EngineSource.DIRECT else None,
        directory=executor.registry,
        memory_probe=memory,
        look_at_devices=memory.look,
        history_store=parts.history,
        clock=parts.clock,
        catalogue_source=lambda: parts.catalogue.current,
    )
    return Observer(ports=ports, contracts=contracts, gateway=_gateway_page(parts.settings))


def _gateway_page(settings: Settings) -> ScrapeTarget | None:
    if not settings.has_gateway:
        return None
    return gateway_target(str(settings.state_dir / ADMIN_SOCKET))


@contextlib.asynccontextmanager
async def _served(
    view: LiveView, *, observer: Observer, controller: Controller
) -> AsyncIterator[None]:
    """The HTTP app answers inside the `async with`."""
    settings, seen = controller.parts.settings, CollectorRegistry()
    seen.register(ObservationCollector(lambda: observer.latest))
    app = create_app(
        view,
        allowed_hosts=settings.controller.allowed_hosts,
        registries=(controller.parts.metrics.registry, seen),
    )
    async with serving(app, host=settings.controller.host, port=settings.controller.port):
        yield


@contextlib.asynccontextmanager
async def _running(
    work: Coroutine[None, None, None], *, name: str, log: FilteringBoundLogger
) -> AsyncIterator[None]:
    """The work runs inside the `async with`; if it fails, that is told and nothing else ends."""

    def tell(task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("side_work_failed", work=name, error=f"{type(error).__name__}: {error}")

    task = asyncio.create_task(work, name=name)
    task.add_done_callback(tell)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
