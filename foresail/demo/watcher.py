"""Looks at the running demo through its own HTTP interface and keeps the screen up to date.

In: the controller's `/v1/state` and `/v1/decisions`. Out: a live table, or lines when headless. What
it shows is what anybody could read there.
"""

from collections.abc import Mapping
from typing import Any, Final

import aiohttp
from rich.console import Console
from rich.live import Live

from collector.clock import Clock
from foresail.demo.screen import State, change_lines, screen
from foresail.settings import Settings
from foresail.up import controller_url

_INTERVAL_SECONDS: Final = 1.0
_TIMEOUT: Final = aiohttp.ClientTimeout(total=2.0)


class Watcher:
    """A reader of the controller's pages."""

    def __init__(self, settings: Settings, *, console: Console, clock: Clock) -> None:
        self._controller = controller_url(settings)
        self._gateway = settings.gateway.url
        self._console = console
        self._clock = clock

    async def is_ready(self) -> bool:
        """Whether the gateway knows its models and the controller decides."""
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            models = await _read(session, f"{self._gateway}/v1/models")
            decides = await _read(session, f"{self._controller}/readyz")
        return bool(models and models.get("data")) and decides is not None

    async def watch(self, *, total_seconds: float, headless: bool) -> None:
        """Shows what happens until it is cancelled."""
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            if headless:
                await self._lines(session)
            else:
                await self._table(session, total_seconds=total_seconds)

    async def _lines(self, session: aiohttp.ClientSession) -> None:
        said: set[str] = set()
        while True:
            for line in change_lines(await self._changes(session), said=said):
                self._console.print(line, highlight=False, markup=False, soft_wrap=True)
            await self._clock.sleep(_INTERVAL_SECONDS)

    async def _table(self, session: aiohttp.ClientSession, *, total_seconds: float) -> None:
        started = self._clock.monotonic_seconds()
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            while True:
                state = await _read(session, f"{self._controller}/v1/state")
                shown = screen(
                    state,
                    changes=await self._changes(session),
                    elapsed_seconds=self._clock.monotonic_seconds() - started,
                    total_seconds=total_seconds,
                )
                live.update(shown, refresh=True)
                await self._clock.sleep(_INTERVAL_SECONDS)

    async def _changes(self, session: aiohttp.ClientSession) -> list[State]:
        """Decisions to change something, newest first; empty when nobody answers."""
        body = await _read(session, f"{self._controller}/v1/decisions?last=100&changes_only=true")
        decisions = body["decisions"] if body else []
        return [each for each in decisions if each["action"]["kind"] != "hold"]


async def _read(session: aiohttp.ClientSession, url: str) -> Mapping[str, Any] | None:
    """The JSON object there; None when nobody answers with one. Any: a body of `http.bodies`."""
    try:
        async with session.get(url) as answer:
            body = await answer.json(content_type=None) if answer.status == 200 else None
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return None
    return body if isinstance(body, dict) else None
