"""What the gateway must know of a request's body, and the body it sends on. Pure.

The client's bytes are sent on as they came unless the engine knows the model by another name or
usage must be asked for.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from collector.gateway.openai_errors import Rejected, RequestRejected

_MAX_SHOWN = 100  # of a client's text in a message


class Endpoint(Enum):
    """Kinds of request by what can be measured of them."""

    CHAT = "/v1/chat/completions"
    COMPLETIONS = "/v1/completions"
    EMBEDDINGS = "/v1/embeddings"
    OTHER = "other"  # any other body with a model

    @property
    def has_stream_options(self) -> bool:
        """Whether usage can be asked for in a stream."""
        return self in {Endpoint.CHAT, Endpoint.COMPLETIONS}


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSize:
    """How large the prompt is before anybody has tokenised it."""

    text_bytes: int
    tokens: int  # given as token numbers by the client: exact


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceRequest:
    """A well-formed request."""

    endpoint: Endpoint
    model: str
    raw: bytes  # as it came
    document: Mapping[str, object]  # the same, parsed
    prompt: PromptSize
    injects_usage: bool  # a stream whose client did not ask for usage


def parse_request(raw: bytes, *, endpoint: Endpoint) -> InferenceRequest:
    """The request in `raw`. Raises RequestRejected (400) naming the parameter that is wrong."""
    document = _json_object(raw)
    model = document.get("model")
    if not isinstance(model, str) or not model:
        raise _bad("`model` must be a non-empty string", param="model")
    stream = document.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise _bad("`stream` must be true or false", param="stream")
    return InferenceRequest(
        endpoint=endpoint,
        model=model,
        raw=raw,
        document=document,
        prompt=_prompt_size(document),
        injects_usage=endpoint.has_stream_options and stream is True and not _asks_usage(document),
    )


def upstream_body(request: InferenceRequest, *, upstream_model: str | None) -> bytes:
    """The bytes for the engine."""
    renames = upstream_model is not None and upstream_model != request.model
    if not renames and not request.injects_usage:
        return request.raw
    if not renames and "stream_options" not in request.document:
        inside = request.raw.lstrip()[1:]
        return b'{"stream_options":{"include_usage":true},' + inside
    changed = dict(request.document)
    if renames:
        changed["model"] = upstream_model
    if request.injects_usage:
        changed["stream_options"] = _with_usage(changed.get("stream_options"))
    return json.dumps(changed).encode()


def unknown_model(model: str) -> RequestRejected:
    """The 404 for a model that no service offers."""
    return RequestRejected(
        f"The model `{model[:_MAX_SHOWN]}` does not exist. GET /v1/models lists those that do.",
        status=404,
        reason=Rejected.UNKNOWN_MODEL,
        param="model",
    )


def _json_object(raw: bytes) -> dict[str, object]:
    try:
        document = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _bad("The body is not UTF-8") from error
    except RecursionError as error:
        raise _bad("The body is nested too deeply") from error
    except ValueError as error:
        raise _bad(f"The body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise _bad("The body must be a JSON object")
    return document


def _bad(message: str, *, param: str | None = None) -> RequestRejected:
    return RequestRejected(message, status=400, reason=Rejected.BAD_REQUEST, param=param)


def _asks_usage(document: Mapping[str, object]) -> bool:
    options = document.get("stream_options")
    if options is not None and not isinstance(options, dict):
        return True  # wrong, and the engine's answer to it is better than ours
    return isinstance(options, dict) and options.get("include_usage") is True


def _with_usage(options: object) -> dict[str, object]:
    known = options if isinstance(options, dict) else {}
    return {**known, "include_usage": True}


def _prompt_size(document: Mapping[str, object]) -> PromptSize:
    text_bytes = tokens = 0
    for part in _prompt_parts(document):
        if isinstance(part, str):
            text_bytes += (
                len(part) if part.isascii() else len(part.encode("utf-8", "surrogatepass"))
            )
        else:
            tokens += part
    return PromptSize(text_bytes=text_bytes, tokens=tokens)


def _prompt_parts(document: Mapping[str, object]) -> Iterator[str | int]:
    """Strings of text, and numbers of ready-made tokens. Images and sounds are not text."""
    for key in ("prompt", "input", "instructions"):
        yield from _texts(document.get(key))
    yield from _texts(document.get("messages"))
    for key in ("tools", "response_format"):
        if document.get(key):
            yield json.dumps(document[key])


def _texts(value: object) -> Iterator[str | int]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from _texts(value.get("content"))
        yield from _texts(value.get("text"))
    elif isinstance(value, list) and value and isinstance(value[0], int):
        yield len(value)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
