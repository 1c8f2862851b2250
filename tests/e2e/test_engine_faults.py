"""Engines that cannot start, never get healthy, or die, and clients that leave: told and counted.

A whole desk of real processes. After each fault the gateway's books balance: every request that
arrived is held, in flight, or finished with a reason.
"""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from autoscaler.ledger import RecordKind, read_records
from foresail.demo.tiny_model import SHAPES, write_tiny_model
from support.desks import (
    ROOT,
    Desk,
    catalogue,
    desk,
    llama_command,
    read_text,
    service,
    wait_until,
)
from support.gateways import matching, parse_samples

SMALL_ENGINE = ROOT / "tests" / "support" / "small_engine.py"
LONG_TOKENS = 600  # more than a second of the slower model


def ask(*, tokens: int = 8) -> dict[str, Any]:
    """A streamed request for exactly so many tokens."""
    return {
        "model": "tiny",
        "stream": True,
        "max_tokens": tokens,
        "ignore_eos": True,
        "messages": [{"role": "user", "content": "tell me something"}],
    }


@pytest.fixture(name="session")
async def _session() -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=60)
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        yield session


async def routed(it: Desk) -> None:
    """Returns once the gateway knows the model."""
    it.start("gateway")
    it.start("controller")

    async def has_table() -> bool:
        return bool(matching(await it.gateway_samples(), "foresail_gateway_routes_version"))

    await wait_until(has_table, what=lambda: it.log("controller")[-1500:])


async def assert_balanced(it: Desk) -> None:
    """Every request that arrived is somewhere."""
    samples = await it.gateway_samples()
    places = ("requests_finished_total", "requests_held", "requests_in_flight")
    found = sum(sum(matching(samples, f"foresail_{each}")) for each in places)
    assert found == sum(matching(samples, "foresail_requests_arrived_total")) > 0


async def failures(it: Desk) -> list[str]:
    """Messages of starts that failed, from the ledger."""
    records = read_records(it.state_dir / "ledger.sqlite", kind=RecordKind.OUTCOME)
    bodies = [json.loads(record.body) for record in records]
    return [each["message"] for each in bodies if each["kind"] == "replica_start_failed"]


async def problems(it: Desk) -> list[dict[str, str]]:
    state = await it.state()
    return [each for each in state["problems"] if each["source"] == "chat/llama"] if state else []


FAULTS = [
    pytest.param(
        {"required_files": ("models/none.gguf",)},
        r"required file {folder}/models/none.gguf does not exist",
        id="model file declared and missing",
    ),
    pytest.param(
        {"command": llama_command(model="/nowhere/none.gguf")},
        r"cannot read the model file /nowhere/none.gguf: No such file or directory",
        id="model file missing at the engine",
    ),
    pytest.param(
        {"health_path": "/is-not-there", "startup_timeout": "1500ms"},
        r"the engine was not ready within startup_timeout_seconds = 1.5: /is-not-there answered 404",
        id="wrong health path",
    ),
    pytest.param(
        {
            "command": ["{python}", "-S", "-E", str(SMALL_ENGINE), "{port}", "--never-healthy"],
            "startup_timeout": "1500ms",
        },
        r"the engine was not ready within startup_timeout_seconds = 1.5: /health answered 503",
        id="never healthy",
    ),
]


@pytest.mark.parametrize(("fault", "why"), FAULTS)
async def test_an_engine_that_cannot_serve_is_told_and_its_request_is_shed(
    tmp_path: Path, session: aiohttp.ClientSession, fault: dict[str, Any], why: str
) -> None:
    content = catalogue({"chat": service(min_replicas=0, hold_timeout="3s", **fault)})
    with desk(tmp_path, content) as it:
        await routed(it)
        async with session.post(f"{it.gateway_url}/v1/chat/completions", json=ask()) as answer:
            error = (await answer.json())["error"]
            assert answer.status == 503
            assert int(answer.headers["Retry-After"]) >= 1
        assert error["code"] == "hold_deadline"
        assert set(error) == {"message", "type", "param", "code"}

        async def is_told() -> bool:
            return bool(await problems(it)) and bool(await failures(it))

        await wait_until(is_told, what=lambda: it.log("controller")[-1500:])
        said = why.format(folder=it.folder)
        told = [*await failures(it), *(each["message"] for each in await problems(it))]
        assert all(said in message and "\n" not in message for message in told), told
        assert await it.gateway_value("foresail_requests_finished_total", outcome="shed") == 1
        await assert_balanced(it)
        await nothing_left(it)
        reasons = {each["reason"] for each in await it.decisions()}
        assert reasons >= {"held_request", "start_failing"}


async def nothing_left(it: Desk) -> None:
    """Returns once no engine process is there and no effect is under way."""

    async def is_empty() -> bool:
        state = await it.state()
        return state is not None and not state["running_effects"] and not it.engine_pids()

    await wait_until(is_empty, what=lambda: f"engines: {it.engine_pids()}")


def slower_engine(folder: Path) -> list[str]:
    """An engine that is busy with a stream for so long that something can happen meanwhile."""
    model = folder / "slower.gguf"
    write_tiny_model(model, shape=SHAPES["small"], seed=1)
    return llama_command(model=model)


@dataclass
class Stream:
    """One answer as a client reads it."""

    status: int | None = None
    events: list[bytes] = field(default_factory=list)

    @property
    def error_code(self) -> str | None:
        """Of the error event that ends the answer; None for one that is whole."""
        if self.events[-1] == b"[DONE]":
            return None
        code: str = json.loads(self.events[-1])["error"]["code"]
        return code

    async def run(self, session: aiohttp.ClientSession, *, url: str, tokens: int) -> None:
        """Reads the whole answer."""
        path = f"{url}/v1/chat/completions"
        async with session.post(path, json=ask(tokens=tokens)) as answer:
            self.status = answer.status
            async for line in answer.content:
                if line.startswith(b"data: "):
                    self.events.append(line[6:].strip())


async def test_an_engine_killed_under_load_costs_only_the_streams_it_had_begun(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    declared = service(min_replicas=2, max_replicas=2, command=slower_engine(tmp_path))
    with desk(tmp_path, catalogue({"chat": declared})) as it:
        await routed(it)
        await it.wait_serving(2)
        before = it.engine_pids()
        victim = sorted(before)[0]
        streams = [Stream() for _ in range(6)]  # two slots each: four begin, two wait inside
        tasks = [
            asyncio.create_task(each.run(session, url=it.gateway_url, tokens=LONG_TOKENS))
            for each in streams
        ]

        async def four_have_begun() -> bool:
            return sum(bool(each.events) for each in streams) >= 4

        await wait_until(four_have_begun, what=lambda: it.log("gateway")[-500:])
        os.kill(before[victim], signal.SIGKILL)
        await asyncio.gather(*tasks)

        assert {each.status for each in streams} == {200}
        codes = Counter(each.error_code for each in streams)
        assert set(codes) == {None, "truncated"}, codes
        assert 1 <= codes["truncated"] <= 2
        finished = "foresail_requests_finished_total"
        assert await it.gateway_value(finished, outcome="failed") == codes["truncated"]
        assert await it.gateway_value(finished, reason="truncated") == codes["truncated"]
        assert await it.gateway_value(finished, outcome="completed") == codes[None]
        await assert_balanced(it)
        await it.wait_serving(2)
        assert victim not in it.engine_pids()


async def test_a_client_that_hangs_up_frees_its_slot_and_is_counted(
    tmp_path: Path, session: aiohttp.ClientSession
) -> None:
    declared = service(max_replicas=1, command=slower_engine(tmp_path))
    with desk(tmp_path, catalogue({"chat": declared})) as it:
        await routed(it)
        await it.wait_serving(1)
        answer = await session.post(
            f"{it.gateway_url}/v1/chat/completions", json=ask(tokens=LONG_TOKENS)
        )
        assert await answer.content.readuntil(b"\n\n")
        answer.close()

        async def is_free() -> bool:
            in_engine = await engine_value(it, "llamacpp:requests_processing")
            aborted = await it.gateway_value("foresail_requests_finished_total", outcome="aborted")
            return in_engine == 0 and aborted == 1

        await wait_until(is_free, what=lambda: it.log("gateway")[-500:])
        assert await engine_value(it, "llamacpp:tokens_predicted_total") < LONG_TOKENS
        assert await it.gateway_value("foresail_requests_in_flight") == 0
        await assert_balanced(it)


async def engine_value(it: Desk, name: str) -> float | None:
    """A number of the one engine's own page."""
    state = await it.state()
    urls = [each["base_url"] for each in state["services"][0]["replicas"]] if state else []
    page = await read_text(f"{urls[0]}/metrics") if urls else None
    found = matching(parse_samples(page or ""), name)
    return found[0] if found else None
