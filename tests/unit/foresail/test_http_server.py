"""The HTTP server around the app: where it listens, and that it ends when it is told to."""

import asyncio
import signal
import socket
import threading

import aiohttp
import pytest
from fastapi import FastAPI, Response
from starlette.types import Receive, Scope, Send

from collector.errors import ConfigurationError
from foresail.http.server import END_TIMEOUT_SECONDS, serving
from support.engines import free_port


def app_with(path: str = "/", *, answer: str = "hello") -> FastAPI:
    app = FastAPI()

    @app.get(path)
    async def root() -> Response:
        return Response(answer)

    return app


async def read(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(url) as found:
        return await found.text()


@pytest.mark.parametrize(
    ("host", "in_url"),
    [
        pytest.param("127.0.0.1", "127.0.0.1", id="IPv4"),
        pytest.param("::1", "[::1]", id="IPv6"),
        pytest.param("localhost", "127.0.0.1", id="by name"),
    ],
)
async def test_the_app_answers_inside_and_the_port_is_free_afterwards(
    host: str, in_url: str
) -> None:
    if host == "::1" and not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    port = free_port()
    for _ in range(2):
        async with serving(app_with(), host=host, port=port):
            assert await read(f"http://{in_url}:{port}/") == "hello"
    with pytest.raises(aiohttp.ClientConnectionError):
        await read(f"http://{in_url}:{port}/")


async def test_a_port_in_use_is_one_line_that_says_what_to_change() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError) as error:
            async with serving(app_with(), host="127.0.0.1", port=port):
                raise AssertionError("it must not begin")
    assert str(error.value) == (
        f"controller: cannot listen on 127.0.0.1:{port}: Address already in use; stop what uses it, "
        "or set controller.port in foresail.yaml to another one"
    )


async def test_an_address_of_another_machine_is_one_line() -> None:
    with pytest.raises(ConfigurationError, match=r"cannot listen on 192\.0\.2\.1:1: "):
        async with serving(app_with(), host="192.0.2.1", port=1):
            raise AssertionError("it must not begin")


async def test_what_goes_wrong_inside_is_passed_on_and_the_server_ends() -> None:
    port = free_port()
    with pytest.raises(KeyError):
        async with serving(app_with(), host="127.0.0.1", port=port):
            raise KeyError
    socket.create_server(("127.0.0.1", port)).close()


async def test_signals_are_left_to_the_process() -> None:
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("handlers belong to the main thread")
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    async with serving(app_with(), host="127.0.0.1", port=free_port()):
        assert {number: signal.getsignal(number) for number in before} == before


class Endless:
    """An app whose answer never ends."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        self.asked.set()
        while True:
            await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})


async def test_a_client_that_does_not_read_cannot_keep_the_process() -> None:
    app, port = Endless(), free_port()
    loop = asyncio.get_running_loop()
    async with serving(app, host="127.0.0.1", port=port):  # type: ignore[arg-type]  # any ASGI app
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        await app.asked.wait()
        began = loop.time()
    assert loop.time() - began < END_TIMEOUT_SECONDS + 3
    writer.close()


async def test_a_half_sent_request_does_not_keep_it_either() -> None:
    port = free_port()
    loop = asyncio.get_running_loop()
    async with serving(app_with(), host="127.0.0.1", port=port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nhost:")
        await writer.drain()
        await asyncio.sleep(0.05)
        began = loop.time()
    assert loop.time() - began < END_TIMEOUT_SECONDS + 3
    writer.close()
