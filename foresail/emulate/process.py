"""The process of emulated engines: ports, start, signals and end.

In: settings and ports. Out: an exit code. An engine listens only once it has loaded, as vLLM does.
SIGTERM aborts what is in flight at once unless --shutdown-timeout allows it to be finished.
"""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass

from aiohttp import web

from collector.clock import Clock, SystemClock
from collector.errors import ConfigurationError
from foresail.emulate.engine import EmulatedEngine, moving
from foresail.emulate.gpu import GpuPage
from foresail.emulate.http_metrics import HttpMetrics
from foresail.emulate.routes import application
from foresail.emulate.server import ENGINE_DEAD, Server
from foresail.emulate.settings import EngineSettings

_ANSWERING_SECONDS = 0.5  # for answers that were just ended with an error to reach their clients
_CRASHED = 1
_LAST_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the process runs."""

    settings: EngineSettings  # of every engine
    host: str
    ports: Sequence[int]  # one per engine; 0: a free one
    gpu_port: int | None  # None: no page of accelerators


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """An engine that serves."""

    server: Server
    url: str


def consecutive_ports(first: int, *, count: int) -> tuple[int, ...]:
    """`count` ports from `first` on; all 0 if that is 0. Raises ConfigurationError past the last."""
    if first == 0:
        return (0,) * count
    if first + count - 1 > _LAST_PORT:
        raise ConfigurationError(
            f"--port {first} and --count {count} end above {_LAST_PORT}; give less"
        )
    return tuple(range(first, first + count))


def run_until_stopped(plan: Plan, *, say: Callable[[str], None]) -> int:
    """The exit code of the process."""
    return asyncio.run(run_engines(plan, clock=SystemClock(), say=say))


async def run_engines(plan: Plan, *, clock: Clock, say: Callable[[str], None]) -> int:
    """Serves until SIGTERM or SIGINT (0), or until the last engine has crashed (1)."""
    settings, host = plan.settings, plan.host
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if await _ended_early(stop, clock=clock, seconds=settings.start_seconds / settings.speed):
        return 0
    async with contextlib.AsyncExitStack() as stack:
        engines = []
        for port in plan.ports:
            listening = await stack.enter_async_context(
                serving(settings, host=host, port=port, clock=clock)
            )
            engines.append(listening)
            say(f"{settings.row.name} serves {settings.model_name} at {listening.url}")
        if plan.gpu_port is not None:
            page = GpuPage(engines=[each.server.engine for each in engines], hostname=host)
            url = await stack.enter_async_context(
                _gpu_exporter(page, host=host, port=plan.gpu_port)
            )
            say(f"accelerators at {url}/metrics")
        servers = [each.server for each in engines]
        if not await _until_stopped(stop, servers=servers):
            return _CRASHED
        await asyncio.gather(*(_shut_down(server) for server in servers))
    return 0


@contextlib.asynccontextmanager
async def serving(
    settings: EngineSettings, *, host: str, port: int, clock: Clock
) -> AsyncIterator[Listening]:
    """One engine on a port (0: a free one). Raises ConfigurationError when the port is taken."""
    engine = EmulatedEngine(settings, clock=clock)
    http = HttpMetrics(now_timestamp_seconds=clock.timestamp_seconds())
    server = Server(engine=engine, clock=clock, http=http)
    async with moving(engine), _listening(application(server), host=host, port=port) as runner:
        vanishing = asyncio.create_task(_vanish_when_told(server, runner))
        try:
            yield Listening(server=server, url=f"http://{host}:{runner.addresses[0][1]}")
        finally:
            vanishing.cancel()
            await asyncio.gather(vanishing, return_exceptions=True)


@contextlib.asynccontextmanager
async def _listening(app: web.Application, *, host: str, port: int) -> AsyncIterator[web.AppRunner]:
    runner = web.AppRunner(
        app, access_log=None, handler_cancellation=True, shutdown_timeout=_ANSWERING_SECONDS
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except (OSError, socket.gaierror) as error:
            raise ConfigurationError(
                f"cannot listen on {host}:{port}: {error.strerror}; give another --port"
            ) from error
        yield runner
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def _gpu_exporter(page: GpuPage, *, host: str, port: int) -> AsyncIterator[str]:
    async def metrics(_: web.Request) -> web.Response:
        return web.Response(text=page.text())

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    async with _listening(app, host=host, port=port) as runner:
        yield f"http://{host}:{runner.addresses[0][1]}"


async def _vanish_when_told(server: Server, runner: web.AppRunner) -> None:
    """A crash: the port closes and connections are cut, without a word to their clients."""
    await server.gone.wait()
    for site in list(runner.sites):
        await site.stop()
    if server.engine.failure is not None:
        await asyncio.sleep(_ANSWERING_SECONDS)  # errors that end requests still arrive
    if runner.server is not None:
        for connection in list(runner.server.connections):
            if connection.transport is not None:
                connection.transport.abort()


async def _until_stopped(stop: asyncio.Event, *, servers: Sequence[Server]) -> bool:
    """Whether a signal came; False when all engines are gone."""

    async def all_gone() -> bool:
        return all([await server.gone.wait() for server in servers])

    tasks = {asyncio.create_task(all_gone()), asyncio.create_task(stop.wait())}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set() and any(server.engine.failure for server in servers):
            await asyncio.sleep(_ANSWERING_SECONDS)
        return stop.is_set()
    finally:
        await _cancel(tasks)


async def _shut_down(server: Server) -> None:
    server.is_draining = True
    limit = server.engine.settings.shutdown_timeout_seconds
    if limit > 0:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.engine.drained(), limit)
    server.engine.fail(ENGINE_DEAD)


async def _ended_early(stop: asyncio.Event, *, clock: Clock, seconds: float) -> bool:
    """Loading; whether a signal came meanwhile."""

    async def load() -> bool:
        await clock.sleep(seconds)
        return True

    tasks = {asyncio.create_task(load()), asyncio.create_task(stop.wait())}
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    await _cancel(tasks)
    return stop.is_set()


async def _cancel(tasks: Iterable[asyncio.Future[bool]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
