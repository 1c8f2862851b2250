"""AIBrix's pod autoscaler, strategy APA, on the share of the KV cache in use.

In: what each ready replica tells. Out: the count ordered. Two readings of one law: as its
documentation has it, and as the code of main of 2026-08 does it.
Source: vllm-project/aibrix `pkg/controller/podautoscaler/algorithm/apa.go`, `context/context.go`.
"""

import math
from typing import Final

from autoscaler.replay.baselines.windows import TimeWindow
from autoscaler.replay.view import FleetView, Setting

RESYNC_SECONDS: Final = 10.0
STABLE_SECONDS: Final = 180.0
TOLERANCE_RATIO: Final = 0.1
MAX_FACTOR: Final = 2.0  # up and down, per step
COOLDOWN_SECONDS: Final = 300.0


class AibrixApa:
    """As documented: down to the most that was wanted within the cooldown, and replicas that start
    count as supply. Knob: `target_kv_ratio`, 0.5 in its examples.
    """

    interval_seconds = RESYNC_SECONDS

    def __init__(self, *, setting: Setting, target_kv_ratio: float = 0.5) -> None:
        self._target = target_kv_ratio * setting.limits.kv_capacity_tokens
        self._window = TimeWindow(STABLE_SECONDS)
        self._wanted = TimeWindow(COOLDOWN_SECONDS)

    def desired_replicas(self, view: FleetView) -> int:
        """The present count while no replica is ready to be measured."""
        current = view.ordered_replicas
        if not view.replicas:
            return current
        used = sum(sample.kv_used_tokens for sample in view.replicas)
        self._window.add(used / view.ready_replicas, now_seconds=view.now_seconds)
        wanted = self._proposed(self._window.mean() / self._target, view=view)
        self._wanted.add(wanted, now_seconds=view.now_seconds)
        return wanted if wanted >= current else min(current, self._cooled())

    def _proposed(self, ratio: float, *, view: FleetView) -> int:
        # Replicas that start have no metric: scaling the ready ones counts them as the answer to
        # this very ratio, instead of asking again on top of them at every look.
        current = view.ordered_replicas
        if ratio > 1.0 and view.pending_replicas:
            return max(current, apa_replicas(ratio, current=view.ready_replicas))
        return apa_replicas(ratio, current=current)

    def _cooled(self) -> int:
        return int(self._wanted.largest())


class AibrixApaAsCoded(AibrixApa):
    """As coded: the cooldown remembers the least, and each look multiplies all that was ordered."""

    def _proposed(self, ratio: float, *, view: FleetView) -> int:
        return apa_replicas(ratio, current=view.ordered_replicas)

    def _cooled(self) -> int:
        return int(self._wanted.smallest())


def apa_replicas(ratio: float, *, current: int) -> int:
    """The step of APA: `ratio` is the windowed metric over its target."""
    wanted = math.ceil(current * ratio - 1e-9)
    if ratio > 1.0 + TOLERANCE_RATIO:
        return min(wanted, math.ceil(MAX_FACTOR * current))
    if ratio < 1.0 - TOLERANCE_RATIO:
        return max(wanted, math.floor(current / MAX_FACTOR))
    return current
