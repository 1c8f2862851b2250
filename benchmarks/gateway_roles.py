"""The processes that bench_gateway.py measures: an engine, the gateway, and a bare proxy.

    python benchmarks/gateway_roles.py engine SECONDS_PER_TOKEN | gateway STATE_DIR | httpx_proxy URL

Each prints `URL http://…` once it listens and serves until SIGTERM.
"""

import asyncio
import json
import socket
import sys
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from collector.clock import SystemClock
from collector.gateway.process import run_gateway
from collector.gateway.settings import GatewaySettings

TOKENS = 16
PATH = "/v1/chat/completions"
END = b"0\r\n\r\n"


def _chunk(data: bytes) -> bytes:
    event = b"data: " + data + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(event), event)


def _token(number: int) -> bytes:
    choice = {"index": 0, "delta": {"content": f" word{number}"}, "finish_reason": None}
    return _chunk(
        json.dumps(
            {
                "id": "chatcmpl-0123456789abcdef",
                "object": "chat.completion.chunk",
                "created": 1,
                "model": "tiny",
                "choices": [choice],
            }
        ).encode()
    )


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKS = [_token(number) for number in range(TOKENS)]
FINISH = _chunk(b'{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}')
USAGE = _chunk(b'{"choices":[],"usage":{"prompt_tokens":90,"completion_tokens":16}}')
DONE = _chunk(b"[DONE]") + END


class Engine(asyncio.Protocol):
    """As little Python as possible, so that it is not what is measured.

    Answers each request with 16 tokens, one every `token_seconds` after its receipt."""

    def __init__(self, token_seconds: float) -> None:
        self._token_seconds = token_seconds
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, rest = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(rest) >= length:
            self._answer(rest[:length])
            self._received = rest[length:]

    def _answer(self, body: bytes) -> None:
        last = FINISH + (USAGE if b"include_usage" in body else b"") + DONE
        pieces = [HEAD + CHUNKS[0], *CHUNKS[1:], last]
        if self._token_seconds == 0:
            for piece in pieces:
                self._transport.write(piece)
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        for number, piece in enumerate(pieces):
            loop.call_at(now + (number + 1) * self._token_seconds, self._transport.write, piece)


def _announce(url: str) -> None:
    print(f"URL {url}", flush=True)


async def _engine(token_seconds: float) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Engine(token_seconds), "127.0.0.1", 0, backlog=1024)
    _announce(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    await server.serve_forever()


async def _gateway(state_dir: Path) -> None:
    settings = GatewaySettings(state_dir=state_dir, port=0)
    await run_gateway(settings, clock=SystemClock(), ready=_announce)


async def _httpx_proxy(engine_url: str) -> None:
    """The least that a starlette proxy can do: no measuring, no holding, no retry."""
    client = httpx.AsyncClient(
        timeout=None, limits=httpx.Limits(max_connections=None, max_keepalive_connections=None)
    )

    async def forward(request: Request) -> StreamingResponse:
        body = await request.body()
        headers = {"content-type": "application/json"}
        sent = client.build_request("POST", engine_url + PATH, content=body, headers=headers)
        answer = await client.send(sent, stream=True)
        return StreamingResponse(
            answer.aiter_raw(),
            status_code=answer.status_code,
            media_type=answer.headers["content-type"],
        )

    app = Starlette(routes=[Route(PATH, forward, methods=["POST"])])
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="warning", access_log=False, timeout_keep_alive=75
    )
    server = AnnouncingServer(config)
    await server.serve()


class AnnouncingServer(uvicorn.Server):
    """uvicorn that says where it listens."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        _announce(f"http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}")


def main() -> None:
    match sys.argv[1:]:
        case ["engine", token_seconds]:
            asyncio.run(_engine(float(token_seconds)))
        case ["gateway", state_dir]:
            asyncio.run(_gateway(Path(state_dir)))
        case ["httpx_proxy", engine_url]:
            asyncio.run(_httpx_proxy(engine_url))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
