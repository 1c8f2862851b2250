"""NVIDIA Dynamo's planner in throughput mode: predicted requests over what one engine sustains.

In: arrivals and lengths of the last interval. Out: the count for the next one.
Source: ai-dynamo/dynamo 1.6 `planner/core/throughput_scaling.py`, aggregated engines, target `sla`.
"""

import math
from dataclasses import dataclass
from typing import Final

from autoscaler.replay.baselines.dynamo_predictors import PredictorKind, new_predictor
from autoscaler.replay.baselines.engine_performance import EnginePerformance, Mix
from autoscaler.replay.view import FleetView, Setting

ADJUSTMENT_SECONDS: Final = 180.0
MAX_STEP_REPLICAS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Totals:
    arrived: int = 0
    arrived_prompt_tokens: int = 0
    completed: int = 0
    completed_output_tokens: int = 0


class DynamoThroughput:
    """Knob: `objective_scale`, times which it is told the objectives, 1."""

    def __init__(
        self,
        *,
        setting: Setting,
        predictor: PredictorKind,
        objective_scale: float = 1.0,
        interval_seconds: float = ADJUSTMENT_SECONDS,
    ) -> None:
        self._setting = setting
        self._scale = objective_scale
        self._interval_seconds = interval_seconds
        self._engine = EnginePerformance(setting)
        self._requests = new_predictor(predictor)
        self._prompt = new_predictor(predictor)
        self._output = new_predictor(predictor)
        self._last = _Totals()
        self._mix = (0.0, 0.0)  # last seen mean lengths, 0 while unknown

    @property
    def interval_seconds(self) -> float:
        """One adjustment interval."""
        return self._interval_seconds

    def desired_replicas(self, view: FleetView) -> int:
        """The present count until lengths are known, and where more is wanted while some still start."""
        self._observe(view)
        current = view.ordered_replicas
        wanted = self.floor_replicas()
        if wanted is None:
            return current
        wanted = max(current - MAX_STEP_REPLICAS, min(wanted, current + MAX_STEP_REPLICAS))
        return current if view.pending_replicas and wanted > current else wanted

    def floor_replicas(self) -> int | None:
        """Replicas for the predicted load, at least 1; None while lengths are unknown."""
        mix = Mix(prompt_tokens=self._prompt.predicted(), output_tokens=self._output.predicted())
        if mix.prompt_tokens <= 0 or mix.output_tokens <= 0:
            return None
        limit = self._engine.sustained(mix, objectives=self._setting.objectives, scale=self._scale)
        demand = self._requests.predicted() / self._interval_seconds
        needed = math.ceil(demand / limit.requests_per_second - 1e-9)
        return max(1, self._setting.min_replicas, needed)

    def _observe(self, view: FleetView) -> None:
        totals = _Totals(
            arrived=view.arrived_requests_total,
            arrived_prompt_tokens=view.arrived_prompt_tokens_total,
            completed=view.completed_requests_total,
            completed_output_tokens=view.completed_output_tokens_total,
        )
        arrived = totals.arrived - self._last.arrived
        completed = totals.completed - self._last.completed
        prompt, output = self._mix
        if arrived:
            prompt = (totals.arrived_prompt_tokens - self._last.arrived_prompt_tokens) / arrived
        if completed:
            output = (
                totals.completed_output_tokens - self._last.completed_output_tokens
            ) / completed
        self._mix, self._last = (prompt, output), totals
        self._requests.add(arrived)
        self._prompt.add(prompt)
        self._output.add(output)
