"""Predictive HPA: the HPA's own count, and what Holt-Winters expects of its past counts.

In: as HPA on concurrency. Out: the larger of both, stabilised as the HPA does.
Source: jthomperoo/predictive-horizontal-pod-autoscaler v0.13, model `HoltWinters`, decision `maximum`.
"""

import math
from collections import deque
from typing import Final

import numpy as np

from autoscaler.replay.baselines.holt_winters import Smoothing, is_enough, next_value
from autoscaler.replay.baselines.hpa_law import (
    SYNC_SECONDS,
    HpaController,
    pods_metric_replicas,
)
from autoscaler.replay.view import FleetView, Setting

SYNCS_PER_POINT: Final = 20  # `perSyncPeriod`: a point of history, and a forecast, every 5 minutes
SEASON_POINTS: Final = 288  # a day
STORED_SEASONS: Final = 4
SMOOTHING: Final = Smoothing(level=0.5, trend=0.01, season=0.3)


class PhpaHoltWinters:
    """Knob: `target_requests` per replica of the HPA inside."""

    interval_seconds = SYNC_SECONDS

    def __init__(
        self,
        *,
        setting: Setting,
        target_requests: float,
        season_points: int = SEASON_POINTS,
        syncs_per_point: int = SYNCS_PER_POINT,
    ) -> None:
        self._target = target_requests
        self._season_points = season_points
        self._syncs_per_point = syncs_per_point
        self._history: deque[int] = deque(maxlen=STORED_SEASONS * season_points)
        self._syncs = 0
        self._predicted = 0
        self._controller = HpaController(
            min_replicas=setting.min_replicas, max_replicas=setting.max_replicas
        )

    def desired_replicas(self, view: FleetView) -> int:
        """The HPA's order until two seasons were seen."""
        now_wanted = pods_metric_replicas(
            [each.running_requests + each.waiting_requests for each in view.replicas],
            target=self._target,
            current=view.ordered_replicas,
            unready=view.pending_replicas,
        )
        self._syncs += 1
        if self._syncs % self._syncs_per_point == 0:
            self._history.append(now_wanted)
            self._predicted = self._forecast()
        return self._controller.ordered(
            proposed=max(now_wanted, self._predicted),
            current=view.ordered_replicas,
            now_seconds=view.now_seconds,
        )

    def _forecast(self) -> int:
        points = len(self._history)
        if not is_enough(points, season_points=self._season_points):
            return 0
        value = next_value(
            np.array(self._history, np.float64),
            season_points=self._season_points,
            smoothing=SMOOTHING,
        )
        return max(0, math.ceil(value - 1e-9))
