"""Knative's pod autoscaler: stable and panic windows over the total concurrency.

In: requests in the service, queued ones included. Out: the count ordered.
Source: knative/serving `pkg/autoscaler/{config/config.go,scaling/autoscaler.go}`, main of 2026-08.
"""

import math
from typing import Final

from autoscaler.replay.baselines.windows import TimeWindow
from autoscaler.replay.view import FleetView, Setting

STABLE_SECONDS: Final = 60.0
PANIC_SECONDS: Final = 6.0
PANIC_THRESHOLD: Final = 2.0
TARGET_UTILISATION_RATIO: Final = 0.7
MAX_UP_FACTOR: Final = 1000.0
MAX_DOWN_FACTOR: Final = 2.0


class KnativeKpa:
    """Knob: `target_requests`, the soft limit per replica (100), of which 70 % are aimed at."""

    interval_seconds = 2.0

    def __init__(
        self,
        *,
        setting: Setting,
        target_requests: float = 100.0,
        scale_down_delay_seconds: float = 0.0,
    ) -> None:
        self._target = target_requests * TARGET_UTILISATION_RATIO
        self._min_replicas = setting.min_replicas
        self._stable = TimeWindow(STABLE_SECONDS)
        self._panic = TimeWindow(PANIC_SECONDS)
        self._delay = TimeWindow(scale_down_delay_seconds)
        self._panic_since_seconds: float | None = None
        self._most_in_panic = 0

    def desired_replicas(self, view: FleetView) -> int:
        """The larger of both windows in a panic, which never goes down; else the stable one's."""
        now = view.now_seconds
        concurrency = view.running_requests + view.waiting_requests
        self._stable.add(concurrency, now_seconds=now)
        self._panic.add(concurrency, now_seconds=now)
        ready = max(1, view.ready_replicas)
        wanted_in_panic = self._wanted(self._panic.mean())
        self._update_panic(is_over=wanted_in_panic / ready >= PANIC_THRESHOLD, now_seconds=now)
        desired = _clamped(self._wanted(self._stable.mean()), ready=ready)
        if self._panic_since_seconds is not None:
            desired = max(desired, _clamped(wanted_in_panic, ready=ready), self._most_in_panic)
            self._most_in_panic = desired
        self._delay.add(desired, now_seconds=now)
        return max(self._min_replicas, int(self._delay.largest()))

    def _wanted(self, concurrency: float) -> int:
        return math.ceil(concurrency / self._target - 1e-9)

    def _update_panic(self, *, is_over: bool, now_seconds: float) -> None:
        if is_over:
            self._panic_since_seconds = now_seconds
        elif (
            self._panic_since_seconds is not None
            and self._panic_since_seconds + STABLE_SECONDS < now_seconds
        ):
            self._panic_since_seconds = None
            self._most_in_panic = 0


def _clamped(wanted: int, *, ready: int) -> int:
    most = math.ceil(MAX_UP_FACTOR * ready)
    return max(math.floor(ready / MAX_DOWN_FACTOR), min(wanted, most))
