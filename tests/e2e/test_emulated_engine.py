"""Emulated engines where real ones would be: behind the gateway, under the controller, as a process."""

import asyncio
import contextlib
import signal
import sys
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from autoscaler.engine_model.costs import picoseconds, seconds
from autoscaler.engine_model.engine import EngineModel
from autoscaler.engine_model.request import Request
from support.desks import Streams, catalogue, desk, read_text, service, streaming, wait_until
from support.emulated import ROW, emulated, settings
from support.engines import free_port
from support.gateways import matching, parse_samples

COMMAND = ["foresail", "emulate", "--row", ROW, "--model-name", "tiny", "--max-model-len", "1024"]


def emulated_service(target: dict[str, object], **chosen: object) -> dict[str, object]:
    """A service whose one variant is an emulated vLLM."""
    made = service(**chosen)
    (variant,) = made["variants"].values()
    made["variants"] = {"vllm": {**variant, "engine": "vllm", "target": target}}
    return made


async def test_the_gateway_serves_an_emulated_engine_that_somebody_else_runs(tmp_path: Path):
    async with emulated() as engine:
        target = {"kind": "url", "urls": [engine.url]}
        content = catalogue({"chat": emulated_service(target, max_replicas=1)})
        with desk(tmp_path, content) as it:
            it.start("gateway")
            it.start("controller")
            users = Streams(url=it.gateway_url)

            async def is_served() -> bool:
                return await users.ask_once() is None

            await wait_until(is_served, what=lambda: it.log("controller")[-1500:])
            async with streaming(it, users=3) as streams:

                async def enough() -> bool:
                    return streams.completed >= 9

                await wait_until(enough, what=lambda: str(streams.failures))
            assert streams.failures == []
        _, page = await engine.get("/metrics")
        assert sum(matching(parse_samples(page), "vllm:request_success_total")) >= 10


async def test_the_controller_starts_an_emulated_engine_as_its_own_process(tmp_path: Path):
    target = {
        "kind": "process",
        "command": ["{python}", "-m", *COMMAND, "--port", "{port}", "--speed", "20"],
        "startup_timeout": "20s",
        "terminate_timeout": "5s",
    }
    content = catalogue({"chat": emulated_service(target, max_replicas=1)})
    with desk(tmp_path, content) as it:
        it.start("gateway")
        it.start("controller")
        await it.wait_serving(1)
        async with streaming(it, users=2) as streams:

            async def enough() -> bool:
                return streams.completed >= 6

            await wait_until(enough, what=lambda: str(streams.failures))
        assert streams.failures == []


def short_trace() -> list[tuple[float, int, int]]:
    """(arrival seconds, prompt tokens, output tokens) of thirty requests in some seconds."""
    generator = np.random.default_rng(3)
    times = np.cumsum(generator.exponential(0.15, 30))
    return [
        (float(at), int(prompt), int(output))
        for at, prompt, output in zip(
            times, generator.integers(20, 600, 30), generator.integers(20, 80, 30), strict=True
        )
    ]


def modelled(trace: list[tuple[float, int, int]]) -> list[tuple[float, float]]:
    """(ttft, time per later token) of each request by the pure model, in order of `trace`."""
    given = settings()
    model = EngineModel(costs=given.costs, limits=given.limits())
    for number, (at, prompt, output) in enumerate(trace):
        model.submit(Request(number, prompt, output), at=picoseconds(at))
    model.advance(picoseconds(10_000))
    return [
        (
            seconds(done.first_token_picoseconds - done.arrival_picoseconds),
            seconds(done.finished_picoseconds - done.first_token_picoseconds)
            / (done.output_tokens - 1),
        )
        for done in sorted(model.take_completions(), key=lambda each: each.number)
    ]


async def test_times_over_http_are_those_of_the_pure_model():
    trace = short_trace()
    async with emulated(speed=1.0) as it:

        async def ask(at: float, prompt: int, output: int) -> dict[str, float]:
            await asyncio.sleep(at)
            body = {"model": "tiny", "prompt": [1] * prompt, "max_tokens": output}
            async with it.session.post(f"{it.url}/v1/completions", json=body) as answer:
                await answer.read()
                return {
                    name: float(answer.headers[f"x-emulated-{name}-seconds"])
                    for name in ("arrival", "ttft", "e2e")
                }

        told = await asyncio.gather(*(ask(*each) for each in trace))
    found = [
        (each["ttft"], (each["e2e"] - each["ttft"]) / (output - 1))
        for each, (_, _, output) in zip(told, trace, strict=True)
    ]
    # With the arrivals as the server saw them: the very same times.
    seen = sorted(
        ((each["arrival"], prompt, output), times)
        for each, (_, prompt, output), times in zip(told, trace, found, strict=True)
    )
    exact = modelled([request for request, _ in seen])
    assert [times for _, times in seen] == [pytest.approx(each, rel=1e-6) for each in exact]
    # With the arrivals as they were meant: the same distribution.
    meant = modelled(trace)
    for column in (0, 1):
        for quantile in (0.5, 0.9):
            expected = np.quantile([each[column] for each in meant], quantile)
            assert np.quantile([each[column] for each in found], quantile) == pytest.approx(
                expected, rel=0.1
            )


class Process:
    """`foresail emulate` as a process."""

    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process = process
        self.url = url

    async def complete(self, tokens: int) -> tuple[int, dict[str, object]]:
        body = {"model": "tiny", "prompt": "a", "max_tokens": tokens}
        timeout = aiohttp.ClientTimeout(total=20)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(f"{self.url}/v1/completions", json=body) as answer,
        ):
            return answer.status, await answer.json()

    async def refuses(self) -> bool:
        return (await self.complete(2))[0] == 500

    async def has(self, running: int) -> bool:
        page = await read_text(f"{self.url}/metrics") or ""
        return matching(parse_samples(page), "vllm:num_requests_running") == [running]


async def started(*flags: str) -> Process:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *COMMAND, "--port", str(port), *flags,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    made = Process(process, f"http://127.0.0.1:{port}")

    async def answers() -> bool:
        return await read_text(f"{made.url}/health") is not None

    await wait_until(answers, what=lambda: "health")
    return made


@pytest.mark.parametrize(
    ("flags", "status"),
    [
        pytest.param((), 500, id="default-aborts"),
        pytest.param(("--shutdown-timeout", "15"), 200, id="timeout-drains"),
    ],
)
async def test_sigterm_does_to_requests_in_flight_what_vllm_does(*, flags, status):
    it = await started("--speed", "3", *flags)
    try:
        asked = asyncio.create_task(it.complete(900))
        await wait_until(lambda: it.has(1), what=lambda: "running")
        it.process.send_signal(signal.SIGTERM)
        if status == 200:
            await wait_until(it.refuses, what=lambda: "new requests refused")
            assert await read_text(f"{it.url}/health") is not None
        assert (await asked)[0] == status
        assert await asyncio.wait_for(it.process.wait(), 20) == 0
        assert (await it.process.communicate())[1] == b""
    finally:
        if it.process.returncode is None:
            it.process.kill()
            await it.process.wait()


async def test_a_crash_on_command_ends_the_process_and_cuts_connections():
    it = await started("--faults")
    try:
        asked = asyncio.create_task(it.complete(900))
        await wait_until(lambda: it.has(1), what=lambda: "running")
        async with aiohttp.ClientSession() as session:
            with contextlib.suppress(aiohttp.ClientError):  # its own connection is cut, too
                await session.post(f"{it.url}/emulate/fault", json={"fault": "crash"})
        with pytest.raises(aiohttp.ClientError):
            await asked
        assert await asyncio.wait_for(it.process.wait(), 20) == 1
    finally:
        if it.process.returncode is None:
            it.process.kill()
            await it.process.wait()


async def test_out_of_memory_ends_requests_with_500_and_then_the_process():
    it = await started("--faults")
    try:
        asked = asyncio.create_task(it.complete(900))
        await wait_until(lambda: it.has(1), what=lambda: "running")
        async with aiohttp.ClientSession() as session:
            with contextlib.suppress(aiohttp.ClientError):
                await session.post(f"{it.url}/emulate/fault", json={"fault": "oom"})
        status, body = await asked
        assert (status, body["error"]["type"]) == (500, "InternalServerError")
        assert await asyncio.wait_for(it.process.wait(), 20) == 1
    finally:
        if it.process.returncode is None:
            it.process.kill()
            await it.process.wait()
