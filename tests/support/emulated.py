"""Emulated engines for tests, in this process on free loopback ports."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp

from collector.clock import SystemClock
from foresail.emulate.performance import read_row
from foresail.emulate.process import serving
from foresail.emulate.server import Server
from foresail.emulate.settings import EngineSettings

ROW = "qwen3-1.7b-l40s-tp1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Emulated:
    """A running engine and a client session."""

    server: Server
    url: str
    session: aiohttp.ClientSession

    async def get(self, path: str) -> tuple[int, str]:
        """Status and text."""
        async with self.session.get(self.url + path) as answer:
            return answer.status, await answer.text()

    async def post(self, path: str, body: object = None) -> tuple[int, Any]:
        """Status and JSON."""
        async with self.session.post(self.url + path, json=body) as answer:
            return answer.status, await answer.json()

    async def stream(self, body: dict[str, object]) -> tuple[int, str]:
        """Status and all events of a streamed completion."""
        asked = {"stream": True, **body}
        async with self.session.post(f"{self.url}/v1/completions", json=asked) as answer:
            return answer.status, await answer.text()


def settings(**chosen: Any) -> EngineSettings:
    """A small quick model that serves as `tiny`, with everything switched on."""
    defaults: dict[str, Any] = {
        "row": read_row(ROW),
        "model_name": "tiny",
        "max_model_tokens": 1024,
        "has_dev_mode": True,
        "tracks_server_load": True,
        "takes_faults": True,
        "speed": 20.0,
    }
    return EngineSettings(**defaults | chosen)


@contextlib.asynccontextmanager
async def emulated(**chosen: Any) -> AsyncIterator[Emulated]:
    """An engine on a free port."""
    timeout = aiohttp.ClientTimeout(total=20)
    async with (
        serving(settings(**chosen), host="127.0.0.1", port=0, clock=SystemClock()) as listening,
        aiohttp.ClientSession(timeout=timeout) as session,
    ):
        yield Emulated(server=listening.server, url=listening.url, session=session)
