"""Ray Serve's request-based autoscaling: ongoing requests over a target, acted on when it lasts.

In: requests in the service, queued ones included. Out: the count ordered.
Source: ray-project/ray `python/ray/serve/autoscaling_policy.py` and the defaults of its API page.
"""

import math
from typing import Final

from autoscaler.replay.baselines.windows import TimeWindow
from autoscaler.replay.view import FleetView

LOOK_BACK_SECONDS: Final = 30.0
UP_DELAY_SECONDS: Final = 30.0
DOWN_DELAY_SECONDS: Final = 600.0


class RayServe:
    """Knob: `target_requests` ongoing per replica, 2 by default; smoothing factors 1."""

    interval_seconds = 10.0  # replicas push their metrics that often; the loop itself is quicker

    def __init__(self, *, target_requests: float = 2.0) -> None:
        self._target = target_requests
        self._ongoing = TimeWindow(LOOK_BACK_SECONDS)
        self._direction = 0
        self._since_seconds = 0.0

    def desired_replicas(self, view: FleetView) -> int:
        """What is wanted, once it was on the same side of the present count for the whole delay."""
        now, current = view.now_seconds, view.ordered_replicas
        ongoing = view.running_requests + view.waiting_requests
        self._ongoing.add(ongoing, now_seconds=now)
        if current == 0:
            return 1 if ongoing > 0 else 0
        wanted = math.ceil(self._ongoing.mean() / self._target - 1e-9)
        direction = (wanted > current) - (wanted < current)
        if direction != self._direction:
            self._direction, self._since_seconds = direction, now
        delay = UP_DELAY_SECONDS if direction > 0 else DOWN_DELAY_SECONDS
        if direction == 0 or now - self._since_seconds < delay:
            return current
        self._direction = 0
        return wanted
