"""NVIDIA Dynamo's planner in load mode, target `sla`: estimated latency of every engine, one at a time.

In: running and waiting requests and KV use of each engine. Out: one more, one less, or the same.
Source: ai-dynamo/dynamo 1.6 `planner/core/load_scaling.py`, aggregated engines.
"""

from typing import Final

from autoscaler.replay.baselines.engine_performance import EnginePerformance, Mix
from autoscaler.replay.baselines.windows import WindowedLengths
from autoscaler.replay.view import FleetView, ReplicaSample, Setting

ADJUSTMENT_SECONDS: Final = 5.0
DOWN_SENSITIVITY_RATIO: Final = 0.8
LENGTHS_SECONDS: Final = 300.0


class DynamoLoad:
    """Knob: `objective_scale`, times which it is told the objectives, 1."""

    interval_seconds = ADJUSTMENT_SECONDS

    def __init__(self, *, setting: Setting, objective_scale: float = 1.0) -> None:
        objectives = setting.objectives
        self._ttft_seconds = objectives.time_to_first_token_seconds * objective_scale
        self._itl_seconds = objectives.output_token_seconds * objective_scale
        self._kv_capacity_tokens = setting.limits.kv_capacity_tokens
        self._engine = EnginePerformance(setting)
        self._lengths = WindowedLengths(LENGTHS_SECONDS)

    def desired_replicas(self, view: FleetView) -> int:
        """The present count while any replica starts or nothing was completed yet."""
        lengths = self._lengths.mean_tokens(
            now_seconds=view.now_seconds,
            requests=view.completed_requests_total,
            prompt_tokens=view.completed_prompt_tokens_total,
            output_tokens=view.completed_output_tokens_total,
        )
        current = view.ordered_replicas
        if lengths is None or view.pending_replicas or not view.replicas:
            return current
        mix = Mix(prompt_tokens=lengths[0], output_tokens=lengths[1])
        if self._all_late(view, mix=mix):
            return current + 1
        if current > 1 and self._all_fit_without_one(view, mix=mix):
            return current - 1
        return current

    def _all_late(self, view: FleetView, *, mix: Mix) -> bool:
        """Either estimate above its target on every engine."""
        late_first = all(self._ttft(each, 1.0, mix) > self._ttft_seconds for each in view.replicas)
        return late_first or all(
            self._itl(each, 1.0, mix) > self._itl_seconds for each in view.replicas
        )

    def _all_fit_without_one(self, view: FleetView, *, mix: Mix) -> bool:
        """Both estimates clear of their targets on every engine, with the load of one fewer."""
        count = view.ready_replicas
        growth = count / (count - 1)
        return all(self._fits(each, growth, mix) for each in view.replicas)

    def _fits(self, sample: ReplicaSample, growth: float, mix: Mix) -> bool:
        queued = sample.waiting_requests * mix.prompt_tokens
        if (sample.kv_used_tokens + queued) * growth >= self._kv_capacity_tokens:
            return False
        own = self._first_token(sample, growth, mix, queued_tokens=0.0)
        budget = (self._ttft_seconds - own) * DOWN_SENSITIVITY_RATIO
        if budget <= 0 or self._ttft(sample, growth, mix) - own >= budget:
            return False
        return self._itl(sample, growth, mix) < self._itl_seconds * DOWN_SENSITIVITY_RATIO

    def _ttft(self, sample: ReplicaSample, growth: float, mix: Mix) -> float:
        queued = sample.waiting_requests * mix.prompt_tokens * growth
        return self._first_token(sample, growth, mix, queued_tokens=queued)

    def _first_token(
        self, sample: ReplicaSample, growth: float, mix: Mix, *, queued_tokens: float
    ) -> float:
        return self._engine.first_token_seconds(
            queued_tokens=queued_tokens,
            batch=sample.running_requests * growth,
            kv_tokens=sample.kv_used_tokens * growth,
            mix=mix,
        )

    def _itl(self, sample: ReplicaSample, growth: float, mix: Mix) -> float:
        return self._engine.mean_step_seconds(
            batch=sample.running_requests * growth,
            kv_tokens=sample.kv_used_tokens * growth,
            mix=mix,
        )
