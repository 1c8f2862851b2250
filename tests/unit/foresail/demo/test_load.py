"""The replayer against a gateway on loopback that misbehaves on request."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from collector.clock import SystemClock, VirtualClock
from foresail.demo.completion import (
    Endpoint,
    Outcome,
    RequestResult,
    client_session,
    prompt_text,
    send_completion,
)
from foresail.demo.load import ReplayCount, _Sender, replay
from foresail.demo.trace import PlannedRequest

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class TickingClock(SystemClock):
    """Every look at it is a second later."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic_seconds(self) -> float:
        self.seconds += 1.0
        return self.seconds


def planned(at_seconds: float = 0.0, *, index: int = 0, prompt_tokens: int = 10) -> PlannedRequest:
    return PlannedRequest(
        service="code",
        index=index,
        at_seconds=at_seconds,
        prompt_tokens=prompt_tokens,
        output_tokens=3,
    )


@asynccontextmanager
async def gateway(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", handler)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server(shutdown_timeout=0.1)
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        await server.close()


def token(text: str | None, *, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return event({"choices": [choice]})


def event(document: object) -> bytes:
    return b"data: " + json.dumps(document).encode() + b"\n\n"


USAGE = event({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 3}})
WHOLE = (token(None), token("a"), token("b"), token("c"), token(None, finish="length"), USAGE)
DONE = b"data: [DONE]\n\n"


def streaming(*parts: bytes, dies: bool = False) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for part in parts:
            await response.write(part)
        if dies and request.transport is not None:
            request.transport.abort()
        return response

    return answer


def refusing(status: int, body: object) -> Handler:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=status)

    return answer


async def result_of(
    handler: Handler, *, timeout_seconds: float = 5.0, request: PlannedRequest | None = None
) -> RequestResult:
    async with gateway(handler) as url, client_session() as session:
        return await send_completion(
            request or planned(),
            endpoint=Endpoint(url=url, timeout_seconds=timeout_seconds),
            session=session,
            clock=TickingClock(),
            started_monotonic_seconds=0.0,
        )


@pytest.mark.parametrize(
    ("handler", "outcome", "status", "reason"),
    [
        pytest.param(streaming(*WHOLE, DONE), Outcome.OK, 200, None, id="whole"),
        pytest.param(streaming(*WHOLE), Outcome.OK, 200, None, id="no-done-after-finish"),
        pytest.param(
            streaming(b": ping\n\n", *WHOLE[:4], DONE), Outcome.OK, 200, None, id="done-no-finish"
        ),
        pytest.param(
            streaming(*WHOLE[:3]),
            Outcome.TRUNCATED,
            200,
            "the stream ended before the answer",
            id="ends-early",
        ),
        pytest.param(
            streaming(*WHOLE[:3], dies=True),
            Outcome.TRUNCATED,
            200,
            "the stream ended before the answer",
            id="connection-breaks",
        ),
        pytest.param(
            streaming(WHOLE[1], event({"error": {"message": "m", "code": "shed"}}), DONE),
            Outcome.STREAM_ERROR,
            200,
            "shed",
            id="error-event",
        ),
        pytest.param(
            streaming(b"data: {nonsense\n\n"),
            Outcome.STREAM_ERROR,
            200,
            "unreadable: JSONDecodeError",
            id="not-json",
        ),
        pytest.param(
            streaming(b"data: [1]\n\n"),
            Outcome.STREAM_ERROR,
            200,
            "unreadable: ValueError",
            id="not-an-object",
        ),
        pytest.param(
            refusing(503, {"error": {"message": "full", "type": "server_error", "code": None}}),
            Outcome.HTTP_ERROR,
            503,
            "server_error",
            id="error-with-type",
        ),
        pytest.param(
            refusing(429, ["slow down"]),
            Outcome.HTTP_ERROR,
            429,
            "an error without a code",
            id="error-of-another-shape",
        ),
    ],
)
async def test_every_way_to_end_has_its_name(
    handler: Handler, outcome: Outcome, status: int, reason: str | None
) -> None:
    result = await result_of(handler)
    assert (result.outcome, result.http_status, result.reason) == (outcome, status, reason)


async def test_times_are_those_of_the_client() -> None:
    result = await result_of(streaming(*WHOLE, DONE))
    # The clock is looked at when sending, at each of three tokens, and at the end.
    assert result.sent_at_seconds == 1.0
    assert result.time_to_first_token_seconds == 1.0
    assert result.inter_token_seconds == (1.0, 1.0)
    assert result.end_to_end_seconds == 4.0
    assert (result.prompt_tokens, result.output_tokens) == (10, 3)


async def test_tokens_are_counted_where_the_server_does_not_say() -> None:
    result = await result_of(streaming(*WHOLE[:3]))
    assert (result.prompt_tokens, result.output_tokens) == (None, 2)


async def test_an_answer_that_does_not_come_is_a_timeout() -> None:
    async def silent(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    result = await result_of(silent, timeout_seconds=0.05)
    assert (result.outcome, result.http_status) == (Outcome.TIMEOUT, None)


async def test_no_server_is_a_connection_error() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        async with client_session() as session:
            result = await send_completion(
                planned(),
                endpoint=Endpoint(url=url),
                session=session,
                clock=TickingClock(),
                started_monotonic_seconds=0.0,
            )
    assert (result.outcome, result.http_status) == (Outcome.CONNECTION_ERROR, None)


async def test_what_is_sent_is_what_was_planned() -> None:
    bodies: list[dict[str, object]] = []

    async def noting(request: web.Request) -> web.StreamResponse:
        bodies.append(await request.json())
        return await streaming(*WHOLE, DONE)(request)

    await result_of(noting, request=planned(prompt_tokens=33))
    assert len(prompt_text(planned(prompt_tokens=33))) == 33 - 2
    (body,) = bodies
    assert body == {
        "model": "code",
        "messages": [{"role": "user", "content": prompt_text(planned(prompt_tokens=33))}],
        "max_tokens": 3,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_no_two_prompts_begin_alike() -> None:
    prompts = {prompt_text(planned(index=index))[:8] for index in range(100)}
    assert len(prompts) == 100


class HoldingGateway:
    """Notes every request and answers none until it is told to."""

    def __init__(self) -> None:
        self.arrived = 0
        self.release = asyncio.Event()
        self._changed = asyncio.Condition()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        async with self._changed:
            self.arrived += 1
            self._changed.notify_all()
        await self.release.wait()
        return await streaming(*WHOLE, DONE)(request)

    async def arrivals(self, count: int) -> None:
        async with asyncio.timeout(5), self._changed:
            await self._changed.wait_for(lambda: self.arrived >= count)


class Replaying:
    """A replay that runs while the test moves its clock."""

    def __init__(self, requests: list[PlannedRequest], *, url: str, in_flight_count: int = 100):
        self.clock = VirtualClock()
        self.stop = asyncio.Event()
        self.results: list[RequestResult] = []
        self.task = asyncio.create_task(
            replay(
                requests,
                endpoint=Endpoint(url=url, in_flight_count=in_flight_count),
                clock=self.clock,
                on_result=self.results.append,
                stop_event=self.stop,
            )
        )

    def outcomes(self) -> dict[int, str]:
        return {result.request.index: result.outcome.value for result in self.results}


async def test_arrivals_do_not_wait_for_answers() -> None:
    holding = HoldingGateway()
    async with gateway(holding.handle) as url:
        running = Replaying([planned(float(at), index=at) for at in (2, 0, 1)], url=url)
        await holding.arrivals(1)
        await running.clock.advance(1.0)
        await holding.arrivals(2)
        await running.clock.advance(1.0)
        await holding.arrivals(3)
        assert running.results == []
        holding.release.set()
        count = await running.task
    assert count == ReplayCount(planned=3, sent=3, ok=3, failed=0, cancelled=0)
    assert sorted(r.sent_at_seconds for r in running.results) == [0.0, 1.0, 2.0]


async def test_an_arrival_beyond_the_limit_fails_and_is_not_sent() -> None:
    holding = HoldingGateway()
    async with gateway(holding.handle) as url:
        requests = [planned(index=index) for index in range(3)]
        running = Replaying(requests, url=url, in_flight_count=2)
        await holding.arrivals(2)
        assert running.outcomes() == {2: "overflow"}
        holding.release.set()
        count = await running.task
    assert count == ReplayCount(planned=3, sent=3, ok=2, failed=1, cancelled=0)
    assert holding.arrived == 2


async def test_stopping_sends_no_more_and_cancels_what_runs() -> None:
    holding = HoldingGateway()
    async with gateway(holding.handle) as url:
        running = Replaying([planned(), planned(1.0, index=1), planned(60.0, index=2)], url=url)
        await holding.arrivals(1)
        await running.clock.advance(1.0)
        await holding.arrivals(2)
        running.stop.set()
        count = await running.task
    assert count == ReplayCount(planned=3, sent=2, ok=0, failed=0, cancelled=2)
    assert running.outcomes() == {0: "cancelled", 1: "cancelled"}


async def test_stopping_while_the_last_answers_are_awaited_ends_at_once() -> None:
    holding = HoldingGateway()
    async with gateway(holding.handle) as url:
        running = Replaying([planned()], url=url)
        await holding.arrivals(1)
        running.stop.set()
        count = await running.task
    assert count == ReplayCount(planned=1, sent=1, ok=0, failed=0, cancelled=1)


async def test_a_cancelled_replay_still_tells_about_every_request() -> None:
    holding = HoldingGateway()
    async with gateway(holding.handle) as url:
        running = Replaying([planned(), planned(index=1), planned(9.0, index=2)], url=url)
        await holding.arrivals(2)
        running.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running.task
    assert running.outcomes() == {0: "cancelled", 1: "cancelled"}


async def test_a_request_cancelled_before_its_first_step_is_counted_too() -> None:
    results: list[RequestResult] = []
    async with client_session() as session:
        sender = _Sender(
            endpoint=Endpoint(url="http://127.0.0.1:1"),
            clock=VirtualClock(),
            session=session,
            on_result=results.append,
        )
        sender.send(planned())
        await sender.cancel_rest()
    assert [result.outcome for result in results] == [Outcome.CANCELLED]
    assert sender.count(planned=1) == ReplayCount(planned=1, sent=1, ok=0, failed=0, cancelled=1)


async def test_nothing_planned_ends_at_once() -> None:
    running = Replaying([], url="http://127.0.0.1:1")
    assert await running.task == ReplayCount(planned=0, sent=0, ok=0, failed=0, cancelled=0)


def test_an_endpoint_that_can_serve_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="timeout_seconds is 0"):
        Endpoint(url="http://127.0.0.1:1", timeout_seconds=0)
    with pytest.raises(ValueError, match="in_flight_count is 0"):
        Endpoint(url="http://127.0.0.1:1", in_flight_count=0)
