"""What one chunk or one whole answer of an OpenAI-compatible engine says about itself. Pure.

Only what is measured is read; everything else passes by. Odd shapes are never an error: the
bytes are the client's business, and an unreadable chunk is a chunk that says nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

USAGE_TAIL_BYTES = 1 << 16
"""Engines put `usage` last; of a large answer only this much is searched for it."""

MAX_TOKENS = 1_000_000_000
"""No answer has more; a larger number is a broken engine and is taken for no number."""

_OTHER_CONTENT_KEYS = (
    "reasoning_content",
    "reasoning",
    "tool_calls",
    "function_call",
    "refusal",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as the engine counted them; None where it did not say."""

    prompt_tokens: int | None
    completion_tokens: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One event of a stream, or one whole answer."""

    has_content: bool = False  # carries at least a part of a token
    usage: Usage | None = None
    is_usage_only: bool = False  # the extra chunk that `include_usage` asks for
    is_error: bool = False
    is_finish: bool = False  # has a finish_reason
    is_engine_abort: bool = False  # vLLM put to sleep in mode `abort` says so under HTTP 200
    is_end: bool = False  # [DONE]


_NOTHING = Chunk()
_END = Chunk(is_end=True)


def read_chunk(data: bytes) -> Chunk:
    """What `data` says; an empty Chunk for anything that is not a JSON object."""
    if data.strip() == b"[DONE]":
        return _END
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return _NOTHING
    if not isinstance(document, dict):
        return _NOTHING
    choices = document.get("choices")
    usage = _usage(document.get("usage"))
    has_content = is_finish = is_engine_abort = False
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            has_content = has_content or _has_content(choice)
            reason = choice.get("finish_reason")
            is_finish = is_finish or bool(reason)
            is_engine_abort = is_engine_abort or reason == "abort"
    return Chunk(
        has_content=has_content,
        usage=usage,
        is_usage_only=usage is not None and choices == [],
        is_error=document.get("error") is not None,
        is_finish=is_finish,
        is_engine_abort=is_engine_abort,
    )


def usage_at_end(tail: bytes) -> Usage | None:
    """The last `usage` object within the end of a large answer; None when there is none."""
    start = tail.rfind(b'"usage"')
    brace = tail.find(b"{", start)
    if start < 0 or brace < 0:
        return None
    try:
        document, _ = json.JSONDecoder().raw_decode(tail[brace:].decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    return _usage(document)


def _has_content(choice: Mapping[str, object]) -> bool:
    if choice.get("text"):
        return True
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        return False
    return bool(delta.get("content")) or any(delta.get(key) for key in _OTHER_CONTENT_KEYS)


def _usage(value: object) -> Usage | None:
    if not isinstance(value, dict):
        return None
    return Usage(  # the second names are those of /v1/responses and /v1/messages
        prompt_tokens=_count(value.get("prompt_tokens", value.get("input_tokens"))),
        completion_tokens=_count(value.get("completion_tokens", value.get("output_tokens"))),
    )


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= MAX_TOKENS else None
