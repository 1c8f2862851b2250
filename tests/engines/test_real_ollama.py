"""What the contract says of Ollama, on a real one: no metric page, and looks that change nothing."""

import json

import pytest

from collector.model.replica import EngineKind
from support.collector_worlds import CONTRACTS
from support.desks import wait_until
from support.real_ollama import MODEL_NAME, Ollama

pytestmark = [pytest.mark.engines, pytest.mark.timeout(400)]
CONTRACT = CONTRACTS.engines[EngineKind.OLLAMA]
SAFE = sorted(each.path for each in CONTRACT.endpoints if each.observer_safe is not None)


async def unload(ollama: Ollama) -> None:
    """Returns when nothing is loaded any more."""
    await ollama.generate(keep_alive=0)

    async def is_empty() -> bool:
        return await ollama.loaded() == []

    await wait_until(is_empty, what=lambda: "the model is still loaded")


async def test_there_is_no_metric_page(ollama: Ollama) -> None:
    assert CONTRACT.metrics_path(None) is None
    assert CONTRACT.rules == {}
    status, _ = await ollama.get("/metrics")
    assert status == 404


async def test_paths_called_safe_answer_and_load_nothing(ollama: Ollama) -> None:
    await unload(ollama)
    assert SAFE == ["/api/ps", "/api/tags", "/api/version"]
    for path in SAFE:
        status, body = await ollama.get(path)
        assert status == 200
        assert isinstance(body, dict)
    assert await ollama.loaded() == []


async def test_paths_called_safe_prolong_no_stay(ollama: Ollama) -> None:
    await ollama.generate(prompt="abc", options={"num_predict": 4}, keep_alive="5m")
    (before,) = await ollama.loaded()
    for path in SAFE:
        await ollama.get(path)
    (after,) = await ollama.loaded()
    assert after["expires_at"] == before["expires_at"]


async def test_an_answer_tells_its_own_tokens_and_durations(ollama: Ollama) -> None:
    await unload(ollama)
    answer = await ollama.generate(prompt="abc", options={"num_predict": 8})
    assert (answer["done_reason"], answer["eval_count"]) == ("length", 8)
    assert answer["prompt_eval_count"] >= 3
    # In nanoseconds; the load is a part of the whole.
    assert 0 < answer["load_duration"] < answer["total_duration"]
    assert answer["eval_duration"] > 0


async def test_a_model_that_is_asked_for_is_listed_until_it_is_sent_away(ollama: Ollama) -> None:
    await unload(ollama)
    await ollama.generate(prompt="abc", options={"num_predict": 1})
    assert [each["name"] for each in await ollama.loaded()] == [MODEL_NAME]
    sent_away = await ollama.generate(keep_alive=0)
    assert sent_away["done_reason"] == "unload", json.dumps(sent_away)
    await unload(ollama)
