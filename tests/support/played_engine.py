"""An engine's admin paths, played from recorded or written answers; it keeps every request it got."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from aiohttp import web

CAPTURES = Path(__file__).parents[1] / "data" / "captures"
JSON = "application/json; charset=utf-8"


class Misdeed(StrEnum):
    """What a path does in place of answering."""

    HANG = "hang"  # never answers
    HANG_MID_BODY = "hang_mid_body"
    CLOSE = "close"
    CUT = "cut"  # closes in the middle of the body it announced
    ENDLESS = "endless"  # streams until nobody listens
    REDIRECT = "redirect"  # to a path that loads a model


@dataclass(frozen=True, kw_only=True)
class Played:
    """One answer."""

    body: bytes
    status: int = 200
    content_type: str = JSON


def recorded(name: str, *, status: int = 200) -> Played:
    """An answer from tests/data/captures."""
    return Played(body=(CAPTURES / name).read_bytes(), status=status)


def written(document: object, *, status: int = 200) -> Played:
    """An answer written by hand."""
    return Played(body=json.dumps(document).encode(), status=status)


@dataclass
class PlayedEngine:
    """A running server; paths without an answer are 404."""

    answers: dict[str, Played | Misdeed] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)  # "GET /path?query"
    url: str = ""

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Any request."""
        self.asked.append(f"{request.method} {request.raw_path}")
        answer = self.answers.get(request.path)
        if answer is None:
            return web.json_response({"detail": "Not Found"}, status=404)
        if isinstance(answer, Misdeed):
            return await _misbehave(request, answer)
        return web.Response(
            body=answer.body, status=answer.status, headers={"Content-Type": answer.content_type}
        )


async def _misbehave(request: web.BaseRequest, misdeed: Misdeed) -> web.StreamResponse:
    assert request.transport is not None
    if misdeed is Misdeed.HANG:
        await asyncio.sleep(3600)
    if misdeed is Misdeed.CLOSE:
        request.transport.close()
        return web.Response()
    if misdeed is Misdeed.REDIRECT:
        return web.Response(status=302, headers={"Location": "/api/generate"})
    response = web.StreamResponse(headers={"Content-Type": JSON})
    if misdeed is Misdeed.CUT:
        response.content_length = 1000
    await response.prepare(request)
    await response.write(b'{"models":[')
    while misdeed is Misdeed.ENDLESS:
        await response.write(b" " * (1 << 16))
    if misdeed is Misdeed.HANG_MID_BODY:
        await asyncio.sleep(3600)
    request.transport.close()
    return response


@contextlib.asynccontextmanager
async def playing(answers: Mapping[str, Played | Misdeed]) -> AsyncIterator[PlayedEngine]:
    """An engine on a free loopback port."""
    engine = PlayedEngine(answers=dict(answers))
    server = web.Server(engine.handle, handler_cancellation=True, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    engine.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield engine
    finally:
        await runner.cleanup()
