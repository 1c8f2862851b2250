"""KEDA on the number of waiting requests: an HPA on an external AverageValue, and 0 <-> 1 by KEDA itself.

In: waiting requests of all engines and those held at the gateway. Out: the count ordered.
Source: KEDA's ScaledObject defaults; the production stack's tutorial for query and threshold.
"""

import math

from autoscaler.replay.baselines.hpa_law import (
    SYNC_SECONDS,
    HpaController,
    average_value_replicas,
)
from autoscaler.replay.view import FleetView, Setting


class KedaWaiting:
    """Knob: `threshold_requests` waiting per replica, 5 in the tutorial."""

    interval_seconds = SYNC_SECONDS

    def __init__(
        self,
        *,
        setting: Setting,
        threshold_requests: float = 5.0,
        polling_seconds: float = 30.0,
        cooldown_seconds: float = 300.0,
    ) -> None:
        self._threshold = threshold_requests
        self._polling_seconds = polling_seconds
        self._cooldown_seconds = cooldown_seconds
        self._may_go_to_zero = setting.min_replicas == 0
        self._controller = HpaController(
            min_replicas=setting.min_replicas, max_replicas=setting.max_replicas
        )
        self._last_poll_seconds = -math.inf
        self._last_active_seconds = 0.0

    def desired_replicas(self, view: FleetView) -> int:
        """The HPA's order; at polls also from zero on the first request and to zero after the cooldown."""
        waiting, current = view.waiting_requests, view.ordered_replicas
        if waiting > 0:
            self._last_active_seconds = view.now_seconds
        if self._may_go_to_zero and self._is_poll(view.now_seconds):
            idle_seconds = view.now_seconds - self._last_active_seconds
            if idle_seconds >= self._cooldown_seconds:
                return 0
            current = max(1, current)
        if current == 0:
            return 0
        proposed = average_value_replicas(waiting, target=self._threshold, current=current)
        return self._controller.ordered(
            proposed=proposed, current=current, now_seconds=view.now_seconds
        )

    def _is_poll(self, now_seconds: float) -> bool:
        if now_seconds - self._last_poll_seconds < self._polling_seconds:
            return False
        self._last_poll_seconds = now_seconds
        return True
