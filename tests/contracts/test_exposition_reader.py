"""What every `ExpositionReader` must do: the real one over HTTP, and the fake that tests use."""

import contextlib
from dataclasses import dataclass

import pytest
from aiohttp import web

from collector.clock import VirtualClock
from collector.ports import ScrapeTarget
from collector.sources.exposition_http import HttpExpositionReader
from support.fake_expositions import FakeExpositionReader

PAGE = 'a{x="é"} 1\n'


@dataclass
class World:
    """A reader, one target that answers PAGE, and one that refuses."""

    reader: object
    answering: ScrapeTarget
    refusing: ScrapeTarget


@contextlib.asynccontextmanager
async def http_world(free_port):
    async def page(_request):
        return web.Response(text=PAGE)

    app = web.Application()
    app.router.add_get("/metrics", page)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with HttpExpositionReader(clock=VirtualClock(77.0)) as reader:
            yield World(
                reader,
                ScrapeTarget(key="r1", url=f"http://127.0.0.1:{port}/metrics"),
                ScrapeTarget(key="r2", url=f"http://127.0.0.1:{free_port}/metrics"),
            )
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def fake_world(_free_port):
    reader = FakeExpositionReader(clock=VirtualClock(77.0))
    reader.pages["r1"] = PAGE
    yield World(
        reader,
        ScrapeTarget(key="r1", url="http://h1/metrics"),
        ScrapeTarget(key="r2", url="http://h2/metrics"),
    )


@pytest.fixture(params=[http_world, fake_world], ids=["http", "fake"])
async def world(request, unused_tcp_port):
    async with request.param(unused_tcp_port) as found:
        yield found


async def test_no_targets_no_answers(world):
    assert await world.reader.read_expositions([]) == {}


async def test_each_target_has_one_answer_under_its_key(world):
    answers = await world.reader.read_expositions([world.answering, world.refusing])
    assert set(answers) == {"r1", "r2"}
    assert all(answers[key].key == key for key in answers)


async def test_an_answer_is_the_text_with_its_time(world):
    answer = (await world.reader.read_expositions([world.answering]))["r1"]
    assert (answer.text, answer.error, answer.observed_timestamp_seconds) == (PAGE, None, 77.0)


async def test_a_failure_is_one_line_that_names_the_address(world):
    answer = (await world.reader.read_expositions([world.refusing]))["r2"]
    assert answer.text is None
    assert answer.observed_timestamp_seconds == 77.0
    assert world.refusing.url in answer.error
    assert "\n" not in answer.error


async def test_it_can_be_asked_again(world):
    for _ in range(3):
        answer = (await world.reader.read_expositions([world.answering]))["r1"]
        assert answer.text == PAGE
