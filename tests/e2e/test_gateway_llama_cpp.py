"""The gateway before real llama.cpp servers: the tokens it counts are the tokens the engine counts."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.engines import running_llama_server, started_llama_server
from support.gateways import (
    parse_samples,
    replica_route,
    running_gateway,
    service_route,
    stream_texts,
)

ASK = {"model": "tiny", "max_tokens": 12, "messages": [{"role": "user", "content": "hello you"}]}


@pytest.fixture(name="engine_url", scope="module")
def _engine_url() -> Iterator[str]:
    with running_llama_server() as url:
        yield url


async def test_real_streams_are_whole_and_counted_as_the_engine_counts(
    tmp_path: Path, engine_url: str
) -> None:
    async with running_gateway(tmp_path) as gateway:
        await gateway.route(service_route(replica_route(engine_url, keep_alive=False)))
        before = await _engine_tokens(gateway.session, engine_url)

        async def stream(number: int) -> list[object]:
            ask = {**ASK, "stream": True, "seed": number}
            async with gateway.post(ask) as answer:
                assert answer.status == 200
                return stream_texts(await answer.read())

        streams = await asyncio.gather(*(stream(number) for number in range(8)))
        async with gateway.post({"model": "tiny", "prompt": "hello", "max_tokens": 5},
                                path="/v1/completions") as answer:  # fmt: skip
            assert (await answer.json())["usage"]["completion_tokens"] == 5
        for events in streams:
            assert events[-1] == "[DONE]"
            assert not [event for event in events if isinstance(event, dict) and "usage" in event]
        await gateway.eventually("foresail_requests_finished_total", 9, outcome="completed")
        after = await _engine_tokens(gateway.session, engine_url)
        output = await gateway.value("foresail_output_tokens_total")
        assert output == after[1] - before[1]
        assert await gateway.value("foresail_time_to_first_token_seconds_count") == 8
        count = await gateway.value("foresail_inter_token_latency_seconds_count")
        assert count == pytest.approx(output - 5 - 8)


async def _engine_tokens(session, url: str) -> tuple[float, float]:  # type: ignore[no-untyped-def]  # aiohttp's
    async with session.get(url + "/metrics") as answer:
        samples = parse_samples(await answer.text())
    names = ("llamacpp:prompt_tokens_total", "llamacpp:tokens_predicted_total")
    return samples[(names[0], frozenset())], samples[(names[1], frozenset())]


async def test_real_embeddings_pass_through(tmp_path: Path) -> None:
    with started_llama_server(more=["--embedding"]) as engine:
        async with running_gateway(tmp_path) as gateway:
            await gateway.route(service_route(replica_route(engine.url, keep_alive=False)))
            ask = {"model": "tiny", "input": ["hello", "you"]}
            async with gateway.post(ask, path="/v1/embeddings") as answer:
                document = await answer.json()
            assert len(document["data"]) == 2
            await gateway.eventually("foresail_requests_finished_total", 1, outcome="completed")
            counted = document["usage"]["prompt_tokens"]
            assert await gateway.value("foresail_prompt_tokens_admitted_total") >= counted


async def test_a_real_engine_that_dies_under_streams_is_told_to_every_client(
    tmp_path: Path,
) -> None:
    with started_llama_server() as engine:
        async with running_gateway(tmp_path) as gateway:
            route = service_route(
                replica_route(engine.url, keep_alive=False), hold_timeout_seconds=0.5
            )
            await gateway.route(route)
            long = {**ASK, "max_tokens": 1900, "stream": True, "ignore_eos": True}
            answers = [await gateway.post(long) for _ in range(2)]
            for answer in answers:
                assert await answer.content.readuntil(b"\n\n")
            engine.process.kill()
            for answer in answers:
                assert b'"code": "truncated"' in (await answer.read())
            await gateway.eventually("foresail_requests_finished_total", 2, reason="truncated")
            async with gateway.post(ASK) as answer:
                assert answer.status == 503
                assert (await answer.json())["error"]["code"] == "unreachable"
