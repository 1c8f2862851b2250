"""SageServe's long-term scaling: an hourly forecast sets the count, a local loop corrects surprises.

In: offered work per minute. Out: the count ordered.
Source: shashwatj07/SageServe `global_arbiter.py`, `long_term_allocation.py`: forecast 20 to 60 minutes
ahead, post-processing `immediate`; thresholds of its utilisation-and-ARIMA-aware local loop.
"""

import math
from collections import deque
from typing import Final

import numpy as np

from autoscaler.replay.baselines.arima import ArimaModel, fit_arima
from autoscaler.replay.baselines.known import OfferedWork
from autoscaler.replay.view import FleetView, Setting
from autoscaler.replay.work import WorkCosts
from autoscaler.replay.workload import FloatArray

MINUTE_SECONDS: Final = 60.0
HOUR_MINUTES: Final = 60
DAY_MINUTES: Final = 24 * 60
FROM_MINUTES, TO_MINUTES = 20, 60  # the window of the forecast that counts
FIT_MINUTES: Final = 240
FIT_EVERY_HOURS: Final = 6
SURPRISE_FACTOR: Final = 5.0
SURPRISE_DOWN_FACTOR: Final = 0.5
KV_UP_RATIO: Final = 0.5
KV_DOWN_RATIO: Final = 0.25


class SageServe:
    """Knob: `planned_utilisation`, the share of a replica's measured throughput it plans with, 0.5."""

    interval_seconds = MINUTE_SECONDS

    def __init__(
        self, *, setting: Setting, work: WorkCosts, planned_utilisation: float = 0.5
    ) -> None:
        self._utilisation = planned_utilisation
        self._kv_capacity_tokens = setting.limits.kv_capacity_tokens
        self._max_replicas = setting.max_replicas
        self._offered = OfferedWork(work=work, window_seconds=MINUTE_SECONDS)
        self._minutes: deque[float] = deque(maxlen=DAY_MINUTES + FIT_MINUTES)
        self._seen_minutes = 0
        self._model: ArimaModel | None = None
        self._is_seasonal = False
        self._forecast: float | None = None  # work per second the present hour was planned for

    def desired_replicas(self, view: FleetView) -> int:
        """On the hour what the forecast needs; between hours one more or less when it proves wrong."""
        offered = self._offered.replicas(view)
        self._minutes.append(offered)
        self._seen_minutes += 1
        if self._seen_minutes % HOUR_MINUTES == 0:
            self._forecast = self._next_hour()
            return max(1, math.ceil(self._forecast / self._utilisation - 1e-9))
        return view.ordered_replicas + self._local_step(view, offered=offered)

    def _local_step(self, view: FleetView, *, offered: float) -> int:
        if self._forecast is None or not view.replicas or view.pending_replicas:
            return 0
        used = sum(each.kv_used_tokens for each in view.replicas)
        kv_ratio = used / view.ready_replicas / self._kv_capacity_tokens
        if kv_ratio > KV_UP_RATIO and offered > SURPRISE_FACTOR * self._forecast:
            return 1
        is_idle = offered < SURPRISE_DOWN_FACTOR * self._forecast
        return -1 if kv_ratio < KV_DOWN_RATIO and is_idle else 0

    def _next_hour(self) -> float:
        """The most of the forecast window; the most of the last hour while there is no model."""
        if self._seen_minutes % (FIT_EVERY_HOURS * HOUR_MINUTES) == 0 or self._model is None:
            self._fit()
        recent = list(self._minutes)[-HOUR_MINUTES:]
        if self._model is None:
            return max(recent)
        ahead = self._model.forecast(self._recent(), steps=TO_MINUTES)
        if self._is_seasonal:
            ahead = ahead + np.array(self._minutes)[-DAY_MINUTES:][:TO_MINUTES]
        return max(0.0, float(ahead[FROM_MINUTES - 1 :].max()))

    def _fit(self) -> None:
        self._is_seasonal = len(self._minutes) >= DAY_MINUTES + 2 * HOUR_MINUTES
        series = self._recent()
        self._model = fit_arima(series) if len(set(series.tolist())) > 1 else None

    def _recent(self) -> FloatArray:
        """What the model is of: the last hours, less the same minutes of the day before where known."""
        values = np.array(self._minutes, np.float64)
        if self._is_seasonal:
            values = values[DAY_MINUTES:] - values[: len(values) - DAY_MINUTES]
        return values[-FIT_MINUTES:]
