"""Admin answers over HTTP: bounded in time and size, and a reason for whatever is no JSON object."""

import asyncio
import gzip

import pytest
from aiohttp import web

from collector.clock import VirtualClock
from collector.model.reading import MissingReason
from collector.sources.engine_admin.http import AdminHttp, AdminLimits, Document, Silence
from support.played_engine import Misdeed, Played, playing, written

UNREADABLE, UNREACHABLE = MissingReason.UNREADABLE, MissingReason.SOURCE_UNREACHABLE


async def read(answer, **limits):
    http = AdminHttp(clock=VirtualClock(0.0), limits=AdminLimits(**limits))
    try:
        async with playing({"/x": answer}) as engine:
            (found,) = await http.read_all(engine.url, "/x")
            return found
    finally:
        await http.close()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(b"", UNREADABLE, id="nothing"),
        pytest.param(b"<!doctype html><title>Sign in</title>", UNREADABLE, id="html"),
        pytest.param(b'{"a": 1', UNREADABLE, id="cut"),
        pytest.param(b"[1]", UNREADABLE, id="list"),
        pytest.param(b"3", UNREADABLE, id="number"),
        pytest.param(b"null", UNREADABLE, id="null"),
        pytest.param(b'{"a": NaN}', UNREADABLE, id="nan"),
        pytest.param(b'{"a": Infinity}', UNREADABLE, id="infinity"),
        pytest.param(b"\xff\xfe\x00", UNREADABLE, id="no-text"),
        pytest.param(b"[" * 100_000, UNREADABLE, id="brackets"),
        pytest.param(b'{"a": ' + b"9" * 10_000 + b"}", UNREADABLE, id="endless-digits"),
        pytest.param(b" " * 300, UNREADABLE, id="larger-than-allowed"),
    ],
)
async def test_what_is_no_json_object_is_a_silence(body, reason):
    answer = await read(Played(body=body), max_body_bytes=200_000 if len(body) != 300 else 299)
    assert isinstance(answer, Silence)
    assert answer.reason is reason
    assert answer.message.startswith("GET /x ")
    assert "\n" not in answer.message
    assert len(answer.message) < 300


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (204, UNREACHABLE),
        (302, UNREACHABLE),
        (401, MissingReason.NO_PERMISSION),
        (403, MissingReason.NO_PERMISSION),
        (404, UNREACHABLE),
        (500, UNREACHABLE),
    ],
)
async def test_only_200_is_an_answer(status, reason):
    answer = await read(written({"a": 1}, status=status))
    assert isinstance(answer, Silence)
    assert (answer.reason, answer.status) == (reason, status)
    assert answer.message == f"GET /x answered HTTP {status}"


@pytest.mark.parametrize("misdeed", list(Misdeed), ids=str)
async def test_no_misdeed_takes_longer_than_the_timeout(misdeed):
    async with asyncio.timeout(10):
        answer = await read(misdeed, timeout_seconds=0.3, max_body_bytes=1 << 20)
    assert isinstance(answer, Silence)


async def test_a_small_body_that_unpacks_into_a_large_one_is_cut_off():
    async def bomb(_request):
        body = gzip.compress(b" " * (8 << 20))
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    app = web.Application()
    app.router.add_get("/x", bomb)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    http = AdminHttp(clock=VirtualClock(0.0), limits=AdminLimits(max_body_bytes=1 << 20))
    try:
        (answer,) = await http.read_all(f"http://127.0.0.1:{runner.addresses[0][1]}", "/x")
    finally:
        await http.close()
        await runner.cleanup()
    assert isinstance(answer, Silence)
    assert answer.reason is UNREADABLE


async def test_answers_come_in_the_order_of_their_paths():
    http = AdminHttp(clock=VirtualClock(0.0))
    async with playing({"/a": written({"a": 1}), "/b": written({"b": 2})}) as engine:
        first, second, third = await http.read_all(engine.url, "/a", "/c", "/b")
        await http.close()
    assert first == Document(path="/a", fields={"a": 1})
    assert isinstance(second, Silence)
    assert third == Document(path="/b", fields={"b": 2})
