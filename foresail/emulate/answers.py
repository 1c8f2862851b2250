"""Answers in the shape vLLM gives them: whole, and as events of a stream.

In: what was asked and deltas of the engine. Out: dictionaries. The text is the same word for every
token; only its length means something.
"""

from dataclasses import dataclass

from foresail.emulate.bodies import Asked

_WORD = " token"
FINGERPRINT = "vllm-0.32.0-emulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Makes the parts of one answer."""

    asked: Asked
    number: str
    model: str
    created: int  # epoch seconds

    def _head(self, kind: str) -> dict[str, object]:
        prefix = "chatcmpl" if self.asked.is_chat else "cmpl"
        return {
            "id": f"{prefix}-{self.number}",
            "object": kind,
            "created": self.created,
            "model": self.model,
        }

    def whole(self, *, token_count: int, finish_reason: str) -> dict[str, object]:
        """The answer of a request that does not stream."""
        ends: dict[str, object] = {
            "service_tier": None,
            "system_fingerprint": FINGERPRINT,
            "usage": {
                **self.usage(token_count),
                "prompt_tokens_details": None,
                "completion_tokens_details": None,
            },
            "kv_transfer_params": None,
            "ec_transfer_params": None,
            "metrics": None,
        }
        text = _WORD * token_count
        if self.asked.is_chat:
            message: dict[str, object] = {
                "role": "assistant",
                "content": text,
                "refusal": None,
                "tool_calls": [],
            }
            choice: dict[str, object] = {"index": 0, "message": message, "logprobs": None}
            choice |= {"finish_reason": finish_reason, "stop_reason": None, "token_ids": None}
            return {**self._head("chat.completion"), "choices": [choice], **ends}
        choice = {
            "index": 0,
            "text": text,
            "logprobs": None,
            "finish_reason": finish_reason,
            "stop_reason": None,
            "token_ids": None,
            "prompt_logprobs": None,
            "prompt_token_ids": None,
            "routed_experts": None,
        }
        return {**self._head("text_completion"), "choices": [choice], **ends}

    def opening(self) -> dict[str, object] | None:
        """The first event of a chat: the role, before any token; None for a completion."""
        if not self.asked.is_chat:
            return None
        delta = {"role": "assistant", "content": ""}
        return self._chunk({"delta": delta, "logprobs": None, "finish_reason": None})

    def part(self, *, token_count: int, finish_reason: str | None) -> dict[str, object]:
        """An event with the tokens made since the last one."""
        text = _WORD * token_count
        content: dict[str, object] = (
            {"delta": {"content": text} if text else {}} if self.asked.is_chat else {"text": text}
        )
        return self._chunk(
            {**content, "logprobs": None, "finish_reason": finish_reason, "stop_reason": None}
        )

    def usage_part(self, token_count: int) -> dict[str, object]:
        """The last event when usage was asked for: no choices, only counts."""
        return {**self._head(self._chunk_kind), "choices": [], "usage": self.usage(token_count)}

    def usage(self, token_count: int) -> dict[str, int]:
        """Tokens of prompt and answer."""
        prompt = self.asked.order.prompt_tokens
        return {
            "prompt_tokens": prompt,
            "total_tokens": prompt + token_count,
            "completion_tokens": token_count,
        }

    @property
    def _chunk_kind(self) -> str:
        return "chat.completion.chunk" if self.asked.is_chat else "text_completion"

    def _chunk(self, choice: dict[str, object]) -> dict[str, object]:
        return {**self._head(self._chunk_kind), "choices": [{"index": 0, **choice}]}
