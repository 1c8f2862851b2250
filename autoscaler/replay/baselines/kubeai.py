"""KubeAI's model autoscaler: a long moving average of active requests over a target.

In: requests in the service, those held at its proxy included. Out: the count ordered.
Source: kubeai-project/kubeai `internal/modelautoscaler/autoscaler.go`, `internal/config/system.go`.
"""

import math
from typing import Final

from autoscaler.replay.baselines.windows import TimeWindow
from autoscaler.replay.view import FleetView

AVERAGE_SECONDS: Final = 600.0
DOWN_DELAY_SECONDS: Final = 30.0


class KubeAi:
    """Knob: `target_requests` active per replica, 100 by default."""

    interval_seconds = 10.0

    def __init__(
        self, *, target_requests: float = 100.0, average_seconds: float = AVERAGE_SECONDS
    ) -> None:
        self._target = target_requests
        self._active = TimeWindow(average_seconds)
        self._asks_down = 0
        self._needed_asks = math.ceil(DOWN_DELAY_SECONDS / self.interval_seconds)

    def desired_replicas(self, view: FleetView) -> int:
        """Up at once, down only when asked for at every look of the delay."""
        active = view.running_requests + view.waiting_requests
        self._active.add(active, now_seconds=view.now_seconds)
        wanted = math.ceil(self._active.mean() / self._target - 1e-9)
        current = view.ordered_replicas
        if wanted >= current:
            self._asks_down = 0
            return wanted
        if self._asks_down < self._needed_asks:
            self._asks_down += 1
            return current
        return wanted
