"""A real vLLM read through its contract, and our emulated one held against it."""

import asyncio
import json
from pathlib import Path

import pytest

from collector.model.contract import EngineSignal, SleepState
from collector.model.page import PageReadings
from collector.model.reading import Missing, MissingReason, fresh_value
from collector.model.replica import EngineKind
from collector.ports import ScrapeTarget
from support.collector_worlds import CONTRACTS
from support.desks import wait_until
from support.emulated import emulated
from support.page_shape import shape, values
from support.prometheus_server import PROMETHEUS, running_prometheus
from support.real_programs import read_page
from support.real_vllm import MODEL_NAME, VERSION, Engine
from support.two_readers import R0, Desk, check_both_agree

pytestmark = [pytest.mark.engines, pytest.mark.timeout(400)]
CONTRACT = CONTRACTS.engines[EngineKind.VLLM]
PROMPT = "x" * 40
HANDLERS = {"/v1/completions", "/v1/chat/completions", "/sleep", "/wake_up"}
E = EngineSignal


async def look(vllm: Engine) -> tuple[str, PageReadings]:
    answer, page = await read_page(f"{vllm.url}/metrics", contract=CONTRACT, version=VERSION)
    assert page.problems == ()
    return answer.text or "", page


async def exercise(vllm: Engine) -> None:
    """Everything that puts a series on the page."""
    await vllm.complete(prompt=PROMPT, max_tokens=6)
    chat = {"model": MODEL_NAME, "messages": [{"role": "user", "content": "a"}], "max_tokens": 2}
    status, _ = await vllm.post("/v1/chat/completions", chat)
    assert status == 200
    assert (await vllm.post("/sleep?level=1&mode=wait"))[0] == 200
    assert (await vllm.post("/wake_up"))[0] == 200


async def test_it_is_the_version_the_tests_speak_of(vllm: Engine) -> None:
    status, text = await vllm.get("/version")
    assert (status, json.loads(text)) == (200, {"version": "0.32.0"})


async def test_every_series_of_the_contract_is_there_or_declared_invisible(vllm: Engine) -> None:
    await exercise(vllm)
    _, page = await look(vllm)
    assert set(page.absent) == set(CONTRACT.cannot_see)
    assert {each.reason for each in page.absent.values()} == {MissingReason.CANNOT_SEE}
    told = {key[0] for key in (*page.numbers, *page.histograms)}
    assert set(CONTRACT.rules) == told | {E.SLEEP_STATE}
    assert fresh_value(page.number(E.KV_CAPACITY_TOKENS)) == 1_048_576
    assert fresh_value(page.number(E.KV_BLOCK_TOKENS)) == 128
    assert fresh_value(page.sleep_state) is SleepState.AWAKE


async def test_requests_and_tokens_are_counted_as_they_were_asked(vllm: Engine) -> None:
    _, before = await look(vllm)
    for _ in range(3):
        answer = await vllm.complete(prompt=PROMPT, max_tokens=6)
        assert answer["usage"]["prompt_tokens"] == 40
    _, after = await look(vllm)

    def rise(signal: EngineSignal, *labels: str) -> float:
        first, last = (fresh_value(page.number(signal, *labels)) for page in (before, after))
        assert first is not None
        assert last is not None
        return last - first

    def observed(signal: EngineSignal) -> float:
        first, last = (fresh_value(page.histogram(signal)) for page in (before, after))
        assert first is not None
        assert last is not None
        return last.total - first.total

    assert rise(E.PROMPT_TOKENS_TOTAL) == 120
    assert rise(E.OUTPUT_TOKENS_TOTAL) == 18
    assert rise(E.FINISHED_REQUESTS_TOTAL, "length") == 3
    assert rise(E.FAILED_REQUESTS_TOTAL) == 0
    assert observed(E.TIME_TO_FIRST_TOKEN) == 3
    assert observed(E.INTER_TOKEN_LATENCY) == 15
    assert observed(E.END_TO_END_LATENCY) == 3
    assert observed(E.REQUEST_PROMPT_TOKENS) == 3


@pytest.mark.parametrize(
    ("level", "state"),
    [
        pytest.param(1, SleepState.ASLEEP_LEVEL_1, id="level-1"),
        pytest.param(2, SleepState.ASLEEP_LEVEL_2, id="level-2"),
    ],
)
async def test_an_engine_asleep_says_so_and_its_gauges_say_nothing(
    vllm: Engine, level: int, state: SleepState
) -> None:
    assert (await vllm.post(f"/sleep?level={level}&mode=wait"))[0] == 200
    try:
        assert json.loads((await vllm.get("/is_sleeping"))[1]) == {"is_sleeping": True}
        _, page = await look(vllm)
        assert fresh_value(page.sleep_state) is state
        for signal in (E.RUNNING_REQUESTS, E.WAITING_REQUESTS, E.KV_USE_RATIO):
            reading = page.number(signal)
            assert isinstance(reading, Missing)
            assert reading.reason is MissingReason.ASLEEP
    finally:
        assert (await vllm.post("/wake_up"))[0] == 200
    _, page = await look(vllm)
    assert fresh_value(page.sleep_state) is SleepState.AWAKE
    assert fresh_value(page.number(E.RUNNING_REQUESTS)) == 0


async def test_demand_for_a_sleeping_engine_is_seen_by_load_alone(vllm: Engine) -> None:
    assert (await vllm.post("/sleep?level=1&mode=wait"))[0] == 200
    asked = asyncio.create_task(vllm.complete(prompt=PROMPT, max_tokens=6))

    async def is_counted() -> bool:
        return bool(json.loads((await vllm.get("/load"))[1]) == {"server_load": 1})

    try:
        await wait_until(is_counted, what=lambda: "/load counts the request")
        found = values((await look(vllm))[0])
        of = f'{{engine="0",model_name="{MODEL_NAME}"}}'
        assert found[f"vllm:num_requests_running{of}"] == 0
        assert found[f"vllm:num_requests_waiting{of}"] == 0
        assert not asked.done()
    finally:
        assert (await vllm.post("/wake_up"))[0] == 200
        answer = await asked
    assert answer["usage"]["completion_tokens"] == 6


async def test_the_emulated_page_has_its_names_labels_buckets_and_types(vllm: Engine) -> None:
    await exercise(vllm)
    real, _ = await look(vllm)
    async with emulated(speed=200.0) as ours:
        await exercise(Engine(url=ours.url))
        emulated_text, _ = await look(Engine(url=ours.url))
    found, expected = shape(emulated_text, handlers=HANDLERS), shape(real, handlers=HANDLERS)
    assert sorted(found) == sorted(expected)
    types = [line for line in found if line.startswith("#")]
    assert types == [line for line in expected if line.startswith("#")]


@pytest.mark.parametrize(
    "calls",
    [
        pytest.param(("GET /version",), id="version"),
        pytest.param(("GET /load", "GET /health"), id="at-rest"),
        pytest.param(
            (
                "POST /sleep?level=1&mode=wait",
                "GET /is_sleeping",
                "POST /wake_up?tags=weights",
                "GET /is_sleeping",
                "POST /wake_up?tags=kv_cache",
                "GET /is_sleeping",
            ),
            id="wake-in-parts",
        ),
        pytest.param(("POST /wake_up", "GET /is_sleeping"), id="wake-awake"),
        pytest.param(
            ("POST /pause?mode=wait", "GET /is_paused", "POST /resume", "GET /is_paused"),
            id="pause",
        ),
    ],
)
async def test_the_emulated_engine_answers_as_it_does(vllm: Engine, calls: tuple[str, ...]) -> None:
    async with emulated(speed=200.0) as ours:
        for call in calls:
            assert await answered(Engine(url=ours.url), call) == await answered(vllm, call), call


async def answered(engine: Engine, call: str) -> tuple[int, object]:
    method, path = call.split(" ")
    status, content = await (engine.get(path) if method == "GET" else engine.post(path))
    return status, json.loads(content) if method == "GET" and content else content


@pytest.mark.skipif(PROMETHEUS is None, reason="prometheus is not installed (Debian package)")
async def test_prometheus_tells_what_the_page_tells(vllm: Engine, tmp_path: Path) -> None:
    await exercise(vllm)
    target = ScrapeTarget(key=R0, url=f"{vllm.url}/metrics")
    async with running_prometheus(tmp_path / "prometheus") as prometheus:
        told = await check_both_agree(Desk(kind=EngineKind.VLLM, targets=(target,)), prometheus)
    assert told["EngineView.sleep_state"] is SleepState.AWAKE
    assert told["EngineView.kv_capacity_tokens"] == 1_048_576
    assert len(told) >= 18
