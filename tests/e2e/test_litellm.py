"""LiteLLM's real proxy in front of a real llama.cpp server: its page says what was really asked."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from collector.clock import SystemClock
from collector.contract.package_facts import load_package_facts
from collector.model.contract import EngineSignal, ExporterKind, RouterSignal
from collector.model.histogram import Histogram
from collector.model.page import PageReadings
from collector.model.reading import MissingReason, fresh_value
from collector.model.replica import EngineKind
from collector.ports import ScrapeTarget
from collector.sources.exposition_http import HttpExpositionReader
from support.collector_worlds import CONTRACTS
from support.desks import wait_until
from support.engines import free_port, running_llama_server
from support.litellm import KEY, LITELLM, Proxy, running_litellm
from support.real_programs import not_installed, read_page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(LITELLM is None, reason=not_installed("litellm")),
]
CONTRACT = CONTRACTS.exporters[ExporterKind.LITELLM]
LLAMA = CONTRACTS.engines[EngineKind.LLAMA_CPP]
OUTPUT_TOKENS = 8
WHOLE, STREAMED, FAILED = 3, 2, 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """The proxy's page after a few requests, and the engine's own."""

    text: str
    page: PageReadings
    engine: PageReadings

    def number(self, signal: RouterSignal, model: str) -> float | None:
        return fresh_value(self.page.number(signal, model))

    def histogram(self, signal: RouterSignal, model: str) -> Histogram | None:
        return fresh_value(self.page.histogram(signal, model))


async def ask(proxy: Proxy) -> None:
    body = {
        "model": "tiny",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": OUTPUT_TOKENS,
    }
    for _ in range(WHOLE):
        assert await proxy.ask(body) == 200
    # Without the engine's own usage the proxy counts a stream's tokens with a tokenizer of its own.
    streamed = {**body, "stream": True, "stream_options": {"include_usage": True}}
    for _ in range(STREAMED):
        assert await proxy.ask(streamed) == 200
    for _ in range(FAILED):
        assert await proxy.ask({**body, "model": "tiny-dead"}) >= 500


async def look(folder: Path, *, engine_url: str) -> Looks:
    models = {"tiny": engine_url, "tiny-dead": f"http://127.0.0.1:{free_port()}"}
    async with running_litellm(folder, models) as proxy:
        await ask(proxy)
        seen: list[tuple[str, PageReadings]] = []

        async def are_counted() -> bool:  # the proxy counts after it has answered
            answer, page = await read_page(f"{proxy.url}/metrics/", contract=CONTRACT)
            seen[:] = [(answer.text or "", page)]
            ended = page.histogram(RouterSignal.MODEL_END_TO_END_LATENCY, "tiny")
            histogram = fresh_value(ended)
            return histogram is not None and histogram.total == WHOLE + STREAMED

        await wait_until(are_counted, what=lambda: seen[0][0][-3000:])
        _, engine = await read_page(f"{engine_url}/metrics", contract=LLAMA)
    ((text, page),) = seen
    return Looks(text=text, page=page, engine=engine)


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> Looks:
    """One proxy is enough for the tests that only read."""
    with running_llama_server() as engine_url:
        return asyncio.run(look(tmp_path_factory.mktemp("litellm"), engine_url=engine_url))


def test_requests_are_counted_under_the_model_that_was_asked_for(looks: Looks) -> None:
    assert looks.page.problems == ()
    assert looks.number(RouterSignal.MODEL_REQUESTS_TOTAL, "tiny") == 5
    assert looks.number(RouterSignal.MODEL_REQUESTS_TOTAL, "tiny-dead") == 1
    assert looks.number(RouterSignal.MODEL_FAILED_REQUESTS_TOTAL, "tiny-dead") == 1
    assert not looks.number(RouterSignal.MODEL_FAILED_REQUESTS_TOTAL, "tiny")


def test_tokens_are_those_the_engine_counted(looks: Looks) -> None:
    made = fresh_value(looks.engine.number(EngineSignal.OUTPUT_TOKENS_TOTAL))
    assert made == 40
    assert looks.number(RouterSignal.MODEL_OUTPUT_TOKENS_TOTAL, "tiny") == made
    # The engine does not count again what its cache still had; the proxy does.
    computed = fresh_value(looks.engine.number(EngineSignal.PROMPT_TOKENS_TOTAL))
    asked = looks.number(RouterSignal.MODEL_PROMPT_TOKENS_TOTAL, "tiny")
    assert computed is not None
    assert asked is not None
    assert asked >= computed > 0
    assert asked % (WHOLE + STREAMED) == 0


def test_latencies_are_those_of_the_answers_that_have_them(looks: Looks) -> None:
    ended = looks.histogram(RouterSignal.MODEL_END_TO_END_LATENCY, "tiny")
    first = looks.histogram(RouterSignal.MODEL_TIME_TO_FIRST_TOKEN, "tiny")
    queued = looks.histogram(RouterSignal.MODEL_QUEUE_TIME, "tiny")
    assert ended is not None
    assert first is not None
    assert queued is not None
    assert (ended.total, first.total) == (WHOLE + STREAMED, STREAMED)
    assert queued.total >= WHOLE + STREAMED
    assert 0 < ended.sum / ended.total < 10


def test_every_signal_of_the_contract_is_on_the_page(looks: Looks) -> None:
    told = {key[0] for key in (*looks.page.numbers, *looks.page.histograms)}
    assert set(CONTRACT.rules) - told == set()
    blind = {RouterSignal(signal) for signal in CONTRACT.cannot_see}
    assert {
        signal
        for signal, why in looks.page.absent.items()
        if why.reason is MissingReason.CANNOT_SEE
    } == blind


def test_names_and_types_are_those_read_out_of_the_package(looks: Looks) -> None:
    (package,) = [
        each
        for each in load_package_facts()
        if (each.engine, each.version) == (CONTRACT.engine, "1.85.7")
    ]
    words = [line.split() for line in looks.text.splitlines() if line.startswith("# TYPE litellm_")]
    declared = {name: kind for _, _, name, kind in words if not name.endswith("_created")}
    assert len(declared) > 20
    for name, kind in declared.items():
        fact = package.metrics[name]
        assert fact.kind is None or fact.kind.value == kind, name


async def test_without_its_key_a_closed_page_is_told_as_such(tmp_path: Path) -> None:
    models = {"tiny": f"http://127.0.0.1:{free_port()}"}
    async with running_litellm(tmp_path, models, is_page_open=False) as proxy:
        target = ScrapeTarget(key="proxy", url=f"{proxy.url}/metrics/")
        async with HttpExpositionReader(clock=SystemClock()) as reader:
            answer = (await reader.read_expositions([target]))["proxy"]
        assert (answer.text, answer.error) == (None, f"{target.url} answered HTTP 401")
        headers = {"Authorization": f"Bearer {KEY}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(target.url) as page,
        ):
            assert page.status == 200
            assert "litellm_" in await page.text()
