"""Prompt tokens of requests that no engine has seen yet: estimated at admission, corrected later. Pure."""

from collector.gateway.request_body import PromptSize

START_BYTES_PER_TOKEN = 4.0
"""English text under the usual vocabularies of 32,000 to 128,000 entries; only the first guess."""

_START_WEIGHT_TOKENS = 200.0  # the first guess counts like this many measured tokens
_FORGETTING = 0.98  # weight left after each further request: about the last 50 count
_LOW, _HIGH = 0.1, 100.0  # bytes per token outside of this are a broken count


class PromptTokenEstimator:
    """Learns how many bytes of prompt one token of this service has."""

    def __init__(self) -> None:
        self._bytes = START_BYTES_PER_TOKEN * _START_WEIGHT_TOKENS
        self._tokens = _START_WEIGHT_TOKENS

    @property
    def bytes_per_token_ratio(self) -> float:
        """Bytes per token as learned so far."""
        return min(_HIGH, max(_LOW, self._bytes / self._tokens))

    def estimate_tokens(self, size: PromptSize) -> int:
        """At least 1: every prompt has a token."""
        return max(1, size.tokens + round(size.text_bytes / self.bytes_per_token_ratio))

    def learn(self, size: PromptSize, *, prompt_tokens: int) -> None:
        """Takes in what the engine counted; prompts without text teach nothing."""
        of_text = prompt_tokens - size.tokens
        if size.text_bytes <= 0 or of_text <= 0:
            return
        self._bytes = self._bytes * _FORGETTING + size.text_bytes
        self._tokens = self._tokens * _FORGETTING + of_text


class CorrectedCounter:
    """A sum that may be corrected downwards but never shows a smaller value than before.

    What was counted too much is a credit, used up by what comes next.
    """

    def __init__(self) -> None:
        self.total = 0.0
        self._credit = 0.0

    def add(self, amount: float) -> None:
        """Adds `amount`, of either sign."""
        due = amount - self._credit
        self.total += max(0.0, due)
        self._credit = max(0.0, -due)
