"""What one aggregated engine sustains, as Dynamo's planner works it out. Pure.

In: true step costs and limits of the setting, lengths, targets. Out: step and first-token times, and
the request rate and batch at which one engine just keeps both targets. Dynamo fits two regressions to
measured steps; here the truth takes their place, which favours every policy that uses it.
Source: ai-dynamo/dynamo 1.6 `planner/core/perf_model/agg.py`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from autoscaler.engine_model.costs import PICOSECONDS_PER_SECOND
from autoscaler.replay.view import Objectives, Setting


@dataclass(frozen=True, slots=True, kw_only=True)
class Sustained:
    """Of one engine at its limit."""

    requests_per_second: float
    batch_requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """Tokens of the mean request; both above 0."""

    prompt_tokens: float
    output_tokens: float

    @property
    def context_tokens(self) -> float:
        """Held on average while it decodes."""
        return self.prompt_tokens + self.output_tokens / 2


class EnginePerformance:
    """One engine's times."""

    def __init__(self, setting: Setting) -> None:
        self._costs = setting.costs
        self._limits = setting.limits

    def mean_step_seconds(self, *, batch: float, kv_tokens: float, mix: Mix) -> float:
        """Of the steps in which a batch decodes while as many prompts come in as answers end."""
        prefill = min(
            batch * mix.prompt_tokens / max(1.0, mix.output_tokens), self._limits.max_step_tokens
        )
        chunk = min(mix.prompt_tokens, self._limits.max_step_tokens)
        # Prompts come whole: below one a step, some steps have one and the others none.
        share = min(1.0, prefill / chunk)
        with_prompt = self._prefill_seconds(max(prefill, chunk), mix=mix)
        computed = share * with_prompt + (1.0 - share) * _seconds(self._costs.floor_picoseconds)
        return computed + self._decode_seconds(batch=batch, kv_tokens=kv_tokens)

    def first_token_seconds(
        self, *, queued_tokens: float, batch: float, kv_tokens: float, mix: Mix
    ) -> float:
        """Of a request that comes behind `queued_tokens` of prompts."""
        total, limit = queued_tokens + mix.prompt_tokens, self._limits.max_step_tokens
        full, rest = divmod(total, limit)
        seconds = full * self._prefill_seconds(limit, mix=mix)
        if rest:
            seconds += self._prefill_seconds(rest, mix=mix)
        steps = math.ceil(total / limit)
        return seconds + steps * self._decode_seconds(batch=batch, kv_tokens=kv_tokens)

    def sustained(self, mix: Mix, *, objectives: Objectives, scale: float = 1.0) -> Sustained:
        """The largest batch that keeps both objectives times `scale`; a batch of one if none does."""
        batch = _last_true(
            self._most_requests(mix),
            lambda batch: self._keeps(batch, mix=mix, objectives=objectives, scale=scale),
        )
        return Sustained(
            requests_per_second=self._requests_per_second(batch, mix=mix), batch_requests=batch
        )

    def batch_at_rate(self, requests_per_second: float, *, mix: Mix, most_requests: int) -> int:
        """Requests in an engine that gets so many; between 1 and `most_requests`."""
        below = _last_true(
            most_requests,
            lambda batch: self._requests_per_second(batch, mix=mix) < requests_per_second,
        )
        return min(most_requests, below + 1)

    def _requests_per_second(self, batch: int, *, mix: Mix) -> float:
        kv_tokens = batch * mix.context_tokens
        step = self.mean_step_seconds(batch=batch, kv_tokens=kv_tokens, mix=mix)
        return batch / (mix.output_tokens * step)

    def _most_requests(self, mix: Mix) -> int:
        """By KV cache, by slots, and by the balance of prompts in and answers out."""
        limits = self._limits
        by_cache = limits.kv_capacity_tokens / mix.context_tokens
        balanced = limits.max_step_tokens - mix.prompt_tokens / mix.output_tokens
        return max(1, int(min(by_cache, balanced, limits.max_sequence_count)))

    def latencies(self, batch: int, *, mix: Mix) -> tuple[float, float]:
        """(step, first token) in seconds of an engine that decodes `batch` as prompts come in."""
        kv_tokens = batch * mix.context_tokens
        step = self.mean_step_seconds(batch=batch, kv_tokens=kv_tokens, mix=mix)
        queued = min(
            batch * mix.prompt_tokens / max(1.0, mix.output_tokens), self._limits.max_step_tokens
        )
        first = self.first_token_seconds(
            queued_tokens=queued, batch=batch, kv_tokens=kv_tokens, mix=mix
        )
        return step, first

    def _keeps(self, batch: int, *, mix: Mix, objectives: Objectives, scale: float) -> bool:
        step, first = self.latencies(batch, mix=mix)
        return (
            step <= objectives.output_token_seconds * scale
            and first <= objectives.time_to_first_token_seconds * scale
        )

    def _prefill_seconds(self, tokens: float, *, mix: Mix) -> float:
        square = tokens * mix.prompt_tokens / 2
        picoseconds = self._costs.prefill_picoseconds(tokens=round(tokens), square=round(square))
        return _seconds(picoseconds)

    def _decode_seconds(self, *, batch: float, kv_tokens: float) -> float:
        costs = self._costs
        return _seconds(
            costs.sequence_picoseconds * batch + costs.context_token_picoseconds * kv_tokens
        )


def _seconds(picoseconds: float) -> float:
    return picoseconds / PICOSECONDS_PER_SECOND


def _last_true(most: int, holds: Callable[[int], bool]) -> int:
    """The largest of 1 to `most` for which it holds, when it holds up to some number; else 1."""
    low, high = 1, most
    while low < high:
        middle = (low + high + 1) // 2
        if holds(middle):
            low = middle
        else:
            high = middle - 1
    return low
