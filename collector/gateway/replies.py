"""The gateway's own answers, errors among them."""

import json
from collections.abc import Iterable

from aiohttp import web

from collector.gateway.books import FinishReason
from collector.gateway.openai_errors import error_body

_STATUS = {
    FinishReason.QUEUE_FULL: 429,
    FinishReason.DISCONNECTED: 502,
    FinishReason.TRUNCATED: 502,
    FinishReason.UPSTREAM_TIMEOUT: 504,
}
_MEANING = {
    FinishReason.UNREACHABLE: "no replica could be connected to",
    FinishReason.DISCONNECTED: "the engine closed the connection before it answered",
    FinishReason.TRUNCATED: "the engine broke off in the middle of its answer",
    FinishReason.UPSTREAM_TIMEOUT: "the engine said nothing for too long",
    FinishReason.QUEUE_FULL: "its queue is full",
    FinishReason.HOLD_DEADLINE: "no replica got free or came up in time",
    FinishReason.NO_REPLICA: "no replica serves it and requests for it are not held",
    FinishReason.SERVICE_REMOVED: "it was taken out of service",
    FinishReason.STOPPING: "the gateway is stopping",
}


def json_reply(document: object, *, status: int = 200) -> web.Response:
    """Any JSON answer."""
    return web.Response(
        body=json.dumps(document).encode(), status=status, content_type="application/json"
    )


def error_reply(
    message: str,
    *,
    status: int,
    code: str,
    param: str | None = None,
    headers: dict[str, str] | None = None,
) -> web.Response:
    """An error in OpenAI's shape."""
    return web.Response(
        body=error_body(message, status=status, code=code, param=param),
        status=status,
        content_type="application/json",
        headers=headers,
    )


def status_of(reason: FinishReason) -> int:
    """The HTTP status for a request that ended for `reason` before its answer began."""
    return _STATUS.get(reason, 503)


def message_of(model: str, reason: FinishReason) -> str:
    """One sentence for the client."""
    return f"The model `{model}` cannot answer: {_MEANING.get(reason, reason.value)}."


def refusal_reply(model: str, reason: FinishReason, *, retry_after_seconds: int) -> web.Response:
    """A request that got no answer from an engine, with when to try again."""
    return error_reply(
        f"{message_of(model, reason)} Try again in {retry_after_seconds} s.",
        status=status_of(reason),
        code=reason.value,
        headers={"Retry-After": str(retry_after_seconds)},
    )


def models_reply(models: Iterable[str], *, created_timestamp_seconds: float) -> web.Response:
    """OpenAI's list of models."""
    entries = [model_entry(m, created_timestamp_seconds=created_timestamp_seconds) for m in models]
    return json_reply({"object": "list", "data": entries})


def model_entry(model: str, *, created_timestamp_seconds: float) -> dict[str, object]:
    """One model as OpenAI's API shows it."""
    return {
        "id": model,
        "object": "model",
        "created": int(created_timestamp_seconds),
        "owned_by": "foresail",
    }
