"""`foresail demo --fleet --live`: the fleet for some minutes at the speed it was recorded.

In: options, a clock, what to do with the summary. Out: an exit code; a work folder with gateway, controller
and emulated engines, real HTTP traffic through them, a page on loopback, a file if asked for. Leaves no
process behind, however it ends; the folder goes too, unless it is to be kept.
"""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Final

from autoscaler.ledger import verify_ledger
from collector.gateway.settings import LOOPBACK_HOSTS
from foresail.demo.completion import Endpoint
from foresail.demo.fleet.app import create_fleet_app
from foresail.demo.fleet.bodies import FleetSummary
from foresail.demo.fleet.live.options import LiveOptions, check_live_options
from foresail.demo.fleet.live.plan import live_requests, live_services
from foresail.demo.fleet.live.report import live_summary
from foresail.demo.fleet.live.show import Show
from foresail.demo.fleet.live.stage import Stage, unless_stopped
from foresail.demo.fleet.live.verdict import problems
from foresail.demo.fleet.live.workshop import (
    CONTROL,
    START_SECONDS,
    min_replicas,
    write_catalogue,
    write_settings,
)
from foresail.demo.fleet.progress import FleetProgress
from foresail.demo.fleet.services import GPUS, SERVICES
from foresail.demo.fleet.summary_file import write_summary
from foresail.demo.fleet.table import move_line
from foresail.demo.fleet.terminal import INTERRUPTED_EXIT_CODE, Terminal
from foresail.demo.options import LOOPBACK, free_ports
from foresail.demo.trace import PlannedRequest
from foresail.http.server import serving
from foresail.settings import Settings, read_settings
from foresail.supervisor import stop_on_signals
from foresail.up import controller_url

REQUEST_TIMEOUT_SECONDS: Final = 180.0
"""More than a request may be held and its answer take after that."""
CHARACTERS_PER_TOKEN: Final = 4
"""What emulated engines take for a token of a prompt."""


def run_live_demo(options: LiveOptions, *, tell: Callable[[FleetSummary], None]) -> int:
    """0 when requests were served and none was lost, 1 else, 130 when interrupted before the end.

    Raises ConfigurationError for options that cannot work, before anything is started.
    """
    check_live_options(options)
    terminal = Terminal.of(headless=options.headless, tell=tell)
    return asyncio.run(LiveDemo(options, terminal=terminal).run())


class LiveDemo:
    """One run."""

    def __init__(self, options: LiveOptions, *, terminal: Terminal) -> None:
        self._options = options
        self._terminal = terminal

    async def run(self) -> int:
        """The exit code."""
        stop_on_signals(self._terminal.stop)
        with self._folder() as folder:
            requests = await asyncio.to_thread(
                live_requests,
                duration_seconds=self._options.duration_seconds,
                seed=self._options.seed,
            )
            settings = self._written(folder)
            async with contextlib.AsyncExitStack() as page:
                return await self._play(settings, requests, page=page)

    async def _play(
        self,
        settings: Settings,
        requests: tuple[PlannedRequest, ...],
        *,
        page: contextlib.AsyncExitStack,
    ) -> int:
        """Engines end before the page does."""
        stage = Stage(settings, clock=self._terminal.clock, say=self._terminal.say)
        async with stage.running() as supervisor:
            self._announce(requests)
            least = {each.name: min_replicas(each) for each in SERVICES}
            ready = asyncio.create_task(stage.ready(supervisor, replicas=least))
            if not await unless_stopped(ready, stop=self._terminal.stop):
                return INTERRUPTED_EXIT_CODE
            show = self._show(stage)
            if not self._options.headless:
                await page.enter_async_context(self._page(show))
            self._terminal.say(
                f"endpoint: {settings.gateway.url}/v1   controller: {controller_url(settings)}"
            )
            await self._traffic(show, requests, endpoint=_endpoint(settings))
        if self._terminal.stop.is_set():
            return INTERRUPTED_EXIT_CODE
        return await self._finish(show, settings=settings, left_engines=stage.left_engines)

    async def _traffic(
        self, show: Show, requests: tuple[PlannedRequest, ...], *, endpoint: Endpoint
    ) -> None:
        bar = FleetProgress(
            end_seconds=self._options.duration_seconds, console=self._terminal.console
        )
        with bar:

            def tell(looked: Show) -> None:
                for move in looked.new_moves():
                    self._terminal.say(
                        move_line(move, start_seconds=looked.body.start_of_day_seconds)
                    )
                words = f"{looked.body.sides[0].gpus_in_use} of {GPUS} GPUs in use"
                bar.update(at_seconds=looked.now_seconds, words=words)

            await show.run(requests, endpoint=endpoint, stop=self._terminal.stop, on_look=tell)

    async def _finish(self, show: Show, *, settings: Settings, left_engines: int) -> int:
        summary = live_summary(show.result)
        self._terminal.tell(summary)
        write_summary(summary, path=self._options.json_path)
        found = problems(
            summary,
            failures=show.result.tally.failures,
            left_engines=left_engines,
            is_ledger_intact=verify_ledger(settings.ledger_path).is_intact,
        )
        for line in found:
            self._terminal.say(f"foresail: demo: {line}")
        await self._terminal.stay()
        return 1 if found else 0

    def _announce(self, requests: tuple[PlannedRequest, ...]) -> None:
        self._terminal.say(
            f"{len(SERVICES)} services on {GPUS} emulated GPUs: {len(requests)} requests in "
            f"{self._options.minutes:g} min, as fast as recorded; no peer runs beside"
        )
        self._terminal.say(
            "mode: active, with short windows for a short run: "
            + ", ".join(f"{name} {value}" for name, value in CONTROL.items())
        )
        self._terminal.say(
            f"starting the engines that always run; each takes {START_SECONDS:g} s, then it is probed"
        )

    @contextlib.asynccontextmanager
    async def _page(self, show: Show) -> AsyncIterator[None]:
        app = create_fleet_app(lambda: show.body, allowed_hosts=LOOPBACK_HOSTS)
        port = self._options.port or free_ports(1)[0]
        async with serving(app, host=LOOPBACK, port=port):
            self._terminal.say(f"live page: http://{LOOPBACK}:{port}/")
            yield

    def _show(self, stage: Stage) -> Show:
        return Show(
            live_services(),
            controller=stage,
            clock=self._terminal.clock,
            end_seconds=self._options.duration_seconds,
            seed=self._options.seed,
        )

    @contextlib.contextmanager
    def _folder(self) -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp(prefix="foresail-fleet-"))
        try:
            yield folder
        finally:
            if self._options.keep:
                self._terminal.say(f"kept: {folder}")
            else:
                shutil.rmtree(folder, ignore_errors=True)

    def _written(self, folder: Path) -> Settings:
        ports = free_ports(2)
        path = write_settings(folder, gateway_port=ports[0], controller_port=ports[1])
        write_catalogue(folder)
        return read_settings(path, {})


def _endpoint(settings: Settings) -> Endpoint:
    return Endpoint(
        url=settings.gateway.url,
        timeout_seconds=REQUEST_TIMEOUT_SECONDS,
        characters_per_token=CHARACTERS_PER_TOKEN,
    )
