"""How much of a replica a demand takes, in closed form, for policies that know their engine. Pure.

With an iteration of t seconds a replica gives B / t output tokens and computes P / t prompt tokens a
second, and t = a + (b + c x context) B + d P. Divided by t: the work, prompt rate x d + output rate x
(b + c x context), may reach 1 - a / t, where t is the longest iteration the objective allows.
"""

from dataclasses import dataclass

import numpy as np

from autoscaler.engine_model.costs import PICOSECONDS_PER_SECOND
from autoscaler.replay.view import Setting
from autoscaler.replay.workload import FloatArray, Workload

FIRST_TOKEN_STEPS = 3.0
"""Steps a first token may take: the one under way, its own, and one of waiting."""
MIN_RATIO = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkCosts:
    """Of one replica; 1 unit of work is what one replica sustains within the objectives."""

    prompt_work_per_token: float
    output_work_per_token: float

    def of_totals(self, *, prompt_tokens: float, output_tokens: float) -> float:
        """Replica-seconds those tokens take."""
        prompt = prompt_tokens * self.prompt_work_per_token
        return prompt + output_tokens * self.output_work_per_token

    def per_request(self, workload: Workload) -> FloatArray:
        """Replica-seconds of each request. Shape (n_requests,)."""
        prompt = workload.prompt_tokens * self.prompt_work_per_token
        work: FloatArray = prompt + workload.output_tokens * self.output_work_per_token
        return work


def work_costs(setting: Setting, *, prompt_tokens: float, output_tokens: float) -> WorkCosts:
    """For requests of these mean lengths."""
    costs, limits, objectives = setting.costs, setting.limits, setting.objectives
    context = prompt_tokens + output_tokens / 2
    step = min(
        objectives.output_token_seconds,
        objectives.time_to_first_token_seconds / FIRST_TOKEN_STEPS,
    )
    floor = costs.floor_picoseconds / PICOSECONDS_PER_SECOND
    per_prompt = costs.prefill_token_picoseconds + costs.prefill_square_picoseconds * min(
        prompt_tokens, limits.max_step_tokens
    )
    prompt = per_prompt / PICOSECONDS_PER_SECOND
    output = (
        costs.sequence_picoseconds + costs.context_token_picoseconds * context
    ) / PICOSECONDS_PER_SECOND
    slots = min(
        limits.max_sequence_count, limits.kv_capacity_tokens / (prompt_tokens + output_tokens)
    )
    usable = max(MIN_RATIO, 1.0 - floor / step)
    # A full batch: every step costs the floor once, shared by all slots.
    full_output = output + floor / max(1.0, slots)
    return WorkCosts(
        prompt_work_per_token=prompt / usable,
        output_work_per_token=max(output / usable, full_output),
    )


def mean_lengths(workload: Workload) -> tuple[float, float]:
    """(prompt, output) tokens of the mean request; (1, 1) without any."""
    if not len(workload):
        return 1.0, 1.0
    return float(np.mean(workload.prompt_tokens)), float(np.mean(workload.output_tokens))
