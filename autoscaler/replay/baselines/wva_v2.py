"""llm-d's variant autoscaler, second law: demand and capacity in tokens of KV cache.

In: peak use of each replica, mean lengths, the setting's limits. Out: the count ordered, any step.
Source: llm-d-workload-variant-autoscaler `internal/engines/analyzers/saturation_v2/`, v0.9.
"""

import math
from collections import deque
from collections.abc import Sequence
from typing import Final

from autoscaler.engine_model.costs import EngineLimits
from autoscaler.replay.baselines.windows import WindowedLengths
from autoscaler.replay.baselines.wva_samples import (
    INTERVAL_SECONDS,
    PeakUse,
    PeakUses,
    hpa_behind,
)
from autoscaler.replay.view import FleetView, Setting

KV_THRESHOLD_RATIO: Final = 0.8
QUEUE_THRESHOLD: Final = 5.0
DOWN_TO_UP_RATIO: Final = 0.70 / 0.85
LENGTHS_SECONDS: Final = 300.0
SATURATED_SAMPLES: Final = 10
OUTPUT_BUCKETS: Final = (100.0, 500.0)


class WvaV2:
    """Knob: `up_utilisation` beyond which it adds, 0.85; it removes below 0.70 / 0.85 of that."""

    interval_seconds = INTERVAL_SECONDS

    def __init__(self, *, setting: Setting, up_utilisation: float = 0.85) -> None:
        self._up = up_utilisation
        self._down = up_utilisation * DOWN_TO_UP_RATIO
        self._limits = setting.limits
        self._peaks = PeakUses()
        self._lengths = WindowedLengths(LENGTHS_SECONDS)
        self._saturated: dict[
            int, deque[float]
        ] = {}  # tokens in use with a queue, by output bucket
        self._hpa = hpa_behind(setting)

    def desired_replicas(self, view: FleetView) -> int:
        """The present count until a request was completed or while no replica is ready."""
        lengths = self._lengths.mean_tokens(
            now_seconds=view.now_seconds,
            requests=view.completed_requests_total,
            prompt_tokens=view.completed_prompt_tokens_total,
            output_tokens=view.completed_output_tokens_total,
        )
        peaks = self._peaks.of(view)
        proposed = current = view.ordered_replicas
        if peaks and lengths is not None:
            demand = _demand_tokens(peaks, view=view, prompt_tokens=lengths[0])
            capacity = self._capacity_tokens(peaks, lengths=lengths)
            proposed = current + self._step(demand, capacity=capacity, view=view)
        return self._hpa.ordered(proposed=proposed, current=current, now_seconds=view.now_seconds)

    def _step(self, demand: float, *, capacity: float, view: FleetView) -> int:
        missing = demand / self._up - view.ordered_replicas * capacity
        if missing > 0:
            return math.ceil(missing / capacity - 1e-9)
        spare = view.ready_replicas * capacity - demand / self._down
        return -math.floor(spare / capacity + 1e-9) if spare > 0 else 0

    def _capacity_tokens(self, peaks: Sequence[PeakUse], *, lengths: tuple[float, float]) -> float:
        """The smaller bound: KV cache, or what was in use once a queue formed, here or elsewhere."""
        seen = self._saturated.setdefault(_bucket(lengths[1]), deque(maxlen=SATURATED_SAMPLES))
        seen.extend(p.kv_used_tokens for p in peaks if p.waiting_requests >= QUEUE_THRESHOLD)
        by_memory = KV_THRESHOLD_RATIO * self._limits.kv_capacity_tokens
        if not seen:
            return capacity_before_saturation(self._limits, lengths=lengths)
        return max(1.0, min(by_memory, sum(seen) / len(seen)))


def capacity_before_saturation(limits: EngineLimits, *, lengths: tuple[float, float]) -> float:
    """Tokens in use one replica is trusted with while none was seen with a queue; 1 or more."""
    prompt, output = lengths
    balanced = limits.max_step_tokens * output / (prompt + output)
    in_use = min(balanced, limits.max_sequence_count) * (prompt + output / 2)
    return max(1.0, min(KV_THRESHOLD_RATIO * limits.kv_capacity_tokens, in_use))


def _demand_tokens(peaks: Sequence[PeakUse], *, view: FleetView, prompt_tokens: float) -> float:
    waiting = sum(peak.waiting_requests for peak in peaks) + view.held_requests
    return sum(peak.kv_used_tokens for peak in peaks) + waiting * prompt_tokens


def _bucket(output_tokens: float) -> int:
    return sum(output_tokens >= edge for edge in OUTPUT_BUCKETS)
