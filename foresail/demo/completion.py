"""One streamed chat completion, sent to an OpenAI-compatible endpoint and timed by the client.

In: a planned request. Out: a `RequestResult` whatever happens: an answer, an HTTP error, an error
inside the stream, a stream cut short, no connection, a timeout. `load` sends many of
them. It reads streams with its own few lines, not with the gateway's code that it also tests. Logs
nothing; a result carries no text of a prompt or an answer.
"""

import hashlib
import json
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from typing import Final

import aiohttp

from collector.clock import Clock
from foresail.demo.tiny_model import TEMPLATE_TOKENS
from foresail.demo.trace import PlannedRequest

_PATH: Final = "/v1/chat/completions"
_HTTP_OK: Final = 200
_LARGEST_REASON: Final = 200  # characters
_END_OF_STREAM: Final = b"[DONE]"


class Outcome(Enum):
    """How a request ended. All but OK and CANCELLED are failures."""

    OK = "ok"
    HTTP_ERROR = "http_error"  # a status other than 200
    STREAM_ERROR = "stream_error"  # an error, or something unreadable, after the status 200
    TRUNCATED = "truncated"  # the stream ended without a finish_reason or [DONE]
    CONNECTION_ERROR = "connection_error"  # no answer came
    TIMEOUT = "timeout"
    OVERFLOW = "overflow"  # not sent: this client had too many requests in flight
    CANCELLED = "cancelled"  # by this client, at its own end


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestResult:
    """What one request got, as its client saw it."""

    request: PlannedRequest
    outcome: Outcome
    sent_at_seconds: float  # since the start of the replay; minus at_seconds = how late
    end_to_end_seconds: float  # from sending until the outcome was known
    http_status: int | None = None  # None: no answer came
    time_to_first_token_seconds: float | None = None  # None: no token came
    inter_token_seconds: tuple[float, ...] = ()  # between one token and the next
    prompt_tokens: int | None = None  # as the server counted; None: it did not say
    output_tokens: int = 0  # as the server counted, else the chunks that came
    reason: str | None = None  # of a failure: the server's code or type, or the exception's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where completions are sent, and how long and how many of them may wait there."""

    url: str  # without the path; e.g. http://127.0.0.1:8000
    timeout_seconds: float = 60.0  # for a whole answer, its time in a queue included
    in_flight_count: int = 512  # requests of a replay at the same time; each holds a socket
    api_key: str | None = None  # sent as a bearer token
    characters_per_token: int = 1  # of prompts, as its engines count them

    def __post_init__(self) -> None:
        if not self.timeout_seconds > 0:
            raise ValueError(f"timeout_seconds is {self.timeout_seconds}, must be more than 0")
        if self.in_flight_count < 1:
            raise ValueError(f"in_flight_count is {self.in_flight_count}, must be at least 1")


@dataclass(slots=True, kw_only=True)
class _Stream:
    """What has been read of one answer so far."""

    token_times: list[float] = field(default_factory=list)
    http_status: int | None = None
    prompt_tokens: int | None = None
    output_tokens: int | None = None
    is_complete: bool = False
    error: str | None = None


def client_session() -> aiohttp.ClientSession:
    """A session whose every request has a connection of its own.

    llama.cpp's server closes a connection after a stream without saying so; a client that re-uses
    it fails on its next request.
    """
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0, force_close=True))


async def send_completion(
    request: PlannedRequest,
    *,
    endpoint: Endpoint,
    session: aiohttp.ClientSession,
    clock: Clock,
    started_monotonic_seconds: float,
) -> RequestResult:
    """The request's result; raises nothing but CancelledError."""
    sent = clock.monotonic_seconds()
    stream = _Stream()
    outcome, reason = await _outcome(request, stream, endpoint, session=session, clock=clock)
    times = stream.token_times
    return RequestResult(
        request=request,
        outcome=outcome,
        sent_at_seconds=sent - started_monotonic_seconds,
        end_to_end_seconds=clock.monotonic_seconds() - sent,
        http_status=stream.http_status,
        time_to_first_token_seconds=times[0] - sent if times else None,
        inter_token_seconds=tuple(later - earlier for earlier, later in pairwise(times)),
        prompt_tokens=stream.prompt_tokens,
        output_tokens=len(times) if stream.output_tokens is None else stream.output_tokens,
        reason=reason[:_LARGEST_REASON] if reason else None,
    )


def prompt_text(request: PlannedRequest, *, characters_per_token: int = 1) -> str:
    """Letters, so many for each token that the chat template leaves; different for every request.

    So no engine can answer from what it remembers of another prompt.
    """
    letters = max(1, request.prompt_tokens - TEMPLATE_TOKENS) * characters_per_token
    name = f"{request.service}/{request.index}".encode()
    return hashlib.shake_128(name).hexdigest((letters + 1) // 2)[:letters]


async def _outcome(
    request: PlannedRequest,
    stream: _Stream,
    endpoint: Endpoint,
    *,
    session: aiohttp.ClientSession,
    clock: Clock,
) -> tuple[Outcome, str | None]:
    """How it ended and why; what was read until then is in `stream`."""
    try:
        await _exchange(request, stream, endpoint, session=session, clock=clock)
    except TimeoutError:
        return Outcome.TIMEOUT, f"no end after {endpoint.timeout_seconds:g} s"
    except (aiohttp.ClientError, OSError) as problem:
        if stream.http_status is None:
            return Outcome.CONNECTION_ERROR, type(problem).__name__
    except ValueError as problem:
        return Outcome.STREAM_ERROR, f"unreadable: {type(problem).__name__}"
    return _judged(stream)


def _judged(stream: _Stream) -> tuple[Outcome, str | None]:
    """The outcome of an exchange that was read to its end, wherever that was."""
    if stream.http_status != _HTTP_OK:
        return Outcome.HTTP_ERROR, stream.error
    if stream.error is not None:
        return Outcome.STREAM_ERROR, stream.error
    if not stream.is_complete:
        return Outcome.TRUNCATED, "the stream ended before the answer"
    return Outcome.OK, None


async def _exchange(
    request: PlannedRequest,
    stream: _Stream,
    endpoint: Endpoint,
    *,
    session: aiohttp.ClientSession,
    clock: Clock,
) -> None:
    headers = {"Authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
    async with session.post(
        endpoint.url.rstrip("/") + _PATH,
        json=_body(request, characters_per_token=endpoint.characters_per_token),
        headers=headers,
        timeout=aiohttp.ClientTimeout(total=endpoint.timeout_seconds),
    ) as response:
        stream.http_status = response.status
        if response.status != _HTTP_OK:
            stream.error = _error_reason(await response.read())
            return
        async for line in response.content:
            if line.startswith(b"data:") and _ends(line[5:].strip(), stream=stream, clock=clock):
                return


def _body(request: PlannedRequest, *, characters_per_token: int) -> dict[str, object]:
    prompt = prompt_text(request, characters_per_token=characters_per_token)
    return {
        "model": request.service,
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": request.output_tokens,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def _ends(data: bytes, *, stream: _Stream, clock: Clock) -> bool:
    """Whether this event is the last one; notes in `stream` what it says.

    Raises: ValueError if it is no JSON object.
    """
    if data == _END_OF_STREAM:
        stream.is_complete = True
        return True
    event = json.loads(data)
    if not isinstance(event, dict):
        raise ValueError(f"an event is a {type(event).__name__}")  # noqa: TRY004 - of the data
    if "error" in event:
        stream.error = _error_reason(data)
        return True
    if _has_token(event):
        stream.token_times.append(clock.monotonic_seconds())
    if any(choice.get("finish_reason") for choice in _choices(event)):
        stream.is_complete = True
    if isinstance(usage := event.get("usage"), dict):
        stream.prompt_tokens = _count(usage.get("prompt_tokens"))
        stream.output_tokens = _count(usage.get("completion_tokens"))
    return False


def _has_token(event: dict[str, object]) -> bool:
    deltas = [choice.get("delta") for choice in _choices(event)]
    return any(
        isinstance(delta, dict) and (delta.get("content") or delta.get("reasoning_content"))
        for delta in deltas
    )


def _choices(event: dict[str, object]) -> list[dict[str, object]]:
    choices = event.get("choices")
    if not isinstance(choices, list):
        return []
    return [choice for choice in choices if isinstance(choice, dict)]


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None


def _error_reason(body: bytes) -> str:
    """The error's code or type; not its message, which may repeat the prompt."""
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return "an error without a code"
    if isinstance(error, dict):
        return str(error.get("code") or error.get("type") or "an error without a code")
    return "an error without a code"
