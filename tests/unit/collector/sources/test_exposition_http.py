"""Metric pages over HTTP: bounded in time, size and number, whatever the server does."""

import asyncio
import contextlib
import gzip

import pytest
from aiohttp import web

from collector.clock import SystemClock
from collector.ports import ScrapeTarget
from collector.sources.exposition_http import HttpExpositionReader, ScrapeLimits


@contextlib.asynccontextmanager
async def served(handler, *, socket_path=None):
    """The address of a server that answers GET /metrics with `handler`."""
    app = web.Application()
    app.router.add_get("/metrics", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    unix = web.UnixSite(runner, socket_path) if socket_path else None
    await (unix or web.TCPSite(runner, "127.0.0.1", 0)).start()
    try:
        yield "http://gateway" if socket_path else f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def read_one(url, *, socket_path=None, **limits):
    async with HttpExpositionReader(clock=SystemClock(), limits=ScrapeLimits(**limits)) as reader:
        target = ScrapeTarget(key="k", url=f"{url}/metrics", unix_socket_path=socket_path)
        return (await reader.read_expositions([target]))["k"]


async def hang(_request):
    await asyncio.sleep(60)


async def test_a_compressed_page_is_unpacked():
    async def page(request):
        assert "gzip" in request.headers["Accept-Encoding"]
        body = gzip.compress(b"a 1\n")
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    async with served(page) as url:
        assert (await read_one(url)).text == "a 1\n"


async def test_a_unix_socket_is_read(tmp_path):
    async def page(_request):
        return web.Response(text="a 1\n")

    path = str(tmp_path / "gateway.sock")
    async with served(page, socket_path=path) as url:
        assert (await read_one(url, socket_path=path)).text == "a 1\n"
    answer = await read_one("http://gateway", socket_path=str(tmp_path / "none.sock"))
    assert answer.text is None
    assert "http://gateway/metrics" in answer.error


async def endless(request):
    response = web.StreamResponse()
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        while True:
            await response.write(b"a" * 10_000)
    return response


async def redirected(_request):
    raise web.HTTPFound("http://127.0.0.1:1/elsewhere")


async def bomb(_request):
    return web.Response(body=gzip.compress(b"0" * 10_000_000), headers={"Content-Encoding": "gzip"})


async def cut_off(request):
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"a 1\n")
    request.transport.close()
    return response


async def unwell(_request):
    return web.Response(status=503, text="not\nnow")


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        pytest.param(hang, "did not answer within 0.3 s", id="hangs"),
        pytest.param(endless, "sent more than 200000 bytes", id="never ends"),
        pytest.param(bomb, "200000 bytes", id="unpacks to too much"),
        pytest.param(redirected, "answered HTTP 302", id="redirects"),
        pytest.param(unwell, "answered HTTP 503", id="unwell"),
        pytest.param(cut_off, "", id="cut off"),
    ],
)
async def test_a_bad_server_costs_one_line(handler, said):
    async with served(handler) as url:
        answer = await read_one(url, timeout_seconds=0.3, max_page_bytes=200_000)
    assert answer.text is None
    assert said in answer.error
    assert url in answer.error
    assert "\n" not in answer.error


@pytest.mark.parametrize("url", ["nonsense", "http://", "ftp://h", "http://[::1"])
async def test_an_address_that_is_none_is_an_answer_too(url):
    answer = await read_one(url)
    assert answer.text is None
    assert answer.error


async def test_hanging_targets_do_not_take_the_others_time():
    async def page(_request):
        return web.Response(text="a 1\n")

    async with (
        served(hang) as slow,
        served(page) as quick,
        HttpExpositionReader(
            clock=SystemClock(),
            limits=ScrapeLimits(timeout_seconds=30, batch_timeout_seconds=0.5, max_concurrent=4),
        ) as reader,
    ):
        targets = [ScrapeTarget(key="quick", url=f"{quick}/metrics")]
        targets += [ScrapeTarget(key=f"slow{n}", url=f"{slow}/metrics") for n in range(8)]
        answers = await reader.read_expositions(targets)
        assert answers["quick"].text == "a 1\n"
        assert len(answers) == 9
        assert "all pages together took more than 0.5 s" in answers["slow7"].error


async def test_no_more_than_the_limit_are_read_at_once():
    at_once = 0
    most = 0

    async def page(_request):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)
        at_once -= 1
        return web.Response(text="a 1\n")

    async with (
        served(page) as url,
        HttpExpositionReader(clock=SystemClock(), limits=ScrapeLimits(max_concurrent=3)) as reader,
    ):
        targets = [ScrapeTarget(key=str(n), url=f"{url}/metrics") for n in range(12)]
        answers = await reader.read_expositions(targets)
    assert all(answer.text for answer in answers.values())
    assert most == 3


async def test_connections_are_kept_between_calls():
    peers = set()

    async def page(request):
        peers.add(request.transport.get_extra_info("peername"))
        return web.Response(text="a 1\n")

    async with served(page) as url, HttpExpositionReader(clock=SystemClock()) as reader:
        for _ in range(3):
            await reader.read_expositions([ScrapeTarget(key="k", url=f"{url}/metrics")])
    assert len(peers) == 1


@contextlib.asynccontextmanager
async def counted():
    """A page, and every connection that was made to read it."""
    connections = []

    async def page(request):
        if request.transport not in connections:
            connections.append(request.transport)
        return web.Response(text="a 1\n")

    async with served(page) as url:
        yield url, connections


@pytest.mark.parametrize(
    ("keep_alive", "count"), [(True, 1), (False, 3)], ids=["kept", "closed after each scrape"]
)
async def test_connections_are_kept_only_where_the_target_bears_it(keep_alive, count):
    async with (
        counted() as (url, connections),
        HttpExpositionReader(clock=SystemClock()) as reader,
    ):
        target = ScrapeTarget(key="k", url=f"{url}/metrics", keep_alive=keep_alive)
        for _ in range(3):
            assert (await reader.read_expositions([target]))["k"].text == "a 1\n"
        assert len(connections) == count
        assert sum(each.is_closing() for each in connections) == (0 if keep_alive else 3)


async def test_a_server_is_told_that_the_connection_ends():
    told = []

    async def page(request):
        told.append(request.headers.get("Connection"))
        return web.Response(text="a 1\n")

    async with served(page) as url, HttpExpositionReader(clock=SystemClock()) as reader:
        target = ScrapeTarget(key="k", url=f"{url}/metrics", keep_alive=False)
        await reader.read_expositions([target])
    assert told == ["close"]


async def test_a_closed_port_is_told_in_the_systems_words(unused_tcp_port):
    url = f"http://127.0.0.1:{unused_tcp_port}/metrics"
    async with HttpExpositionReader(clock=SystemClock()) as reader:
        found = await reader.read_expositions([ScrapeTarget(key="e", url=url)])
    assert found["e"].error == f"{url}: cannot connect: Connection refused"
