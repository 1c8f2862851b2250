"""What a peer may be told before a replay, and the targets that suit an engine. Pure.

In: the setting, mean lengths and work costs of a training stretch. Out: requests per replica, and
their share of the KV cache, at a share of what one replica sustains. Grids of knobs are made of them.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from autoscaler.replay.baselines.engine_performance import EnginePerformance, Mix, Sustained
from autoscaler.replay.view import Setting
from autoscaler.replay.work import WorkCosts, mean_lengths, work_costs
from autoscaler.replay.workload import Workload

PEAK_SECONDS: Final = 300.0


@dataclass(frozen=True, kw_only=True)  # no slots: the sustained rate is kept
class PeerSetup:
    """Everything a baseline is built from."""

    setting: Setting
    work: WorkCosts
    mix: Mix  # of the mean request
    workload: Workload  # the replayed one: read by those that know the future, and by no other

    @classmethod
    def learned(
        cls, *, setting: Setting, workload: Workload, training_seconds: float
    ) -> "PeerSetup":
        """With lengths and work costs of the requests within the first `training_seconds`."""
        prompt, output = mean_lengths(workload.between(0.0, training_seconds))
        return cls(
            setting=setting,
            work=work_costs(setting, prompt_tokens=prompt, output_tokens=output),
            mix=Mix(prompt_tokens=prompt, output_tokens=output),
            workload=workload,
        )

    @cached_property
    def sustained(self) -> Sustained:
        """Of one replica at its limit."""
        engine = EnginePerformance(self.setting)
        return engine.sustained(self.mix, objectives=self.setting.objectives)

    def requests_at(self, share: float) -> int:
        """In a replica that gets `share` of the rate it sustains; 1 or more."""
        return EnginePerformance(self.setting).batch_at_rate(
            share * self.sustained.requests_per_second,
            mix=self.mix,
            most_requests=self.sustained.batch_requests,
        )

    def kv_ratio_at(self, share: float) -> float:
        """Their share of the KV cache, at most 1."""
        used = self.requests_at(share) * self.mix.context_tokens
        return min(1.0, used / self.setting.limits.kv_capacity_tokens)

    def objective_scale_at(self, share: float) -> float:
        """Times which both objectives are just kept by a replica that gets `share` of its rate."""
        engine, objectives = EnginePerformance(self.setting), self.setting.objectives
        batch = self.requests_at(share)
        step, first = engine.latencies(batch, mix=self.mix)
        return max(
            step / objectives.output_token_seconds, first / objectives.time_to_first_token_seconds
        )

    def peak_work(self) -> float:
        """Replica-seconds per second of the busiest 5 minutes of the whole workload."""
        if not len(self.workload):
            return 0.0
        places = (self.workload.arrival_seconds / PEAK_SECONDS).astype(np.int64)
        sums = np.bincount(places, weights=self.work.per_request(self.workload))
        return float(sums.max()) / PEAK_SECONDS

    def replicas_for_peak(self, utilisation: float) -> int:
        """That carry it at so much of their capacity; 1 or more."""
        return max(1, math.ceil(self.peak_work() / utilisation - 1e-9))
