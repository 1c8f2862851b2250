"""The composition root: the only file that names concrete adapters, and reads no judgement into them.

In: settings. Out: a gateway process, a controller process, each run to its end; or a node agent.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from prometheus_client import CollectorRegistry
from structlog.typing import FilteringBoundLogger

from autoscaler.actuators.dry_run import DryRunRunner
from autoscaler.actuators.gateway_router import GatewayRouter
from autoscaler.actuators.process import ProcessRunner
from autoscaler.errors import LedgerError, StartFailed
from autoscaler.execute import Executor, ExecutorPorts
from autoscaler.fence import ControllerFence
from autoscaler.ledger import Ledger
from autoscaler.metrics import ControllerMetrics
from autoscaler.ports import EngineRunner, Journal
from collector.catalogue_file import CatalogueWatch
from collector.clock import Clock, SystemClock
from collector.contract.loader import load_contracts
from collector.errors import ConfigurationError
from collector.exporter import ObservationCollector
from collector.gateway.admin import ADMIN_SOCKET
from collector.gateway.client import GatewayClient
from collector.gateway.process import run_gateway
from collector.gateway.wake import WAKE_SOCKET, WakeListener
from collector.loop import Observer, ObserverPorts, gateway_target
from collector.model.catalogue import CapacityPrior, Mode, Variant
from collector.model.ids import ReplicaId, ServiceName
from collector.model.reading import fresh_value
from collector.sources.exposition_http import HttpExpositionReader
from collector.sources.proc_memory import ProcessMemoryProbe
from foresail.controller import Controller, ControllerParts
from foresail.http.app import create_app
from foresail.http.server import serving
from foresail.kept_history import keep_tidy, kept_history
from foresail.ledger_watch import LedgerWatch
from foresail.live_view import LiveView
from foresail.logs import configure_logging
from foresail.metered_journal import MeteredJournal
from foresail.settings import Settings
from foresail.supervisor import stop_on_signals

if TYPE_CHECKING:
    from foresail.node_agent import NodeAgent

UPKEEP_INTERVAL_SECONDS = 60.0
LEFT_OVER_SECONDS = 10.0
"""From SIGTERM to SIGKILL for engines that are ended without a catalogue to ask."""

JournalWrapper = Callable[[Journal], Journal]
"""Something between the executor and the ledger; the fault tests put a killer there."""


def run_gateway_process(settings: Settings) -> None:
    """Serves as the gateway until SIGTERM or SIGINT. Raises ConfigurationError and GatewayError."""
    configure_logging(settings.logging)
    log = structlog.get_logger("foresail.gateway")

    def ready(url: str) -> None:
        log.info("gateway_ready", url=url)

    asyncio.run(run_gateway(settings.gateway, clock=SystemClock(), ready=ready))


def run_controller_process(
    settings: Settings, *, stop_engines: bool = False, journal: JournalWrapper | None = None
) -> None:
    """Controls until SIGTERM or SIGINT; then ends the engines too, when `stop_engines`.

    Raises ConfigurationError, CollectorError and AutoscalerError, each in one line.
    """
    configure_logging(settings.logging)
    asyncio.run(_control(settings, stop_engines=stop_engines, journal=journal or (lambda it: it)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Assembled:
    """A controller with everything it works with, open."""

    controller: Controller
    executor: Executor
    observer: Observer
    router: GatewayRouter
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
    async with _assembled(settings, journal=journal) as all_parts, _attended(all_parts):
        try:
            await all_parts.run(stop=stop)
        finally:
            await all_parts.close(stop_engines=stop_engines)


@contextlib.asynccontextmanager
async def _assembled(settings: Settings, *, journal: JournalWrapper) -> AsyncIterator[_Assembled]:
    """All parts, opened; closed again in the opposite order."""
    clock, log = SystemClock(), structlog.get_logger("foresail.controller")
    metrics = ControllerMetrics()
    async with contextlib.AsyncExitStack() as stack:
        fence = stack.enter_context(ControllerFence(settings.state_dir))
        ledger = Ledger(settings.ledger_path, clock=clock, log=log)
        stack.callback(ledger.close)
        controller = Controller(
            ControllerParts(
                settings=settings,
                clock=clock,
                catalogue=CatalogueWatch(settings.catalogue_path),
                history=stack.enter_context(kept_history(settings, log=log)),
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
        executor, memory = _executor(
            controller,
            router=router,
            fence=fence,
            runner=DryRunRunner(runner, is_active=permission.is_active, log=log),
        )
        reader = await stack.enter_async_context(HttpExpositionReader(clock=clock))
        observer = _observer(controller, reader=reader, memory=memory, executor=executor)
        stack.push_async_callback(observer.close)
        yield _Assembled(
            controller=controller,
            executor=executor,
            observer=observer,
            router=router,
            runner=runner,
            permission=permission,
        )


@contextlib.asynccontextmanager
async def _attended(all_parts: _Assembled) -> AsyncIterator[None]:
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
    ):
        yield


async def _upkeep(runner: ProcessRunner, *, clock: Clock) -> None:
    """Keeps engines' logs at a bounded size, until cancelled."""
    while True:
        await clock.sleep(UPKEEP_INTERVAL_SECONDS)
        await asyncio.to_thread(runner.shorten_logs)


def _router(controller: Controller, *, epoch: int) -> GatewayRouter:
    parts = controller.parts
    client = GatewayClient(parts.settings.state_dir)
    return GatewayRouter(client, catalogue=lambda: parts.catalogue.current, epoch=epoch)


def _executor(
    controller: Controller,
    *,
    router: GatewayRouter,
    fence: ControllerFence,
    runner: EngineRunner,
) -> tuple[Executor, ProcessMemoryProbe]:
    """The executor, and the probe of its processes' memory, which need one another."""
    parts = controller.parts
    memory = ProcessMemoryProbe(
        list_processes=lambda: executor.registry.processes(),  # noqa: PLW0108  made two lines below
        list_pools=lambda: parts.catalogue.current.pools,
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


def _observer(
    controller: Controller,
    *,
    reader: HttpExpositionReader,
    memory: ProcessMemoryProbe,
    executor: Executor,
) -> Observer:
    parts = controller.parts
    ports = ObserverPorts(
        reader=reader,
        directory=executor.registry,
        memory_probe=memory,
        history_store=parts.history,
        clock=parts.clock,
        catalogue_source=lambda: parts.catalogue.current,
    )
    gateway = gateway_target(str(parts.settings.state_dir / ADMIN_SOCKET))
    return Observer(ports=ports, contracts=load_contracts(), gateway=gateway)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineMeasurement:
    """One engine of a variant, measured alone."""

    capacity: CapacityPrior
    memory_bytes: int  # after the probe, so that caches are in use


async def measure_engine(
    variant: Variant, *, service: ServiceName, state_dir: Path
) -> EngineMeasurement:
    """Starts one engine, measures it for a few seconds, ends it. Raises StartFailed, StopFailed."""
    runner = ProcessRunner(state_dir=state_dir, base_environment=os.environ)
    replica_id, port = ReplicaId(f"{service}-measured"), runner.free_port()
    base_url = f"http://127.0.0.1:{port}"
    handle = await runner.spawn(replica_id=replica_id, service=service, variant=variant, port=port)
    try:
        await runner.wait_ready(base_url=base_url, handle=handle, variant=variant)
        capacity = await runner.probe(base_url=base_url, variant=variant)
        memory = _memory_of(replica_id, pid=handle.pid)
    finally:
        await runner.end(replica_id=replica_id, timeout_seconds=10.0)
    if capacity is None or memory is None:
        raise StartFailed(f"{service}: the engine answers but cannot be measured; see its log")
    return EngineMeasurement(capacity=capacity, memory_bytes=memory)


def _memory_of(replica_id: ReplicaId, *, pid: int) -> int | None:
    probe = ProcessMemoryProbe(
        list_processes=lambda: ((replica_id, pid),), list_pools=tuple, clock=SystemClock()
    )
    memory = fresh_value(probe.replica_memory_bytes()[replica_id])
    return None if memory is None else int(memory)


async def end_engines(settings: Settings) -> int:
    """Ends every engine of the state directory; how many there were.

    For a box whose controller is gone; drains nothing. A catalogue or a ledger that cannot be used
    keeps no engine running: they are ended without a record. Raises NotLeader while a controller is
    there.
    """
    try:
        return await _end_on_record(settings)
    except (ConfigurationError, LedgerError) as error:
        why = str(error)
    structlog.get_logger("foresail.controller").error("engines_end_without_record", error=why)
    return await end_left_over(settings.state_dir)


def count_engines(state_dir: Path) -> int:
    """Living engines of a state directory."""
    return len(ProcessRunner(state_dir=state_dir, base_environment=os.environ).find_all())


async def end_left_over(state_dir: Path) -> int:
    """Ends the engines of a state directory without a record of it; how many there were.

    For what a killed controller has left. Raises NotLeader while one is there, and StopFailed.
    """
    runner = ProcessRunner(state_dir=state_dir, base_environment=os.environ)
    if not runner.find_all():
        return 0
    with ControllerFence(state_dir):
        found = runner.find_all()
        await asyncio.gather(
            *(runner.end(replica_id=each, timeout_seconds=LEFT_OVER_SECONDS) for each in found)
        )
    return len(found)


async def _end_on_record(settings: Settings) -> int:
    async with _assembled(settings, journal=lambda it: it) as all_parts:
        all_parts.permission.a_person_ends_engines = True
        count = len(all_parts.runner.find_all())  # those that no record tells of are ended, too
        await all_parts.executor.recover()
        await all_parts.close(stop_engines=True, longest_drain_seconds=0.0)
    return count


def node_agent(*, node_name: str | None, with_host_memory: bool) -> "NodeAgent":
    """The agent for this machine, which has its own name unless it is given another."""
    from collector.sources.host_memory import HostMemoryProbe
    from collector.sources.nvml import NvmlDeviceProbe
    from foresail.node_agent import NodeAgent

    clock = SystemClock()
    return NodeAgent(
        devices=NvmlDeviceProbe(clock=clock),
        host_memory=HostMemoryProbe(clock=clock).host_memory if with_host_memory else None,
        node_name=node_name or socket.gethostname(),
        clock=clock,
    )
