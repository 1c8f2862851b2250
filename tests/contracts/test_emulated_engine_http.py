"""What the emulated engine answers, against what vLLM 0.32.0 was recorded to answer."""

import asyncio
import json

from support.desks import wait_until
from support.emulated import Emulated, emulated

LONG = {"model": "tiny", "prompt": "a b c", "max_tokens": 1000}
SHORT = {"model": "tiny", "prompt": "a b c", "max_tokens": 4}
BUSY = {
    "message": "The engine is currently busy and cannot accept new requests. Please try again "
    "later or on a different instance.",
    "type": "Service Unavailable",
    "param": None,
    "code": 503,
}
ANSWER_KEYS = {
    "id", "object", "created", "model", "choices", "service_tier", "system_fingerprint", "usage",
    "kv_transfer_params", "ec_transfer_params", "metrics",
}  # fmt: skip
CHOICE_KEYS = {
    "index", "text", "logprobs", "finish_reason", "stop_reason", "token_ids", "prompt_logprobs",
    "prompt_token_ids", "routed_experts",
}  # fmt: skip
MODEL_KEYS = {
    "id", "object", "created", "owned_by", "root", "parent", "max_model_len", "permission",
}  # fmt: skip


async def gauge(it: Emulated, name: str) -> float:
    _, text = await it.get("/metrics")
    line = next(each for each in text.splitlines() if each.startswith(f"vllm:{name}{{"))
    return float(line.rpartition(" ")[2])


async def running(it: Emulated, count: int) -> None:
    async def reached() -> bool:
        return await gauge(it, "num_requests_running") == count

    await wait_until(reached, what=lambda: f"{count} running")


async def load(it: Emulated) -> int:
    return json.loads((await it.get("/load"))[1])["server_load"]


async def loaded(it: Emulated, count: int) -> None:
    async def reached() -> bool:
        return await load(it) == count

    await wait_until(reached, what=lambda: f"load {count}")


async def test_sleep_and_wake_answer_as_recorded_state_by_state():
    async with emulated(speed=200.0) as it:
        assert await it.get("/is_sleeping") == (200, '{"is_sleeping": false}')
        assert await it.post("/sleep?level=1") == (200, {"status": "sleeping", "level": 1})
        assert await it.get("/is_sleeping") == (200, '{"is_sleeping": true}')
        assert await it.get("/health") == (200, "")
        assert await it.post("/wake_up") == (200, {"status": "awake", "tags": None})
        assert await it.get("/is_sleeping") == (200, '{"is_sleeping": false}')
        answer = await it.post("/sleep?level=2&mode=wait")
        assert answer == (200, {"status": "sleeping", "level": 2})
        answer = await it.post("/wake_up?tags=weights")
        assert answer == (200, {"status": "sleeping", "tags": ["weights"]})
        assert await it.get("/is_sleeping") == (200, '{"is_sleeping": true}')
        answer = await it.post("/wake_up?tags=kv_cache")
        assert answer == (200, {"status": "awake", "tags": ["kv_cache"]})
        assert await it.get("/is_sleeping") == (200, '{"is_sleeping": false}')
        assert await it.get("/is_paused") == (200, '{"is_paused": false}')
        assert await it.post("/pause") == (200, {"status": "paused"})
        assert await it.get("/is_paused") == (200, '{"is_paused": true}')
        assert await it.post("/resume") == (200, {"status": "resumed"})
        assert await it.post("/wake_up") == (200, {"status": "awake", "tags": None})
        status, body = await it.post("/sleep?level=9")
        assert (status, body["error"]["param"], body["error"]["type"]) == (
            400, "query.level", "Bad Request",
        )  # fmt: skip


async def test_without_dev_mode_there_is_no_sleep_and_load_stays_zero():
    async with emulated(has_dev_mode=False, tracks_server_load=False, takes_faults=False) as it:
        assert await it.post("/sleep") == (404, {"detail": "Not Found"})
        assert await it.get("/is_sleeping") == (404, '{"detail": "Not Found"}')
        assert await it.post("/emulate/fault", {"fault": "crash"}) == (404, {"detail": "Not Found"})
        assert await it.get("/load") == (200, '{"server_load": 0}')
        assert await it.get("/version") == (200, '{"version": "0.32.0"}')


async def test_wrong_requests_get_the_recorded_errors():
    async with emulated() as it:
        assert await it.post("/v1/completions", {**SHORT, "model": "nope"}) == (
            404,
            {
                "error": {
                    "message": "The model `nope` does not exist. Valid aliases: tiny.",
                    "type": "NotFoundError",
                    "param": "model",
                    "code": 404,
                }
            },
        )
        assert await it.post("/v1/completions", {**SHORT, "max_tokens": 5000}) == (
            400,
            {
                "error": {
                    "message": "max_tokens=5000 cannot be greater than max_model_len=1024. Please "
                    "request fewer output tokens. (parameter=max_tokens, value=5000)",
                    "type": "BadRequestError",
                    "param": "max_tokens",
                    "code": 400,
                }
            },
        )
        status, body = await it.post("/v1/completions", {**SHORT, "prompt": [1] * 1024})
        assert (status, body["error"]["type"]) == (400, "BadRequestError")


async def test_answers_have_the_recorded_fields():
    async with emulated() as it:
        status, body = await it.post("/v1/completions", SHORT)
        assert status == 200
        assert (set(body), set(body["choices"][0])) == (ANSWER_KEYS, CHOICE_KEYS)
        assert body["choices"][0]["finish_reason"] == "length"
        assert body["usage"] == {
            "prompt_tokens": 3, "total_tokens": 7, "completion_tokens": 4,
            "prompt_tokens_details": None, "completion_tokens_details": None,
        }  # fmt: skip
        models = json.loads((await it.get("/v1/models"))[1])
        assert set(models["data"][0]) == MODEL_KEYS
        assert models["data"][0]["max_model_len"] == 1024


async def test_an_abort_is_a_200_with_fewer_tokens():
    async with emulated(speed=5.0) as it:
        asked = asyncio.create_task(it.post("/v1/completions", LONG))
        await running(it, 1)
        await it.post("/sleep?level=1")
        status, body = await asked
        assert (status, body["choices"][0]["finish_reason"]) == (200, "abort")
        assert body["usage"]["completion_tokens"] < 1000


async def test_wait_lets_the_answer_finish_first():
    async with emulated(speed=5.0) as it:
        asked = asyncio.create_task(it.post("/v1/completions", LONG))
        await running(it, 1)
        await it.post("/sleep?level=1&mode=wait")
        assert asked.done() or (await asked)[0] == 200
        assert (await asked)[1]["usage"]["completion_tokens"] == 1000


async def test_keep_freezes_a_request_that_goes_on_after_waking():
    async with emulated(speed=5.0) as it:
        asked = asyncio.create_task(it.post("/v1/completions", LONG))
        await running(it, 1)
        await it.post("/sleep?level=1&mode=keep")
        assert await gauge(it, "num_requests_running") == 1
        assert not asked.done()
        await it.post("/wake_up")
        assert (await asked)[1]["choices"][0]["finish_reason"] == "length"


async def test_requests_to_a_sleeping_engine_hang_unseen_by_its_gauges():
    async with emulated(speed=200.0) as it:
        await it.post("/sleep?level=1")
        asked = [asyncio.create_task(it.post("/v1/completions", SHORT)) for _ in range(3)]
        await loaded(it, 3)
        assert await gauge(it, "num_requests_waiting") == 0
        assert await gauge(it, "num_requests_running") == 0
        assert not any(each.done() for each in asked)
        await it.post("/wake_up")
        assert [(await each)[0] for each in asked] == [200, 200, 200]


async def test_every_ninth_refused_stream_is_an_error_event_in_a_200():
    async with emulated(max_queued_requests=1, speed=1.0) as it:
        asked = asyncio.create_task(it.post("/v1/completions", LONG))
        await running(it, 1)
        answers = [await it.stream(SHORT) for _ in range(9)]
        assert [status for status, _ in answers] == [503] * 8 + [200]
        assert json.loads(answers[0][1])["error"] == BUSY
        assert answers[-1][1] == f"data: {json.dumps({'error': BUSY})}\n\ndata: [DONE]\n\n"
        assert await it.post("/v1/completions", SHORT) == (503, {"error": BUSY})
        assert await gauge(it, "admission_rejections_total") == 10
        asked.cancel()


async def test_a_client_that_leaves_frees_its_place():
    async with emulated(speed=1.0) as it:
        asked = asyncio.create_task(it.post("/v1/completions", LONG))
        await running(it, 1)
        asked.cancel()
        await running(it, 0)
        await loaded(it, 0)


async def test_faults_do_what_they_say_and_none_ends_them():
    async with emulated(speed=200.0) as it:
        await it.post("/emulate/fault", {"fault": "errors", "ratio": 0.5})
        statuses = [(await it.post("/v1/completions", SHORT))[0] for _ in range(4)]
        assert statuses == [200, 500, 200, 500]
        await it.post("/emulate/fault", {"fault": "frozen_metrics"})
        frozen = await it.get("/metrics")
        await it.post("/v1/completions", SHORT)
        assert await it.get("/metrics") == frozen
        await it.post("/emulate/fault", {"fault": "none"})
        assert await it.get("/metrics") != frozen
        await it.post("/emulate/fault", {"fault": "hang"})
        asked = asyncio.create_task(it.post("/v1/completions", SHORT))
        await loaded(it, 1)
        assert (await it.get("/health"))[0] == 200
        assert not asked.done()
        await it.post("/emulate/fault", {"fault": "none"})
        assert (await asked)[0] == 200
        status, body = await it.post("/emulate/fault", {"fault": "typo"})
        assert (status, body["error"]["param"]) == (400, "fault")
