"""Reference points: a fixed count, perfect foresight, and the plain rule that follows offered work.

In: the setting and, for foresight, the workload itself. They bound what a policy can be better than.
"""

import math
from collections import deque

import numpy as np

from autoscaler.replay.view import FleetView, Setting
from autoscaler.replay.work import WorkCosts
from autoscaler.replay.workload import FloatArray, Workload

BIN_SECONDS = 15.0
SMOOTHING_SECONDS = 60.0


class Static:
    """The same count always."""

    interval_seconds = 3600.0

    def __init__(self, *, replicas: int) -> None:
        self._replicas = replicas

    def desired_replicas(self, view: FleetView) -> int:
        """That count."""
        del view
        return self._replicas


class Clairvoyant:
    """Knows every request to come; orders for the busiest minute until an order could take effect.

    `utilisation` is its knob: work per replica it plans for, 1 being what a replica sustains.
    """

    interval_seconds = BIN_SECONDS

    def __init__(
        self,
        *,
        workload: Workload,
        work: WorkCosts,
        setting: Setting,
        utilisation: float,
        hold_seconds: float = 120.0,
    ) -> None:
        per_bin = _work_per_bin(workload, work=work)
        width = max(1, round(SMOOTHING_SECONDS / BIN_SECONDS))
        smooth = np.convolve(per_bin, np.ones(width) / width, mode="same")
        self._counts = np.ceil(smooth / BIN_SECONDS / utilisation - 1e-9)
        self._lead_bins = math.ceil(setting.provision_seconds * LEAD_MARGIN / BIN_SECONDS) + 1
        self._hold_bins = max(1, round(hold_seconds / BIN_SECONDS))

    def desired_replicas(self, view: FleetView) -> int:
        """Up for what comes when an order now is ready; down when that is true of all until then."""
        now = int(view.now_seconds / BIN_SECONDS)
        until = self._counts[now : now + self._lead_bins + self._hold_bins]
        at_lead = self._counts[now : now + self._lead_bins + 1]
        if not len(until):
            return view.ordered_replicas
        if at_lead.max() > view.ordered_replicas:
            return int(at_lead.max())
        return min(view.ordered_replicas, int(until.max()))


LEAD_MARGIN = 1.3
"""Starts vary; perfect foresight of demand is not foresight of a slow start."""


class WorkRule:
    """Offered work of the last minute over a target utilisation; down to the most of the hold.

    Defaults: utilisation 0.7, hold 5 minutes.
    """

    interval_seconds = BIN_SECONDS

    def __init__(
        self,
        *,
        work: WorkCosts,
        utilisation: float = 0.7,
        window_seconds: float = 60.0,
        hold_seconds: float = 300.0,
    ) -> None:
        self._work = work
        self._utilisation = utilisation
        self._window = OfferedWork(work=work, window_seconds=window_seconds)
        self._wanted: deque[int] = deque(maxlen=max(1, round(hold_seconds / BIN_SECONDS)))

    def desired_replicas(self, view: FleetView) -> int:
        """The larger of what is wanted now and, going down, was wanted within the hold."""
        rate = self._window.replicas(view)
        wanted = math.ceil(rate / self._utilisation - 1e-9)
        self._wanted.append(wanted)
        if wanted > view.ordered_replicas:
            return wanted
        return min(view.ordered_replicas, max(self._wanted))


class OfferedWork:
    """Admitted work per second over a sliding window: arrivals times the mean output length so far."""

    def __init__(self, *, work: WorkCosts, window_seconds: float) -> None:
        self._work = work
        self._window_seconds = window_seconds
        self._looks: deque[tuple[float, int, int]] = deque()

    def replicas(self, view: FleetView) -> float:
        """Replica-seconds per second that were offered."""
        self._looks.append(
            (view.now_seconds, view.arrived_requests_total, view.arrived_prompt_tokens_total)
        )
        while self._looks[-1][0] - self._looks[0][0] > self._window_seconds:
            self._looks.popleft()
        since, requests, prompt_tokens = self._looks[0]
        seconds = view.now_seconds - since
        if seconds <= 0:
            return 0.0
        completed = view.completed_requests_total
        length = view.completed_output_tokens_total / completed if completed else 0.0
        offered = self._work.of_totals(
            prompt_tokens=view.arrived_prompt_tokens_total - prompt_tokens,
            output_tokens=(view.arrived_requests_total - requests) * length,
        )
        return offered / seconds


def _work_per_bin(workload: Workload, *, work: WorkCosts) -> FloatArray:
    bins = (workload.arrival_seconds / BIN_SECONDS).astype(np.int64)
    return np.bincount(bins, weights=work.per_request(workload)).astype(np.float64)
