"""An OpenAI-like engine written by hand, with every fault on command.

`Upstream.behaviour` is what it does; a request's header `X-Behave` (JSON of `Behaviour`) changes it
for that request alone, since the gateway passes such headers on.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from aiohttp import web


class Fault(StrEnum):
    """What goes wrong."""

    NONE = "none"
    CLOSE_BEFORE_HEAD = "close_before_head"  # takes the request, hangs up without a byte
    CLOSE_AFTER_HEAD = "close_after_head"  # status and headers, then hangs up
    CLOSE_MID_ANSWER = "close_mid_answer"
    HANG_MID_ANSWER = "hang_mid_answer"
    HANG_BEFORE_HEAD = "hang_before_head"
    ERROR_EVENT = "error_event"  # inside a stream under 200
    ABORT = "abort"  # finish_reason abort, as vLLM put to sleep
    NO_END = "no_end"  # a stream that just ends
    STATUS_400 = "status_400"
    STATUS_500 = "status_500"
    STATUS_503 = "status_503"
    GARBAGE = "garbage"  # not HTTP


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """How requests are answered."""

    fault: Fault = Fault.NONE
    tokens: int = 4
    tokens_per_chunk: int = 1
    prompt_tokens: int = 7
    gives_usage: bool = True
    first_delay_seconds: float = 0.0
    delay_seconds: float = 0.0
    line_end: str = "\n"
    split_bytes: int = 0  # 0: an event per write; else writes of this many bytes


def behave(**changes: Any) -> dict[str, str]:
    """The header that makes one request behave otherwise."""
    return {"X-Behave": json.dumps(changes)}


@dataclass
class Seen:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        """The body parsed."""
        parsed: dict[str, Any] = json.loads(self.body)
        return parsed


@dataclass
class Upstream:
    """One running engine."""

    behaviour: Behaviour = Behaviour()
    name: str = "engine"
    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    disconnects: int = 0  # clients that went away while being served
    running: int = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Any request."""
        raw = await request.read()
        self.seen.append(Seen(request.method, request.raw_path, dict(request.headers.items()), raw))
        changes = json.loads(request.headers.get("X-Behave", "{}"))
        behaviour = Behaviour(**{**asdict(self.behaviour), **changes})
        behaviour = replace(behaviour, fault=Fault(behaviour.fault))
        self.running += 1
        try:
            return await _answer(request, json.loads(raw or b"{}"), behaviour)
        except asyncio.CancelledError:
            self.disconnects += 1
            raise
        finally:
            self.running -= 1


async def _answer(
    request: web.BaseRequest, body: dict[str, Any], behaviour: Behaviour
) -> web.StreamResponse:
    await asyncio.sleep(behaviour.first_delay_seconds)
    match behaviour.fault:
        case Fault.CLOSE_BEFORE_HEAD:
            return _hang_up(request)
        case Fault.HANG_BEFORE_HEAD:
            await asyncio.sleep(3600)
        case Fault.GARBAGE:
            assert request.transport is not None
            request.transport.write(b"\x00\x01 not HTTP at all\r\n\r\n")
            return _hang_up(request)
        case Fault.STATUS_400 | Fault.STATUS_500 | Fault.STATUS_503:
            status = int(behaviour.fault.value[-3:])
            error = {"error": {"message": "from the engine", "type": "x", "code": status}}
            return web.json_response(error, status=status)
        case _:
            pass
    if "embeddings" in request.path:
        return await _whole(request, _embedding(behaviour), behaviour)
    if body.get("stream"):
        return await _stream(request, body, behaviour)
    return await _whole(request, _completion(request.path, behaviour), behaviour)


def _hang_up(request: web.BaseRequest) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


def _usage(behaviour: Behaviour) -> dict[str, int]:
    prompt, tokens = behaviour.prompt_tokens, behaviour.tokens
    return {"prompt_tokens": prompt, "completion_tokens": tokens, "total_tokens": prompt + tokens}


def _embedding(behaviour: Behaviour) -> dict[str, Any]:
    found: dict[str, Any] = {"object": "list", "data": [{"embedding": [0.5], "index": 0}]}
    if behaviour.gives_usage:
        prompt = behaviour.prompt_tokens
        found["usage"] = {"prompt_tokens": prompt, "total_tokens": prompt}
    return found


def _completion(path: str, behaviour: Behaviour) -> dict[str, Any]:
    text = " ".join(f"t{number}" for number in range(behaviour.tokens))
    reason = "abort" if behaviour.fault is Fault.ABORT else "stop"
    choice: dict[str, Any] = {"index": 0, "finish_reason": reason}
    choice |= {"message": {"content": text}} if "chat" in path else {"text": text}
    found: dict[str, Any] = {"id": "x", "object": "completion", "choices": [choice]}
    return found | ({"usage": _usage(behaviour)} if behaviour.gives_usage else {})


async def _whole(
    request: web.BaseRequest, document: dict[str, Any], behaviour: Behaviour
) -> web.StreamResponse:
    body = json.dumps(document).encode()
    response = web.StreamResponse(headers={"Content-Type": "application/json", "X-Engine": "yes"})
    response.content_length = len(body)
    await response.prepare(request)
    half = len(body) // 2
    if behaviour.fault is Fault.CLOSE_AFTER_HEAD:
        await response.write(b"")
        return _hang_up(request)
    await response.write(body[:half])
    if behaviour.fault is Fault.CLOSE_MID_ANSWER:
        return _hang_up(request)
    if behaviour.fault is Fault.HANG_MID_ANSWER:
        await asyncio.sleep(3600)
    await asyncio.sleep(behaviour.delay_seconds)
    await response.write(body[half:])
    await response.write_eof()
    return response


async def _stream(
    request: web.BaseRequest, body: dict[str, Any], behaviour: Behaviour
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    if behaviour.fault is Fault.CLOSE_AFTER_HEAD:
        await response.write(b"")
        return _hang_up(request)
    events = list(_events(request.path, body, behaviour))
    for number, event in enumerate(events):
        if number == len(events) // 2 and behaviour.fault is Fault.CLOSE_MID_ANSWER:
            await response.write(event.encode()[:9])
            return _hang_up(request)
        if number == len(events) // 2 and behaviour.fault is Fault.HANG_MID_ANSWER:
            await asyncio.sleep(3600)
        await _write_event(response, event, behaviour)
        await asyncio.sleep(behaviour.delay_seconds)
    await response.write_eof()
    return response


async def _write_event(response: web.StreamResponse, event: str, behaviour: Behaviour) -> None:
    raw = event.replace("\n", behaviour.line_end).encode()
    size = behaviour.split_bytes or len(raw)
    for start in range(0, len(raw), size):
        await response.write(raw[start : start + size])
        if behaviour.split_bytes:
            await asyncio.sleep(0)


def _events(path: str, body: dict[str, Any], behaviour: Behaviour) -> list[str]:
    is_chat = "chat" in path
    events = [": hello\n\n"]
    if is_chat:
        events.append(_event({"delta": {"role": "assistant"}, "finish_reason": None}))
    left = behaviour.tokens
    while left > 0:
        count = min(left, behaviour.tokens_per_chunk)
        text = "".join(f"t{number} " for number in range(count))
        choice = {"delta": {"content": text}} if is_chat else {"text": text}
        events.append(_event({**choice, "finish_reason": None}))
        left -= count
    if behaviour.fault is Fault.ERROR_EVENT:
        return [*events, 'data: {"error": {"message": "queue is full", "code": 503}}\n\n']
    if behaviour.fault is Fault.NO_END:
        return events
    reason = "abort" if behaviour.fault is Fault.ABORT else "stop"
    events.append(_event({"delta": {}, "text": "", "finish_reason": reason}))
    wants_usage = (body.get("stream_options") or {}).get("include_usage")
    if wants_usage and behaviour.gives_usage:
        events.append("data: " + json.dumps({"choices": [], "usage": _usage(behaviour)}) + "\n\n")
    return [*events, "data: [DONE]\n\n"]


def _event(choice: dict[str, Any]) -> str:
    return "data: " + json.dumps({"id": "x", "choices": [{"index": 0, **choice}]}) + "\n\n"


@contextlib.asynccontextmanager
async def running_upstream(
    behaviour: Behaviour | None = None, *, port: int = 0, name: str = "engine"
) -> AsyncIterator[Upstream]:
    """An engine on a free loopback port (or on `port`)."""
    upstream = Upstream(behaviour=behaviour or Behaviour(), name=name)
    server = web.Server(upstream.handle, handler_cancellation=True, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    upstream.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield upstream
    finally:
        await runner.cleanup()
