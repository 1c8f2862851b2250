"""The law of the Kubernetes horizontal pod autoscaler (autoscaling/v2), shared by all that act through it.

In: metric values and the present count. Out: a proposal per metric, and what is ordered after
stabilisation windows, rate policies and limits. Used by HPA, KEDA, llm-d, WVA and the predictive HPA.
Source: Kubernetes `pkg/controller/podautoscaler/{replica_calculator,horizontal}.go`, 1.33 defaults.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from autoscaler.replay.baselines.windows import TimeWindow

SYNC_SECONDS: Final = 15.0
TOLERANCE_RATIO: Final = 0.1
_ROUNDING: Final = 1e-9
"""A quotient that is whole but for rounding is not rounded up."""


class PolicyUnit(StrEnum):
    """What a rate policy counts."""

    PODS = "pods"
    RATIO = "ratio"  # of the count at the start of the period


@dataclass(frozen=True, slots=True, kw_only=True)
class RatePolicy:
    """At most so much change within a period."""

    unit: PolicyUnit
    value: float
    period_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """The `behavior` block. The most generous policy of a direction counts (`selectPolicy: Max`)."""

    up_window_seconds: float = 0.0
    down_window_seconds: float = 300.0
    up: tuple[RatePolicy, ...] = (
        RatePolicy(unit=PolicyUnit.RATIO, value=1.0, period_seconds=15.0),
        RatePolicy(unit=PolicyUnit.PODS, value=4.0, period_seconds=15.0),
    )
    down: tuple[RatePolicy, ...] = (
        RatePolicy(unit=PolicyUnit.RATIO, value=1.0, period_seconds=15.0),
    )


PACED: Final = Behaviour(
    up=(RatePolicy(unit=PolicyUnit.PODS, value=1.0, period_seconds=180.0),),
    down=(RatePolicy(unit=PolicyUnit.PODS, value=1.0, period_seconds=300.0),),
)
"""One at a time, no quicker than pods start. Source: llm-d's published saturation benchmark."""


@dataclass(slots=True, kw_only=True)
class HpaController:
    """From proposals to orders; remembers proposals and changes."""

    min_replicas: int
    max_replicas: int
    behaviour: Behaviour = field(default_factory=Behaviour)
    _up_window: TimeWindow = field(init=False)
    _down_window: TimeWindow = field(init=False)
    _changes: deque[tuple[float, int]] = field(default_factory=deque)  # (time, + or - replicas)

    def __post_init__(self) -> None:
        self.min_replicas = max(1, self.min_replicas)  # without an alpha gate it never goes to zero
        self._up_window = TimeWindow(self.behaviour.up_window_seconds)
        self._down_window = TimeWindow(self.behaviour.down_window_seconds)

    def ordered(self, *, proposed: int, current: int, now_seconds: float) -> int:
        """What the proposal comes to now."""
        wanted = self._stabilised(proposed, current=current, now_seconds=now_seconds)
        self._forget(now_seconds)
        if wanted > current:
            wanted = min(wanted, max(current, self._most(current, now_seconds=now_seconds)))
        elif wanted < current:
            wanted = max(wanted, min(current, self._least(current, now_seconds=now_seconds)))
        wanted = max(self.min_replicas, min(wanted, self.max_replicas))
        if wanted != current:
            self._changes.append((now_seconds, wanted - current))
        return wanted

    def _stabilised(self, proposed: int, *, current: int, now_seconds: float) -> int:
        """Up to the least of the up window, down to the most of the down window."""
        self._up_window.add(proposed, now_seconds=now_seconds)
        self._down_window.add(proposed, now_seconds=now_seconds)
        raised = max(current, int(self._up_window.smallest()))
        return min(raised, int(self._down_window.largest()))

    def _most(self, current: int, *, now_seconds: float) -> int:
        limits = []
        for policy in self.behaviour.up:
            start = self._count_at_start(policy, current=current, now_seconds=now_seconds)
            if policy.unit is PolicyUnit.PODS:
                limits.append(start + int(policy.value))
            else:
                limits.append(math.ceil(start * (1.0 + policy.value) - _ROUNDING))
        return max(limits)

    def _least(self, current: int, *, now_seconds: float) -> int:
        limits = []
        for policy in self.behaviour.down:
            start = self._count_at_start(policy, current=current, now_seconds=now_seconds)
            if policy.unit is PolicyUnit.PODS:
                limits.append(start - int(policy.value))
            else:
                limits.append(int(start * (1.0 - policy.value) + _ROUNDING))
        return min(limits)

    def _count_at_start(self, policy: RatePolicy, *, current: int, now_seconds: float) -> int:
        since = now_seconds - policy.period_seconds
        return current - sum(change for when, change in self._changes if when > since)

    def _forget(self, now_seconds: float) -> None:
        policies = self.behaviour.up + self.behaviour.down
        longest = max(policy.period_seconds for policy in policies)
        while self._changes and self._changes[0][0] <= now_seconds - longest:
            self._changes.popleft()


def pods_metric_replicas(
    values: Sequence[float], *, target: float, current: int, unready: int
) -> int:
    """Proposal of a pods metric. `values`: one per ready pod; the present count without any."""
    if not values or target <= 0:
        return current
    ratio = sum(values) / len(values) / target
    if ratio <= 1.0 or not unready:
        return current if _is_within(ratio) else _ceil(ratio * len(values))
    # Pods that start are counted as if they had nothing to do, so as not to be ordered twice.
    counted = len(values) + unready
    diluted = sum(values) / counted / target
    if _is_within(diluted) or diluted < 1.0:
        return current
    return max(current, _ceil(diluted * counted))


def average_value_replicas(total: float, *, target: float, current: int) -> int:
    """Proposal of an external metric of type AverageValue: `total` over all, `target` per replica."""
    if current > 0 and _is_within(total / (target * current)):
        return current
    return _ceil(total / target)


def value_replicas(value: float, *, target: float, current: int, ready: int) -> int:
    """Proposal of an external metric of type Value, which does not grow with the count."""
    ratio = value / target
    return current if _is_within(ratio) else _ceil(ratio * ready)


def _is_within(ratio: float) -> bool:
    return abs(ratio - 1.0) <= TOLERANCE_RATIO + _ROUNDING


def _ceil(value: float) -> int:
    return math.ceil(value - _ROUNDING)
