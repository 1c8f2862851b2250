"""The gateway process: puts the parts together, serves, and ends in order.

`run_gateway` is what the process runs; `open_gateway` is the same without signals.
"""

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import structlog
from aiohttp import web

from collector.clock import Clock
from collector.errors import ConfigurationError, GatewayError
from collector.gateway.admin import ADMIN_SOCKET, MAX_TABLE_BYTES, Admin, AdminParts, admin_socket
from collector.gateway.books import Books
from collector.gateway.dispatch import Dispatcher
from collector.gateway.exposition import render
from collector.gateway.front import Front, FrontParts
from collector.gateway.http_server import Handle, HttpServer
from collector.gateway.keys import read_keys
from collector.gateway.proxy import Proxy
from collector.gateway.routes_file import read_routes
from collector.gateway.settings import GatewaySettings, tls_context
from collector.gateway.status import GatewayStatus, gateway_status
from collector.gateway.upstream import Upstreams
from collector.gateway.wake import WAKE_SOCKET, WakeSender

_DRAIN_POLL_SECONDS = 0.05
_CUT_SECONDS = 0.2  # for handlers that are cancelled at the end of the drain
_LISTEN_BACKLOG = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A running gateway."""

    url: str  # of the public port
    books: Books
    dispatcher: Dispatcher


@dataclass(slots=True, kw_only=True)
class _Core:
    """What both sides of the gateway share."""

    settings: GatewaySettings
    clock: Clock
    books: Books
    dispatcher: Dispatcher
    start_timestamp_seconds: float

    def metrics_page(self) -> bytes:
        table = self.dispatcher.table
        return render(
            self.books,
            replicas=self.dispatcher.routed_replicas(),
            open_overflows=self.dispatcher.open_overflows(),
            routes_version=None if table is None else table.version,
            start_timestamp_seconds=self.start_timestamp_seconds,
            now_monotonic_seconds=self.clock.monotonic_seconds(),
        )

    def status(self) -> GatewayStatus:
        return gateway_status(
            self.books,
            table=self.dispatcher.table,
            is_stopping=self.dispatcher.is_stopping,
            start_timestamp_seconds=self.start_timestamp_seconds,
            now_monotonic_seconds=self.clock.monotonic_seconds(),
        )


async def run_gateway(
    settings: GatewaySettings, *, clock: Clock, ready: Callable[[str], None]
) -> None:
    """Serves until SIGTERM or SIGINT; `ready` is called with the URL once it listens.

    Raises ConfigurationError and GatewayError, each in one line, if it cannot start.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    try:
        async with open_gateway(settings, clock=clock) as gateway:
            ready(gateway.url)
            await stop.wait()
    finally:
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(each)


@contextlib.asynccontextmanager
async def open_gateway(settings: GatewaySettings, *, clock: Clock) -> AsyncIterator[Gateway]:
    """A gateway that serves inside the `async with` and drains at its end."""
    log = structlog.get_logger("foresail.gateway")
    _prepare_state_dir(settings)
    async with contextlib.AsyncExitStack() as stack:
        sender = WakeSender(settings.state_dir / WAKE_SOCKET)
        stack.callback(sender.close)
        books = Books(edges=settings.latency_edges_seconds)
        core = _Core(
            settings=settings,
            clock=clock,
            books=books,
            dispatcher=Dispatcher(clock=clock, books=books, wake=sender.send),
            start_timestamp_seconds=clock.timestamp_seconds(),
        )
        _load_routes(core, log)
        upstreams = await stack.enter_async_context(Upstreams(settings))
        await stack.enter_async_context(_admin_side(core))
        url = await stack.enter_async_context(_public_side(core, upstreams))
        log.info("gateway_started", url=url)
        yield Gateway(url=url, books=core.books, dispatcher=core.dispatcher)
        log.info("gateway_stopping", in_flight_requests=_in_flight(core))


def _prepare_state_dir(settings: GatewaySettings) -> None:
    try:
        settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"state_dir {settings.state_dir} cannot be made: {error.strerror}"
        ) from error


def _load_routes(core: _Core, log: structlog.stdlib.BoundLogger) -> None:
    try:
        table = read_routes(core.settings.state_dir)
    except GatewayError as error:
        log.warning("routes_not_loaded", error=str(error))
        return
    if table is not None:
        core.dispatcher.apply(table.without_overflows())


@contextlib.asynccontextmanager
async def _admin_side(core: _Core) -> AsyncIterator[None]:
    path = core.settings.state_dir / ADMIN_SOCKET
    listener = admin_socket(path)
    parts = AdminParts(
        state_dir=core.settings.state_dir,
        dispatcher=core.dispatcher,
        status=core.status,
        metrics_page=core.metrics_page,
    )
    server = _server(core, Admin(parts).handle, max_body_bytes=MAX_TABLE_BYTES)
    runner = web.ServerRunner(server, shutdown_timeout=_CUT_SECONDS)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        yield
    finally:
        await runner.cleanup()
        path.unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def _public_side(core: _Core, upstreams: Upstreams) -> AsyncIterator[str]:
    settings = core.settings
    context = tls_context(settings)
    front = Front(_front_parts(core, upstreams))
    server = _server(core, front.handle, max_body_bytes=settings.max_body_bytes)
    runner = web.ServerRunner(server, shutdown_timeout=_CUT_SECONDS)
    await runner.setup()
    site = web.SockSite(
        runner, _public_socket(settings), ssl_context=context, backlog=_LISTEN_BACKLOG
    )
    try:
        await site.start()
        yield site.name
        await site.stop()
        server.pre_shutdown()
        await core.dispatcher.stop()
        await _wait_idle(core)
    finally:
        await core.dispatcher.stop()
        await runner.cleanup()


def _front_parts(core: _Core, upstreams: Upstreams) -> FrontParts:
    keys_file = core.settings.keys_file
    return FrontParts(
        settings=core.settings,
        clock=core.clock,
        books=core.books,
        dispatcher=core.dispatcher,
        proxy=Proxy(
            clock=core.clock,
            dispatcher=core.dispatcher,
            upstreams=upstreams,
            write_timeout_seconds=core.settings.write_timeout_seconds,
        ),
        keys=None if keys_file is None else read_keys(keys_file),
        metrics_page=core.metrics_page,
        start_timestamp_seconds=core.start_timestamp_seconds,
    )


def _server(core: _Core, handle: Handle, *, max_body_bytes: int) -> HttpServer:
    return HttpServer(
        handle,
        count=core.books.reject,
        max_body_bytes=max_body_bytes,
        max_header_bytes=core.settings.max_header_bytes,
        idle_timeout_seconds=core.settings.idle_timeout_seconds,
    )


def _public_socket(settings: GatewaySettings) -> socket.socket:
    host, port = settings.host.strip("[]"), settings.port
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=_LISTEN_BACKLOG)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {settings.host} port {port}: {error.strerror}; end the process that "
            "uses it or set another port"
        ) from error


def _in_flight(core: _Core) -> int:
    return sum(book.in_flight_requests for book in core.books.services.values())


async def _wait_idle(core: _Core) -> None:
    deadline = core.clock.monotonic_seconds() + core.settings.drain_timeout_seconds
    while _in_flight(core) and core.clock.monotonic_seconds() < deadline:
        await core.clock.sleep(_DRAIN_POLL_SECONDS)
