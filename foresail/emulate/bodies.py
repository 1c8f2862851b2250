"""What clients send to the OpenAI routes, read as vLLM reads it.

In: JSON. Out: `Asked`, or `Refused` with the status and the error that vLLM answers. Text is only counted: a
token per word or per four bytes, whichever is more; a prompt of token ids counts exactly.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from foresail.emulate.engine import Order
from foresail.emulate.settings import EngineSettings

_COMPLETION_DEFAULT_TOKENS = 16
_TEMPLATE_TOKENS = 4  # a chat template's share per message


class Refused(Exception):
    """The request is answered with an error; `body` is its JSON."""

    def __init__(self, message: str, *, status: int, kind: str, param: str | None) -> None:
        super().__init__(message)
        self.status = status
        error = {"message": message, "type": kind, "param": param, "code": status}
        self.body: Mapping[str, object] = {"error": error}


class _StreamOptions(BaseModel):
    model_config = ConfigDict(extra="ignore")
    include_usage: bool = False


class _Common(BaseModel):
    model_config = ConfigDict(extra="ignore")
    model: str | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    n: int = 1
    stream: bool = False
    stream_options: _StreamOptions | None = None


class _Completion(_Common):
    prompt: str | list[int] | list[str]


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore")
    role: str
    content: str | list[dict[str, Any]] | None = None  # Any: parts of many kinds, only text counts


class _Chat(_Common):
    messages: list[_Message] = Field(min_length=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that can be served."""

    order: Order
    is_chat: bool
    is_streamed: bool
    wants_usage: bool


def read_body(raw: bytes, *, is_chat: bool, settings: EngineSettings) -> Asked:
    """The request. Raises Refused."""
    body = _validated(raw, is_chat=is_chat)
    if body.model is not None and body.model != settings.model_name:
        raise Refused(
            f"The model `{body.model}` does not exist. Valid aliases: {settings.model_name}.",
            status=404,
            kind="NotFoundError",
            param="model",
        )
    if body.n != 1:
        raise _bad(f"n={body.n}: the emulated engine gives one answer only.", param="n")
    order = _order(body, settings=settings)
    options = body.stream_options
    return Asked(
        order=order,
        is_chat=is_chat,
        is_streamed=body.stream,
        wants_usage=options is not None and options.include_usage,
    )


def _validated(raw: bytes, *, is_chat: bool) -> _Completion | _Chat:
    try:
        return _Chat.model_validate_json(raw) if is_chat else _Completion.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or None
        raise Refused(
            f"{error.error_count()} validation error: {place}: {first['msg']}",
            status=400,
            kind="Bad Request",
            param=place,
        ) from error


def _order(body: _Completion | _Chat, *, settings: EngineSettings) -> Order:
    longest = settings.max_model_tokens
    asked = body.max_completion_tokens or body.max_tokens
    if asked is not None and asked > longest:
        raise _bad(
            f"max_tokens={asked} cannot be greater than max_model_len={longest}. Please request "
            f"fewer output tokens. (parameter=max_tokens, value={asked})",
            param="max_tokens",
        )
    prompt = _prompt_tokens(body)
    room = longest - prompt
    if room < max(asked or 1, 1):
        raise _bad(
            f"The model takes {longest} tokens, prompt and answer together; this prompt has "
            f"{prompt} and {asked or 1} are to be made. (parameter=input_tokens, value={prompt})",
            param="input_tokens",
        )
    if asked is not None:
        return Order(prompt_tokens=prompt, output_tokens=asked, finish_reason="length")
    if isinstance(body, _Completion):
        output = min(_COMPLETION_DEFAULT_TOKENS, room)
        return Order(prompt_tokens=prompt, output_tokens=output, finish_reason="length")
    output = min(settings.default_output_tokens, room)
    return Order(prompt_tokens=prompt, output_tokens=output, finish_reason="stop")


def _prompt_tokens(body: _Completion | _Chat) -> int:
    if isinstance(body, _Chat):
        return sum(_TEMPLATE_TOKENS + _text_tokens(_text(each)) for each in body.messages)
    if isinstance(body.prompt, str):
        return max(1, _text_tokens(body.prompt))
    if all(isinstance(part, int) for part in body.prompt):
        return max(1, len(body.prompt))
    if len(body.prompt) != 1:
        raise _bad("the emulated engine takes one prompt at a time.", param="prompt")
    return max(1, _text_tokens(str(body.prompt[0])))


def _text(message: _Message) -> str:
    if isinstance(message.content, str):
        return message.content
    return " ".join(str(part.get("text", "")) for part in message.content or ())


def _text_tokens(text: str) -> int:
    return max(len(text.split()), (len(text.encode()) + 3) // 4)


def _bad(message: str, *, param: str) -> Refused:
    return Refused(message, status=400, kind="BadRequestError", param=param)
