"""llm-d's laws that act through KEDA: on latency against the objectives, and on saturation of the pool.

In: latencies since the last look, KV use and queues. Out: the count ordered.
Source: llm-d `guides/workload-autoscaling/slo-aware/` and `keda-epp-saturation/`, release 0.10.
"""

import math
from collections import deque
from typing import Final

import numpy as np

from autoscaler.replay.baselines.hpa_law import (
    PACED,
    SYNC_SECONDS,
    Behaviour,
    HpaController,
    PolicyUnit,
    RatePolicy,
    value_replicas,
)
from autoscaler.replay.baselines.windows import TimeWindow
from autoscaler.replay.view import FleetView, Setting
from autoscaler.replay.workload import FloatArray

LATENCY_QUANTILE: Final = 0.9
RATE_WINDOW_SECONDS: Final = 60.0
SMOOTHING_SECONDS: Final = 45.0
SIGNAL_CAP: Final = 2.0
DOWN_TO_UP_RATIO: Final = 0.40 / 0.55

SLO_BEHAVIOUR: Final = Behaviour(
    up_window_seconds=30.0,
    down_window_seconds=180.0,
    up=(
        RatePolicy(unit=PolicyUnit.RATIO, value=1.0, period_seconds=60.0),
        RatePolicy(unit=PolicyUnit.PODS, value=4.0, period_seconds=60.0),
    ),
    down=(RatePolicy(unit=PolicyUnit.PODS, value=1.0, period_seconds=120.0),),
)


class LlmdSloKeda:
    """Knob: `up_signal`, the share of the objective the P90 may reach, 0.55; down at 0.40 / 0.55 of it."""

    interval_seconds = SYNC_SECONDS

    def __init__(self, *, setting: Setting, up_signal: float = 0.55) -> None:
        objectives = setting.objectives
        self._up = up_signal
        self._down = up_signal * DOWN_TO_UP_RATIO
        self._first_token = _WindowedShare(objectives.time_to_first_token_seconds)
        self._per_token = _WindowedShare(objectives.output_token_seconds)
        self._signal = TimeWindow(SMOOTHING_SECONDS)
        self._controller = HpaController(
            min_replicas=setting.min_replicas,
            max_replicas=setting.max_replicas,
            behaviour=SLO_BEHAVIOUR,
        )

    def desired_replicas(self, view: FleetView) -> int:
        """The HPA's order for the law's count; no latency in the last minute reads as none."""
        now = view.now_seconds
        raw = max(
            self._first_token.share(view.first_token_seconds, now_seconds=now),
            self._per_token.share(view.output_token_seconds, now_seconds=now),
        )
        self._signal.add(min(raw, SIGNAL_CAP), now_seconds=now)
        proposed = self._proposed(self._signal.mean(), view=view)
        return self._controller.ordered(
            proposed=proposed, current=view.ordered_replicas, now_seconds=now
        )

    def _proposed(self, signal: float, *, view: FleetView) -> int:
        current, ready = view.ordered_replicas, view.ready_replicas
        credit = ready / current if 0 < ready < current else 1.0
        if signal > self._up:
            return current + max(0, math.ceil(current * (signal * credit / self._up - 1.0) - 1e-9))
        if signal < self._down:
            return current - math.floor(current * (1.0 - signal / self._down) + 1e-9)
        return current


class _WindowedShare:
    """A latency's quantile over the rate window, as a share of its objective."""

    def __init__(self, objective_seconds: float) -> None:
        self._objective_seconds = objective_seconds
        self._looks: deque[tuple[float, FloatArray]] = deque()

    def share(self, seconds: FloatArray, *, now_seconds: float) -> float:
        """0 when nothing ended within the window, as the published rule has it."""
        self._looks.append((now_seconds, seconds))
        while now_seconds - self._looks[0][0] >= RATE_WINDOW_SECONDS:
            self._looks.popleft()
        values = np.concatenate([look for _, look in self._looks])
        if not len(values):
            return 0.0
        place = max(0, math.ceil(LATENCY_QUANTILE * len(values)) - 1)
        return float(np.partition(values, place)[place]) / self._objective_seconds


QUEUE_TARGET: Final = 2.0


class LlmdEppSaturation:
    """Averages over the pool of KV use and queue. Knob: `target_kv_ratio`, 0.7; the queue's target is 2."""

    interval_seconds = SYNC_SECONDS

    def __init__(self, *, setting: Setting, target_kv_ratio: float = 0.7) -> None:
        self._target_kv_tokens = target_kv_ratio * setting.limits.kv_capacity_tokens
        self._controller = HpaController(
            min_replicas=setting.min_replicas,
            max_replicas=setting.max_replicas,
            behaviour=PACED,
        )

    def desired_replicas(self, view: FleetView) -> int:
        """The larger of both signals' counts; the present one while no replica is ready."""
        current, ready = view.ordered_replicas, view.ready_replicas
        proposed = current
        if ready:
            used = sum(sample.kv_used_tokens for sample in view.replicas) / ready
            queue = view.waiting_requests / ready
            targets = ((used, self._target_kv_tokens), (queue, QUEUE_TARGET))
            proposed = max(
                value_replicas(value, target=target, current=current, ready=ready)
                for value, target in targets
            )
        return self._controller.ordered(
            proposed=proposed, current=current, now_seconds=view.now_seconds
        )
