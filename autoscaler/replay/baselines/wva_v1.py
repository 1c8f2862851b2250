"""llm-d's variant autoscaler, first law: spare KV cache and spare queue of replicas not saturated.

In: peak use of each replica. Out: the count ordered, at most one more or less per decision.
Source: llm-d-workload-variant-autoscaler `internal/saturation/analyzer.go`, v0.9.
"""

from collections.abc import Sequence
from typing import Final

from autoscaler.replay.baselines.wva_samples import (
    INTERVAL_SECONDS,
    PeakUse,
    PeakUses,
    hpa_behind,
)
from autoscaler.replay.view import FleetView, Setting

QUEUE_THRESHOLD: Final = 5.0
KV_SPARE_TRIGGER: Final = 0.1
QUEUE_SPARE_TRIGGER: Final = 3.0
MIN_UNSATURATED: Final = 2


class WvaV1:
    """Knob: `kv_threshold_ratio` above which a replica counts as saturated, 0.8."""

    interval_seconds = INTERVAL_SECONDS

    def __init__(self, *, setting: Setting, kv_threshold_ratio: float = 0.8) -> None:
        self._kv_threshold = kv_threshold_ratio
        self._kv_capacity_tokens = setting.limits.kv_capacity_tokens
        self._peaks = PeakUses()
        self._hpa = hpa_behind(setting)

    def desired_replicas(self, view: FleetView) -> int:
        """The present count while any replica starts; else one more, one less or the same."""
        peaks = self._peaks.of(view)
        current = view.ordered_replicas
        proposed = current
        if peaks and not view.pending_replicas:
            proposed = current + self._step(peaks)
        return self._hpa.ordered(proposed=proposed, current=current, now_seconds=view.now_seconds)

    def _step(self, peaks: Sequence[PeakUse]) -> int:
        uses = [
            (peak.kv_used_tokens / self._kv_capacity_tokens, peak.waiting_requests)
            for peak in peaks
        ]
        free = [
            (kv, queue) for kv, queue in uses if kv < self._kv_threshold and queue < QUEUE_THRESHOLD
        ]
        if not self._is_spare(free, left=len(free)):
            return 1
        may_shrink = len(free) >= MIN_UNSATURATED and self._is_spare(free, left=len(free) - 1)
        return -1 if may_shrink else 0

    def _is_spare(self, free: Sequence[tuple[float, float]], *, left: int) -> bool:
        """Whether both triggers stay quiet when `left` replicas carry what the free ones carry."""
        if not free:
            return False
        kv_spare = self._kv_threshold - sum(kv for kv, _ in free) / left
        queue_spare = QUEUE_THRESHOLD - sum(queue for _, queue in free) / left
        return kv_spare >= KV_SPARE_TRIGGER and queue_spare >= QUEUE_SPARE_TRIGGER
