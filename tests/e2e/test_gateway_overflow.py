"""The gateway between an engine of ours and an API for money, both hand-written: what goes where."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from support.gateways import (
    GatewayUnderTest,
    overflow_route,
    replica_route,
    running_gateway,
    service_route,
    stream_texts,
    until,
)
from support.upstream import Behaviour, Fault, Upstream, running_upstream

CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "a secret question"}]}
STREAM = {**CHAT, "stream": True}


@pytest.fixture(autouse=True)
def _logs_as_if_nobody_had_set_them_up() -> Iterator[None]:
    """A command that an earlier test ran in this process may have left its level behind."""
    before = structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**before)


async def ask(gateway: GatewayUnderTest, document: object = CHAT, **more: object) -> int:
    async with gateway.post(document, **more) as answer:
        await answer.read()
        return answer.status


async def both(gateway: GatewayUnderTest, own: Upstream, api: Upstream, **overflow: object) -> None:
    """One replica with room for one request, and the overflow."""
    await gateway.route(
        service_route(
            replica_route(own.url),
            max_in_flight_per_replica=1,
            overflow=overflow_route(api.url, **overflow),
        )
    )


async def test_what_no_replica_has_room_for_goes_to_the_overflow(tmp_path: Path) -> None:
    async with (
        running_upstream(Behaviour(first_delay_seconds=0.3)) as own,
        running_upstream(Behaviour(first_delay_seconds=0.3)) as api,
        running_gateway(tmp_path) as gateway,
    ):
        await both(gateway, own, api)
        assert await asyncio.gather(*(ask(gateway) for _ in range(4))) == [200] * 4
        assert (len(own.seen), len(api.seen)) == (1, 3)
        assert {each.document["model"] for each in api.seen} == {"large"}
        assert await gateway.value("foresail_overflow_requests_total", service="chat") == 3
        completed = "foresail_overflow_requests_completed_total"
        assert await gateway.value(completed, service="chat") == 3
        assert await gateway.value("foresail_overflow_prompt_tokens_total", service="chat") == 21
        assert await gateway.value("foresail_overflow_output_tokens_total", service="chat") == 12
        assert await gateway.value("foresail_overflow_open", service="chat") == 1
        assert await gateway.value("foresail_requests_finished_total", outcome="completed") == 4
        assert await gateway.value("foresail_end_to_end_latency_seconds_count") == 4


async def test_a_stream_from_the_overflow_is_measured_as_any_other(tmp_path: Path) -> None:
    async with running_upstream(Behaviour(tokens=5)) as api, running_gateway(tmp_path) as gateway:
        await gateway.route(service_route(overflow=overflow_route(api.url)))
        async with gateway.post(STREAM) as answer:
            events = stream_texts(await answer.read())
        assert events[-1] == "[DONE]"
        await gateway.eventually("foresail_overflow_output_tokens_total", 5)
        assert await gateway.value("foresail_time_to_first_token_seconds_count") == 1
        assert await gateway.value("foresail_inter_token_latency_seconds_count") == 4


async def test_half_of_all_requests_go_though_there_is_room(tmp_path: Path) -> None:
    async with (
        running_upstream() as own,
        running_upstream() as api,
        running_gateway(tmp_path) as gateway,
    ):
        await gateway.route(
            service_route(replica_route(own.url), overflow=overflow_route(api.url, share_ratio=0.5))
        )
        for _ in range(10):
            assert await ask(gateway) == 200
        assert (len(own.seen), len(api.seen)) == (5, 5)


async def test_only_our_key_leaves_and_it_is_read_again_when_it_changes(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("sk-first\n")
    of_client = {
        "Authorization": "Bearer of-the-client",
        "Cookie": "who=me",
        "X-Forwarded-For": "10.1.2.3",
        "X-Api-Key": "also-of-the-client",
    }
    async with running_upstream() as api, running_gateway(tmp_path / "state") as gateway:
        await gateway.route(service_route(overflow=overflow_route(api.url, api_key_file=str(key))))
        await ask(gateway, headers=of_client, path="/v1/chat/completions?api_key=of-the-client")
        key.write_text("sk-second-and-longer\n")
        await ask(gateway, headers=of_client)
    first, second = api.seen
    assert first.headers["Authorization"] == "Bearer sk-first"
    assert second.headers["Authorization"] == "Bearer sk-second-and-longer"
    assert first.path == "/v1/chat/completions"
    left = str([each.headers for each in api.seen])
    assert not [value for value in (*of_client.values(), "of-the-client") if value in left]


@pytest.mark.parametrize("content", [None, "", "two\nlines", "k\u00e9y"], ids=repr)
async def test_without_a_usable_key_nothing_leaves_and_the_own_replica_answers(
    tmp_path: Path, content: str | None
) -> None:
    key = tmp_path / "key"
    if content is not None:
        key.write_text(content)
    async with (
        running_upstream() as own,
        running_upstream() as api,
        running_gateway(tmp_path / "state") as gateway,
    ):
        with capture_logs() as told:
            await both(gateway, own, api, share_ratio=1.0, api_key_file=str(key))
            assert await ask(gateway) == 200
        assert (len(own.seen), len(api.seen)) == (1, 0)
    (line,) = [each for each in told if each["event"] == "overflow_failed"]
    assert line["service"] == "chat"
    assert "api_key_file" in line["error"]


@pytest.mark.parametrize(
    "fault",
    [
        Fault.STATUS_400,
        Fault.STATUS_500,
        Fault.STATUS_503,
        Fault.CLOSE_BEFORE_HEAD,
        Fault.GARBAGE,
    ],
)
async def test_what_the_overflow_refuses_a_replica_of_ours_answers(
    tmp_path: Path, fault: Fault
) -> None:
    async with (
        running_upstream() as own,
        running_upstream(Behaviour(fault=fault)) as api,
        running_gateway(tmp_path) as gateway,
    ):
        with capture_logs() as told:
            await both(gateway, own, api, share_ratio=1.0)
            assert await ask(gateway) == 200
        assert (len(own.seen), len(api.seen)) == (1, 1)
        assert await gateway.value("foresail_requests_finished_total", outcome="failed") == 0
    assert "secret" not in str(told)


async def test_an_unreachable_overflow_costs_nobody_an_answer(tmp_path: Path) -> None:
    async with running_upstream() as own, running_gateway(tmp_path) as gateway:
        gone = "http://127.0.0.1:1"
        await gateway.route(
            service_route(replica_route(own.url), overflow=overflow_route(gone, share_ratio=1.0))
        )
        assert await asyncio.gather(*(ask(gateway) for _ in range(5))) == [200] * 5
        assert len(own.seen) == 5


async def test_a_request_is_sent_twice_at_most(tmp_path: Path) -> None:
    async with (
        running_upstream(Behaviour(fault=Fault.CLOSE_BEFORE_HEAD)) as own,
        running_upstream(Behaviour(fault=Fault.CLOSE_BEFORE_HEAD)) as api,
        running_gateway(tmp_path) as gateway,
    ):
        await both(gateway, own, api, share_ratio=1.0)
        assert await ask(gateway) == 502
        assert (len(own.seen), len(api.seen)) == (1, 1)


async def test_a_stream_that_broke_off_there_is_not_begun_again_and_is_paid(
    tmp_path: Path,
) -> None:
    async with (
        running_upstream() as own,
        running_upstream(Behaviour(tokens=6, fault=Fault.CLOSE_MID_ANSWER)) as api,
        running_gateway(tmp_path) as gateway,
    ):
        await both(gateway, own, api, share_ratio=1.0)
        async with gateway.post(STREAM) as answer:
            text = await answer.read()
        assert b"error" in text
        assert own.seen == []
        assert await gateway.value("foresail_requests_finished_total", outcome="failed") == 1
        assert await gateway.value("foresail_overflow_output_tokens_total") > 0


async def test_the_lease_ends_without_a_controller(tmp_path: Path) -> None:
    async with running_upstream() as api, running_gateway(tmp_path) as gateway:
        await gateway.route(
            service_route(
                hold_timeout_seconds=0.0, overflow=overflow_route(api.url, lease_seconds=0.3)
            )
        )
        assert await ask(gateway) == 200
        await gateway.eventually("foresail_overflow_open", 0)
        assert await ask(gateway) == 503
        assert len(api.seen) == 1


async def test_a_gateway_that_comes_back_opens_nothing_by_itself(tmp_path: Path) -> None:
    async with running_upstream() as api:
        async with running_gateway(tmp_path) as gateway:
            await gateway.route(
                service_route(hold_timeout_seconds=0.0, overflow=overflow_route(api.url))
            )
            assert await ask(gateway) == 200
        async with running_gateway(tmp_path) as again:
            assert await ask(again) == 503
        assert len(api.seen) == 1


async def test_the_budget_holds_between_two_decisions(tmp_path: Path) -> None:
    async with running_upstream() as api, running_gateway(tmp_path) as gateway:
        await gateway.route(
            service_route(hold_timeout_seconds=0.0, overflow=overflow_route(api.url, budget=30.0))
        )
        statuses = [await ask(gateway) for _ in range(5)]  # 7 + 4 tokens each
        assert statuses == [200, 200, 200, 503, 503]


async def test_requests_that_cannot_be_priced_stay_here(tmp_path: Path) -> None:
    async with running_upstream() as api, running_gateway(tmp_path) as gateway:
        await gateway.route(
            service_route(hold_timeout_seconds=0.0, overflow=overflow_route(api.url))
        )
        assert await ask(gateway, {"model": "tiny", "query": "x"}, path="/v1/rerank") == 503
        assert api.seen == []


async def test_an_answer_says_that_it_came_from_elsewhere_and_nothing_about_whom(
    tmp_path: Path,
) -> None:
    async with (
        running_upstream() as own,
        running_upstream() as api,
        running_gateway(tmp_path) as gateway,
    ):
        await both(gateway, own, api, share_ratio=1.0)
        async with gateway.post(CHAT) as abroad:
            assert abroad.headers["X-Foresail-Overflow"] == "true"
            assert "X-Engine" not in abroad.headers
            assert (await abroad.json())["usage"]["completion_tokens"] == 4
        await gateway.route(service_route(replica_route(own.url)))
        async with gateway.post(CHAT) as here:
            assert "X-Foresail-Overflow" not in here.headers
            assert here.headers["X-Engine"] == "yes"


async def test_an_answer_that_nobody_waited_for_costs_what_answers_usually_do(
    tmp_path: Path,
) -> None:
    async with running_upstream(Behaviour(tokens=9)) as api, running_gateway(tmp_path) as gateway:
        await gateway.route(service_route(overflow=overflow_route(api.url)))
        assert await ask(gateway) == 200
        api.behaviour = Behaviour(tokens=9, first_delay_seconds=30.0)
        left = asyncio.create_task(ask(gateway))
        await until(lambda: len(api.seen) == 2, what="sent")
        left.cancel()
        await gateway.eventually("foresail_overflow_output_tokens_total", 18)
        await gateway.eventually("foresail_overflow_requests_in_flight", 0)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
async def test_answers_that_tell_no_length_are_never_free(tmp_path: Path, path: str) -> None:
    silent = Behaviour(gives_usage=False)
    async with running_upstream(silent) as api, running_gateway(tmp_path) as gateway:
        await gateway.route(service_route(overflow=overflow_route(api.url, budget=1e6)))
        for _ in range(2):
            assert await ask(gateway, {**CHAT, "prompt": "a secret question"}, path=path) == 200
        assert await gateway.value("foresail_overflow_output_tokens_total") == 1000
        api.behaviour = Behaviour(tokens=9)
        assert await ask(gateway) == 200
        api.behaviour = silent
        assert await ask(gateway) == 200
        assert await gateway.value("foresail_overflow_output_tokens_total") == 1018


async def test_a_refusal_there_is_no_second_failure_of_a_request_that_a_replica_lost(
    tmp_path: Path,
) -> None:
    async with (
        running_upstream(Behaviour(fault=Fault.CLOSE_BEFORE_HEAD)) as dying,
        running_upstream(Behaviour(first_delay_seconds=0.3)) as own,
        running_upstream(Behaviour(fault=Fault.STATUS_503)) as api,
        running_gateway(tmp_path) as gateway,
    ):
        here = replica_route(own.url, name="r1")
        await gateway.route(service_route(here, max_in_flight_per_replica=1))
        first = asyncio.create_task(ask(gateway))
        await until(lambda: own.running == 1, what="busy")
        await gateway.route(
            service_route(
                here,
                replica_route(dying.url, name="r0"),
                max_in_flight_per_replica=1,
                overflow=overflow_route(api.url),
            )
        )
        assert await ask(gateway) == 200
        assert await first == 200
        assert (len(dying.seen), len(api.seen), len(own.seen)) == (1, 1, 2)
