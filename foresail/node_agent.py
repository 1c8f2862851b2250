"""`foresail collect`: an exporter of this machine's accelerators, memory and engines.

In: a device probe, a host memory reader, a watch on engines, an address. Out: a page of metrics, made
anew for every scrape. It decides nothing, changes nothing and needs no settings file; the controller
need not run.
"""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain

import structlog
from aiohttp import web

from collector.clock import Clock
from collector.device_series import host_families, survey_families
from collector.engine_series import EngineLook, engine_families
from collector.errors import ConfigurationError
from collector.gateway.settings import is_loopback
from collector.metric_page import CONTENT_TYPE, metric_page
from collector.model.device import DeviceSurvey, HostMemory
from collector.model.snapshot import Problem
from collector.ports import DeviceProbe
from foresail.engine_watch import EngineWatch
from foresail.logs import configure_logging
from foresail.settings import LoggingSettings
from foresail.supervisor import stop_on_signals

REUSE_SECONDS = 1.0
"""A look this young answers another scrape: many scrapers must not multiply the driver's work."""
CONNECTION_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenAddress:
    """Where to listen."""

    host: str  # without brackets
    port: int  # 0: any free one

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def listen_address(text: str, *, allow_insecure: bool) -> ListenAddress:
    """The address of `host:port` or `[v6]:port`. Raises ConfigurationError."""
    host, separator, port = text.rpartition(":")
    name = host.removeprefix("[").removesuffix("]")
    is_bare_v6 = ":" in host and not (host.startswith("[") and host.endswith("]"))
    if not separator or not name or is_bare_v6 or not port.isdecimal() or int(port) > 65535:
        raise ConfigurationError(
            f"--listen must be host:port with a port up to 65535, such as 127.0.0.1:9400, got {text!r}"
        )
    if not (is_loopback(name) or allow_insecure):
        raise ConfigurationError(
            f"refusing to listen on {name}: the page is plain http without a password, so whoever "
            "reaches the port reads it; add --allow-insecure-listen where that is wanted"
        )
    return ListenAddress(host=name, port=int(port))


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLook:
    """One look at this machine."""

    page: str
    survey: DeviceSurvey
    engines: tuple[EngineLook, ...] = ()

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What could not be read, of accelerators and engines."""
        of_engines = (problem for each in self.engines for problem in each.state.problems)
        return (*self.survey.problems, *of_engines)


class NodeAgent:
    """Looks at the machine, at most once per second."""

    def __init__(
        self,
        *,
        devices: DeviceProbe,
        host_memory: Callable[[], HostMemory] | None,
        node_name: str,
        clock: Clock,
        engines: EngineWatch | None = None,
    ) -> None:
        """`host_memory` None: the page has none, because a node_exporter tells it already."""
        self._engines = engines
        self._devices = devices
        self._host_memory = host_memory
        self._node_name = node_name
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()
        self._latest: NodeLook | None = None
        self._latest_monotonic_seconds = 0.0

    async def look(self) -> NodeLook:
        """The machine now. Raises nothing for what the driver or an engine does."""
        async with self._one_at_a_time:
            now = self._clock.monotonic_seconds()
            if self._latest is None or now - self._latest_monotonic_seconds >= REUSE_SECONDS:
                self._latest = await self._look()
                self._latest_monotonic_seconds = self._clock.monotonic_seconds()
            return self._latest

    async def close(self) -> None:
        """Lets go of the device library and of the connections to engines."""
        await self._devices.close()
        if self._engines is not None:
            await self._engines.close()

    async def _look(self) -> NodeLook:
        survey, engines = await asyncio.gather(
            self._devices.read_devices(), self._look_at_engines()
        )
        host = host_families(self._host_memory()) if self._host_memory else ()
        families = chain(
            survey_families(survey, hostname=self._node_name), host, engine_families(engines)
        )
        return NodeLook(page=metric_page(families), survey=survey, engines=engines)

    async def _look_at_engines(self) -> tuple[EngineLook, ...]:
        return await self._engines.look() if self._engines is not None else ()


def node_application(agent: NodeAgent) -> web.Application:
    """Answers `/metrics`, and `/healthz` without asking the driver."""

    async def metrics(_request: web.Request) -> web.Response:
        look = await agent.look()
        return web.Response(body=look.page.encode(), headers={"Content-Type": CONTENT_TYPE})

    async def healthz(_request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def front(_request: web.Request) -> web.Response:
        return web.Response(text="foresail collect: metrics are at /metrics\n")

    app = web.Application()
    app.router.add_get("/", front)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", healthz)
    return app


def run_node_agent(agent: NodeAgent, *, address: ListenAddress) -> None:
    """Serves the page until SIGTERM or SIGINT. Raises ConfigurationError when the port is taken."""
    configure_logging(LoggingSettings())
    asyncio.run(_serve(agent, address=address))


async def read_node_once(agent: NodeAgent) -> NodeLook:
    """One look, after which everything is let go."""
    try:
        return await agent.look()
    finally:
        await agent.close()


async def _serve(agent: NodeAgent, *, address: ListenAddress) -> None:
    stop, log = asyncio.Event(), structlog.get_logger("foresail.node_agent")
    stop_on_signals(stop)
    listener = _listener(address)
    runner = web.AppRunner(
        node_application(agent),
        access_log=None,
        keepalive_timeout=CONNECTION_TIMEOUT_SECONDS,
        shutdown_timeout=1.0,
    )
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        bound = ListenAddress(host=address.host, port=listener.getsockname()[1])
        log.info("node_agent_ready", url=f"http://{bound}/metrics")
        await stop.wait()
    finally:
        await runner.cleanup()
        listener.close()
        await agent.close()


def _listener(address: ListenAddress) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family, backlog=64)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {address}: {error.strerror or error}; stop what uses it (DCGM's "
            "exporter has the same port 9400) or choose another one with --listen"
        ) from error
