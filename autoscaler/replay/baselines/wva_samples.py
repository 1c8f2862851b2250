"""What llm-d's variant autoscaler reads of each replica: the largest KV use and queue of a minute.

In: the view. Out: one value pair per ready replica, and the HPA its recommendation goes through.
Used by both of its laws.
"""

from dataclasses import dataclass
from typing import Final

from autoscaler.replay.baselines.hpa_law import (
    Behaviour,
    HpaController,
    PolicyUnit,
    RatePolicy,
)
from autoscaler.replay.baselines.windows import TimeWindow
from autoscaler.replay.view import FleetView, Setting

INTERVAL_SECONDS: Final = 15.0
QUERY_SECONDS: Final = 60.0

HPA_BEHAVIOUR: Final = Behaviour(
    down_window_seconds=240.0,
    up=(RatePolicy(unit=PolicyUnit.PODS, value=10.0, period_seconds=150.0),),
    down=(RatePolicy(unit=PolicyUnit.PODS, value=10.0, period_seconds=150.0),),
)
"""Source: the configuration of its published benchmark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakUse:
    """Of one replica within the last minute."""

    kv_used_tokens: float
    waiting_requests: float


class PeakUses:
    """`max_over_time[1m]` per replica."""

    def __init__(self) -> None:
        self._windows: dict[int, tuple[TimeWindow, TimeWindow]] = {}

    def of(self, view: FleetView) -> list[PeakUse]:
        """One per ready replica, the oldest first."""
        numbers = {sample.number for sample in view.replicas}
        self._windows = {n: each for n, each in self._windows.items() if n in numbers}
        found = []
        for sample in view.replicas:
            kv, waiting = self._windows.setdefault(sample.number, _new_windows())
            kv.add(sample.kv_used_tokens, now_seconds=view.now_seconds)
            waiting.add(sample.waiting_requests, now_seconds=view.now_seconds)
            found.append(PeakUse(kv_used_tokens=kv.largest(), waiting_requests=waiting.largest()))
        return found


def hpa_behind(setting: Setting) -> HpaController:
    """The HPA that follows the published metric; without tolerance, as the metric is the count itself."""
    return HpaController(
        min_replicas=setting.min_replicas,
        max_replicas=setting.max_replicas,
        behaviour=HPA_BEHAVIOUR,
    )


def _new_windows() -> tuple[TimeWindow, TimeWindow]:
    return TimeWindow(QUERY_SECONDS), TimeWindow(QUERY_SECONDS)
