"""HPA v2 on a metric of the pods: requests in each, or the share of its KV cache in use.

In: what each ready replica tells. Out: the count the HPA would order. The law is in `hpa_law`.
"""

from abc import ABC, abstractmethod

from autoscaler.replay.baselines.hpa_law import (
    SYNC_SECONDS,
    Behaviour,
    HpaController,
    pods_metric_replicas,
)
from autoscaler.replay.view import FleetView, ReplicaSample, Setting


class _PodsMetricHpa(ABC):
    """One pods metric, average value per ready pod against a target."""

    interval_seconds = SYNC_SECONDS

    def __init__(self, *, setting: Setting, target: float, behaviour: Behaviour | None) -> None:
        self._target = target
        self._controller = HpaController(
            min_replicas=setting.min_replicas,
            max_replicas=setting.max_replicas,
            behaviour=behaviour or Behaviour(),
        )

    @abstractmethod
    def _value(self, sample: ReplicaSample) -> float:
        """The metric of one ready pod, in the unit of the target."""

    def desired_replicas(self, view: FleetView) -> int:
        """The HPA's order; the present count while no replica is ready to be measured."""
        proposed = pods_metric_replicas(
            [self._value(sample) for sample in view.replicas],
            target=self._target,
            current=view.ordered_replicas,
            unready=view.pending_replicas,
        )
        return self._controller.ordered(
            proposed=proposed, current=view.ordered_replicas, now_seconds=view.now_seconds
        )


class HpaConcurrency(_PodsMetricHpa):
    """Requests in the engine, running and waiting; knob: `target_requests` per replica."""

    def __init__(
        self, *, setting: Setting, target_requests: float, behaviour: Behaviour | None = None
    ) -> None:
        super().__init__(setting=setting, target=target_requests, behaviour=behaviour)

    def _value(self, sample: ReplicaSample) -> float:
        return sample.running_requests + sample.waiting_requests


class HpaKv(_PodsMetricHpa):
    """Share of the KV cache in use; knob: `target_kv_ratio`, 0.7 in llm-d's published configurations."""

    def __init__(
        self, *, setting: Setting, target_kv_ratio: float = 0.7, behaviour: Behaviour | None = None
    ) -> None:
        super().__init__(setting=setting, target=target_kv_ratio, behaviour=behaviour)
        self._kv_capacity_tokens = setting.limits.kv_capacity_tokens

    def _value(self, sample: ReplicaSample) -> float:
        return sample.kv_used_tokens / self._kv_capacity_tokens
