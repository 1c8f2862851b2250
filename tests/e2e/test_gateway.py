"""The gateway before hand-written engines: routing, holding, faults, measuring."""

import asyncio
import contextlib
import json
import socket
from pathlib import Path

import aiohttp
import pytest

from collector.errors import GatewayError
from collector.gateway.client import GatewayClient
from collector.gateway.wake import ReplicaUnreachable, RequestHeld, WakeListener
from collector.model.catalogue import Sli
from support.gateways import (
    GatewayUnderTest,
    matching,
    replica_route,
    running_gateway,
    service_route,
    stream_texts,
    table,
    until,
)
from support.upstream import Behaviour, Fault, behave, running_upstream

CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "hello"}]}
STREAM = {**CHAT, "stream": True}


def closed_port_url() -> str:
    """An address nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


async def finished(gateway: GatewayUnderTest, outcome: str, reason: str, count: float = 1) -> None:
    await gateway.eventually(
        "foresail_requests_finished_total", count, outcome=outcome, reason=reason
    )


async def test_a_stream_passes_byte_for_byte_and_is_measured(tmp_path: Path) -> None:
    async with (
        running_upstream(Behaviour(tokens=5)) as engine,
        running_gateway(tmp_path) as gateway,
    ):
        await gateway.route(service_route(replica_route(engine.url)))
        async with gateway.post({**STREAM, "stream_options": {"include_usage": True}}) as answer:
            through = await answer.read()
        async with gateway.session.post(
            engine.url + "/v1/chat/completions",
            json={**STREAM, "stream_options": {"include_usage": True}},
        ) as answer:
            direct = await answer.read()
        assert through == direct
        await finished(gateway, "completed", "answered")
        assert await gateway.value("foresail_time_to_first_token_seconds_count") == 1
        assert await gateway.value("foresail_inter_token_latency_seconds_count") == 4
        assert await gateway.value("foresail_output_tokens_total") == 5
        assert await gateway.value("foresail_prompt_tokens_admitted_total") == 7


async def test_usage_is_asked_for_and_kept_from_a_client_that_did_not_ask(tmp_path: Path) -> None:
    async with running_upstream() as engine, running_gateway(tmp_path) as gateway:
        await gateway.route(service_route(replica_route(engine.url)))
        async with gateway.post(STREAM) as answer:
            events = stream_texts(await answer.read())
        assert engine.seen[0].document["stream_options"] == {"include_usage": True}
        assert events[-1] == "[DONE]"
        assert not [event for event in events if "usage" in event]


async def test_usage_asked_for_by_the_client_is_passed_on(tmp_path: Path) -> None:
    async with running_upstream() as engine, running_gateway(tmp_path) as gateway:
        await gateway.route(service_route(replica_route(engine.url)))
        async with gateway.post({**STREAM, "stream_options": {"include_usage": True}}) as answer:
            events = stream_texts(await answer.read())
        assert events[-2]["usage"]["completion_tokens"] == 4


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("split_bytes", [1, 7, 1000])
async def test_events_are_read_wherever_the_network_cuts_them(
    tmp_path: Path, line_end: str, split_bytes: int
) -> None:
    behaviour = Behaviour(tokens=3, line_end=line_end, split_bytes=split_bytes)
    async with running_upstream(behaviour) as engine, running_gateway(tmp_path) as gateway:
        await gateway.route(service_route(replica_route(engine.url)))
        async with gateway.post(STREAM) as answer:
            body = await answer.read()
        assert b"usage" not in body
        assert body.rstrip().endswith(b"data: [DONE]")
        await finished(gateway, "completed", "answered")
        assert await gateway.value("foresail_inter_token_latency_seconds_count") == 2


async def test_several_tokens_per_chunk_make_an_observation_per_token(tmp_path: Path) -> None:
    behaviour = Behaviour(tokens=12, tokens_per_chunk=4, delay_seconds=0.02)
    async with running_upstream(behaviour) as engine, running_gateway(tmp_path) as gateway:
        await gateway.route(service_route(replica_route(engine.url)))
        async with gateway.post(STREAM) as answer:
            await answer.read()
        await finished(gateway, "completed", "answered")
        count = await gateway.value("foresail_inter_token_latency_seconds_count")
        assert count == pytest.approx(11)
        total = await gateway.value("foresail_inter_token_latency_seconds_sum")
        assert 0.04 <= total < 0.5  # the two gaps between three chunks, not three gaps


async def test_a_stream_without_usage_counts_its_chunks(tmp_path: Path) -> None:
    async with (
        running_upstream(Behaviour(tokens=6, gives_usage=False)) as engine,
        running_gateway(tmp_path) as gateway,
    ):
        await gateway.route(service_route(replica_route(engine.url)))
        async with gateway.post(STREAM) as answer:
            await answer.read()
        await finished(gateway, "completed", "answered")
        assert await gateway.value("foresail_output_tokens_total") == 6


@pytest.mark.parametrize(
    ("path", "document", "output_tokens"),
    [
        ("/v1/chat/completions", CHAT, 4),
        ("/v1/completions", {"model": "tiny", "prompt": "hello"}, 4),
        ("/v1/embeddings", {"model": "tiny", "input": ["hello", "you"]}, 0),
        ("/v1/rerank", {"model": "tiny", "query": "hello"}, 4),
    ],
)
async def test_whole_answers_have_an_end_to_end_latency_and_no_first_token(
    tmp_path: Path, path: str, document: dict[str, object], output_tokens: int
) -> None:
    async with running_upstream() as engine, running_gateway(tmp_path) as gateway:
        await gateway.route(service_route(replica_route(engine.url)))
        async with gateway.post(document, path=path) as answer:
            assert answer.status == 200
            assert answer.headers["X-Engine"] == "yes"
            assert "usage" in await answer.json()
        assert json.loads(engine.seen[0].body) == document
        assert engine.seen[0].path == path
        await finished(gateway, "completed", "answered")
        assert await gateway.value("foresail_end_to_end_latency_seconds_count") == 1
        assert await gateway.value("foresail_time_to_first_token_seconds_count") == 0
        assert await gateway.value("foresail_prompt_tokens_admitted_total") == 7
        assert await gateway.value("foresail_output_tokens_total") == output_tokens


async def test_the_model_is_renamed_for_the_engine(tmp_path: Path) -> None:
    async with running_upstream() as engine, running_gateway(tmp_path) as gateway:
        await gateway.route(service_route(replica_route(engine.url, upstream_model="org/tiny-7b")))
        async with gateway.post(CHAT) as answer:
            assert answer.status == 200
        assert engine.seen[0].document == {**CHAT, "model": "org/tiny-7b"}


async def test_models_are_listed_whether_served_or_asleep(tmp_path: Path) -> None:
    async with running_upstream() as engine, running_gateway(tmp_path) as gateway:
        awake = service_route(replica_route(engine.url))
        asleep = service_route(name="code", models=("coder", "coder-alias"))
        await gateway.route(awake, asleep)
        async with gateway.session.get(gateway.url + "/v1/models") as answer:
            listed = [model["id"] for model in (await answer.json())["data"]]
        assert listed == ["tiny", "coder", "coder-alias"]
        async with gateway.session.get(gateway.url + "/v1/models/coder") as answer:
            assert (await answer.json())["object"] == "model"
        assert await gateway.value("foresail_requests_arrived_total", service="code") == 0


async def test_an_unknown_model_is_a_404_in_openais_shape(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as gateway:
        await gateway.route(service_route())
        async with gateway.post({**CHAT, "model": "nope"}) as answer:
            assert answer.status == 404
            error = (await answer.json())["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["param"] == "model"
        assert await gateway.value("foresail_gateway_rejected_total", reason="unknown_model") == 1


async def test_before_the_first_table_the_answer_is_try_again(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as gateway, gateway.post(CHAT) as answer:
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "1"


async def test_a_request_for_a_sleeping_model_is_held_and_wakes_the_controller(
    tmp_path: Path,
) -> None:
    listener = WakeListener(tmp_path / "controller.sock")
    listener.open()
    async with running_upstream() as engine, running_gateway(tmp_path) as gateway:
        await gateway.route(service_route())
        asked = asyncio.create_task(_status(gateway, STREAM))
        await asyncio.wait_for(listener.wait(), 5)
        assert listener.take_events() == (RequestHeld(service=service_route().service),)
        assert await gateway.value("foresail_requests_held") == 1
        status = await gateway.admin.read_status()
        assert status is not None
        assert status.services[0].held_requests == 1
        assert status.services[0].oldest_held_seconds >= 0
        await asyncio.sleep(0.1)  # so that the hold shows in the first token's time
        await gateway.route(service_route(replica_route(engine.url)))
        assert await asked == 200
        await finished(gateway, "completed", "answered")
        assert await gateway.value("foresail_time_to_first_token_seconds_sum") >= 0.1
        assert await gateway.value("foresail_oldest_held_seconds") == 0
    listener.close()


async def _status(gateway: GatewayUnderTest, document: object, **headers: str) -> int:
    async with gateway.post(document, headers=headers) as answer:
        await answer.read()
        return int(answer.status)


async def test_a_full_queue_sheds_with_429_and_retry_after(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as gateway:
        await gateway.route(service_route(max_held_requests=1, hold_timeout_seconds=3))
        held = asyncio.create_task(_status(gateway, CHAT))
        await gateway.eventually("foresail_requests_held", 1)
        async with gateway.post(CHAT) as answer:
            assert answer.status == 429
            assert 1 <= int(answer.headers["Retry-After"]) <= 3
            assert (await answer.json())["error"]["code"] == "queue_full"
        held.cancel()
        await finished(gateway, "shed", "queue_full")
        await finished(gateway, "aborted", "client_gone")


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"hold_timeout_seconds": 0.1}, "hold_deadline"),
        ({"hold_timeout_seconds": 0.0}, "no_replica"),
        ({"max_held_requests": 0}, "no_replica"),
    ],
    ids=["deadline", "holds for no time", "holds none"],
)
async def test_what_nothing_can_serve_is_a_503_with_a_reason(
    tmp_path: Path, limits: dict[str, float], reason: str
) -> None:
    async with running_gateway(tmp_path) as gateway:
        await gateway.route(service_route(**limits))  # type: ignore[arg-type]
        async with gateway.post(CHAT) as answer:
            assert answer.status == 503
            assert (await answer.json())["error"]["code"] == reason
        await finished(gateway, "shed", reason)


async def test_held_requests_of_a_removed_service_are_told(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as gateway:
        await gateway.route(service_route())
        asked = asyncio.create_task(_status(gateway, CHAT))
        await gateway.eventually("foresail_requests_held", 1)
        await gateway.route(service_route(name="other", models=("other",)))
        assert await asked == 503
        await finished(gateway, "shed", "service_removed")


async def test_requests_go_to_the_replica_with_the_fewest_in_flight(tmp_path: Path) -> None:
    async with (
        running_upstream(Behaviour(first_delay_seconds=0.3)) as one,
        running_upstream(Behaviour(first_delay_seconds=0.3)) as two,
        running_gateway(tmp_path) as gateway,
    ):
        await gateway.route(
            service_route(replica_route(one.url, name="a"), replica_route(two.url, name="b"))
        )
        await asyncio.gather(*(_status(gateway, CHAT) for _ in range(6)))
        assert (len(one.seen), len(two.seen)) == (3, 3)


async def test_the_limit_per_replica_holds_what_is_above_it(tmp_path: Path) -> None:
    async with (
        running_upstream(Behaviour(first_delay_seconds=0.05)) as engine,
        running_gateway(tmp_path) as gateway,
    ):
        await gateway.route(service_route(replica_route(engine.url), max_in_flight_per_replica=1))
        asked = [asyncio.create_task(_status(gateway, CHAT)) for _ in range(4)]
        await gateway.eventually("foresail_requests_held", 3)
        assert engine.running <= 1
        assert await asyncio.gather(*asked) == [200, 200, 200, 200]


@pytest.mark.parametrize("fault", [Fault.CLOSE_BEFORE_HEAD, Fault.CLOSE_AFTER_HEAD, Fault.GARBAGE])
@pytest.mark.parametrize("document", [CHAT, STREAM], ids=["whole", "stream"])
async def test_a_connection_lost_before_the_first_byte_is_retried_elsewhere(
    tmp_path: Path, fault: Fault, document: dict[str, object]
) -> None:
    async with (
        running_upstream(Behaviour(fault=fault)) as broken,
        running_upstream() as sound,
        running_gateway(tmp_path) as gateway,
    ):
        await gateway.route(
            service_route(replica_route(broken.url, name="a"), replica_route(sound.url, name="b"))
        )
        assert await _status(gateway, document) == 200
        assert (len(broken.seen), len(sound.seen)) == (1, 1)
        await finished(gateway, "completed", "answered")


async def test_a_second_loss_before_the_first_byte_is_a_502(tmp_path: Path) -> None:
    behaviour = Behaviour(fault=Fault.CLOSE_BEFORE_HEAD)
    async with running_upstream(behaviour) as engine, running_gateway(tmp_path) as gateway:
        await gateway.route(service_route(replica_route(engine.url)))
        assert await _status(gateway, CHAT) == 502
        assert len(engine.seen) == 2
        await finished(gateway, "failed", "disconnected")


async def test_an_unreachable_replica_is_passed_over_and_reported(tmp_path: Path) -> None:
    listener = WakeListener(tmp_path / "controller.sock")
    listener.open()
    async with running_upstream() as sound, running_gateway(tmp_path) as gateway:
        dead = replica_route(closed_port_url(), name="a")
        await gateway.route(service_route(dead, replica_route(sound.url, name="b")))
        assert await _status(gateway, STREAM) == 200
        assert listener.take_events() == (ReplicaUnreachable(replica_id=dead.replica_id),)
    listener.close()


async def test_with_no_other_replica_a_refused_request_waits_for_the_next_one(
    tmp_path: Path,
) -> None:
    async with running_upstream() as engine, running_gateway(tmp_path) as gateway:
        await gateway.route(service_route(replica_route(closed_port_url(), name="dead")))
        asked = asyncio.create_task(_status(gateway, STREAM))
        await gateway.eventually("foresail_requests_held", 1)
        await gateway.route(service_route(replica_route(engine.url, name="fresh")))
        assert await asked == 200


async def test_a_replica_that_comes_back_is_tried_again(tmp_path: Path) -> None:
    url = closed_port_url()
    async with running_gateway(tmp_path) as gateway:
        await gateway.route(service_route(replica_route(url)))
        asked = asyncio.create_task(_status(gateway, CHAT))
        await gateway.eventually("foresail_requests_held", 1)
        async with running_upstream(port=int(url.rpartition(":")[2])):
            assert await asked == 200


async def test_unreachable_until_the_deadline_is_a_failure_not_a_shed(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as gateway:
        route = service_route(replica_route(closed_port_url()), hold_timeout_seconds=0.2)
        await gateway.route(route)
        assert await _status(gateway, CHAT) == 503
        await finished(gateway, "failed", "unreachable")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.CLOSE_MID_ANSWER, "truncated"),
        (Fault.NO_END, "truncated"),
        (Fault.HANG_MID_ANSWER, "upstream_timeout"),
    ],
)
async def test_a_stream_cut_after_its_first_byte_ends_with_an_error_event(
    tmp_path: Path, fault: Fault, reason: str
) -> None:
    async with (
        running_upstream(Behaviour(fault=fault)) as engine,
        running_gateway(tmp_path, read_idle_timeout_seconds=0.3) as gateway,
    ):
        await gateway.route(service_route(replica_route(engine.url)))
        async with gateway.post(STREAM) as answer:
            events = stream_texts(await answer.read())
        assert events[-1]["error"]["code"] == reason
        assert all("choices" in event for event in events[:-1])
        await finished(gateway, "failed", reason)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(Fault.ERROR_EVENT, "error_event"), (Fault.ABORT, "engine_aborted")],
)
async def test_a_failure_hidden_under_http_200_is_counted_failed(
    tmp_path: Path, fault: Fault, reason: str
) -> None:
    async with running_upstream() as engine, running_gateway(tmp_path) as gateway:
        await gateway.route(service_route(replica_route(engine.url)))
        assert await _status(gateway, STREAM, **behave(fault=fault)) == 200
        await finished(gateway, "failed", reason)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(Fault.CLOSE_MID_ANSWER, "truncated"), (Fault.HANG_MID_ANSWER, "upstream_timeout")],
)
async def test_a_truncated_whole_answer_cannot_be_taken_for_a_complete_one(
    tmp_path: Path, fault: Fault, reason: str
) -> None:
    async with (
        running_upstream(Behaviour(fault=fault)) as engine,
        running_gateway(tmp_path, read_idle_timeout_seconds=0.3) as gateway,
    ):
        await gateway.route(service_route(replica_route(engine.url)))
        with pytest.raises(aiohttp.ClientError):
            await _status(gateway, CHAT)
        await finished(gateway, "failed", reason)


@pytest.mark.parametrize(
    ("fault", "status", "outcome", "reason"),
    [
        (Fault.STATUS_400, 400, "completed", "client_error"),
        (Fault.STATUS_500, 500, "failed", "upstream_error"),
        (Fault.STATUS_503, 503, "failed", "upstream_overloaded"),
    ],
)
async def test_an_engines_error_is_passed_on_and_counted(
    tmp_path: Path, fault: Fault, status: int, outcome: str, reason: str
) -> None:
    async with running_upstream(Behaviour(fault=fault)) as engine, running_gateway(tmp_path) as gw:
        await gw.route(service_route(replica_route(engine.url)))
        async with gw.post(STREAM) as answer:
            assert answer.status == status
            assert (await answer.json())["error"]["message"] == "from the engine"
        await finished(gw, outcome, reason)
        assert await gw.value("foresail_end_to_end_latency_seconds_count") == 0


async def test_an_engine_that_never_answers_is_a_504_after_the_limit(tmp_path: Path) -> None:
    behaviour = Behaviour(fault=Fault.HANG_BEFORE_HEAD)
    async with (
        running_upstream(behaviour) as engine,
        running_gateway(tmp_path, read_idle_timeout_seconds=0.2) as gateway,
    ):
        await gateway.route(service_route(replica_route(engine.url)))
        assert await _status(gateway, CHAT) == 504
        assert len(engine.seen) == 1
        await finished(gateway, "failed", "upstream_timeout")


@pytest.mark.parametrize("fault", [Fault.HANG_BEFORE_HEAD, Fault.HANG_MID_ANSWER])
async def test_a_client_that_hangs_up_ends_the_engines_work(tmp_path: Path, fault: Fault) -> None:
    async with (
        running_upstream(Behaviour(fault=fault)) as engine,
        running_gateway(tmp_path) as gateway,
    ):
        await gateway.route(service_route(replica_route(engine.url)))
        asked = asyncio.create_task(_status(gateway, STREAM))
        await until(lambda: engine.running == 1, what="the engine works")
        asked.cancel()
        await until(lambda: engine.disconnects == 1, what="the engine is told")
        await finished(gateway, "aborted", "client_gone")
        assert await gateway.value("foresail_requests_in_flight") == 0


async def test_a_client_that_hangs_up_while_held_leaves_the_queue(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as gateway:
        await gateway.route(service_route())
        asked = asyncio.create_task(_status(gateway, CHAT))
        await gateway.eventually("foresail_requests_held", 1)
        asked.cancel()
        await finished(gateway, "aborted", "client_gone")
        assert await gateway.value("foresail_requests_held") == 0


async def test_a_replica_out_of_the_table_gets_nothing_new_and_finishes(tmp_path: Path) -> None:
    async with (
        running_upstream(Behaviour(delay_seconds=0.1)) as old,
        running_upstream() as new,
        running_gateway(tmp_path) as gateway,
    ):
        await gateway.route(service_route(replica_route(old.url, name="old")))
        running = asyncio.create_task(_status(gateway, STREAM))
        await gateway.eventually("foresail_replica_requests_in_flight", 1, replica="old")
        await gateway.route(service_route(replica_route(new.url, name="new")))
        assert await gateway.value("foresail_replica_requests_in_flight", replica="old") == 1
        status = await gateway.admin.read_status()
        assert status is not None
        assert [(r.replica_id, r.is_routed) for r in status.replicas] == [
            ("new", True),
            ("old", False),
        ]
        assert await _status(gateway, CHAT) == 200
        assert (len(old.seen), len(new.seen)) == (1, 1)
        assert await running == 200
        await finished(gateway, "completed", "answered", 2)
        samples = await gateway.samples()
        assert not matching(samples, "foresail_replica_requests_in_flight", replica="old")


async def test_thresholds_of_objectives_are_bucket_edges(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as gateway:
        route = service_route(thresholds_seconds={Sli.TIME_TO_FIRST_TOKEN: (0.333,)})
        await gateway.route(route)
        samples = await gateway.samples()
        assert matching(samples, "foresail_time_to_first_token_seconds_bucket", le="0.333") == [0]


async def test_stale_tables_are_refused_and_the_newest_survives_a_restart(tmp_path: Path) -> None:
    async with running_gateway(tmp_path) as gateway:
        await gateway.admin.write_routes(table(service_route(), epoch=3, version=5))
        for epoch, version in [(3, 5), (3, 4), (2, 99)]:
            with pytest.raises(GatewayError, match=r"not newer than 3\.5"):
                await gateway.admin.write_routes(table(epoch=epoch, version=version))
    async with running_gateway(tmp_path) as gateway:
        status = await gateway.admin.read_status()
        assert status is not None
        assert (status.routes_epoch, status.routes_version) == (3, 5)
        assert await gateway.value("foresail_gateway_routes_version") == 5
        with pytest.raises(GatewayError, match="not newer"):
            await gateway.admin.write_routes(table(epoch=2, version=6))
        await gateway.admin.write_routes(table(epoch=4, version=1))


async def test_a_restarted_gateway_serves_without_a_controller(tmp_path: Path) -> None:
    async with running_upstream() as engine:
        async with running_gateway(tmp_path) as gateway:
            await gateway.route(service_route(replica_route(engine.url)))
        async with running_gateway(tmp_path) as gateway:
            assert await _status(gateway, STREAM) == 200


async def test_at_its_end_the_gateway_finishes_what_is_in_flight_and_sheds_what_is_held(
    tmp_path: Path,
) -> None:
    async with (
        running_upstream(Behaviour(delay_seconds=0.05)) as engine,
        aiohttp.ClientSession() as session,
        contextlib.AsyncExitStack() as stack,
    ):
        gateway = await stack.enter_async_context(running_gateway(tmp_path))
        asleep = service_route(name="code", models=("coder",), hold_timeout_seconds=60)
        await gateway.route(service_route(replica_route(engine.url)), asleep)
        url = gateway.url + "/v1/chat/completions"
        running = await session.post(url, json=STREAM)
        held = asyncio.create_task(session.post(url, json={**CHAT, "model": "coder"}))
        await gateway.eventually("foresail_requests_held", 1)
        await stack.aclose()
        assert stream_texts(await running.read())[-1] == "[DONE]"
        assert (await held).status == 503


async def test_without_a_gateway_the_client_says_so_in_one_line(tmp_path: Path) -> None:
    client = GatewayClient(tmp_path)
    assert await client.read_status() is None
    with pytest.raises(GatewayError, match="is it running") as caught:
        await client.write_routes(table())
    assert "\n" not in str(caught.value)
