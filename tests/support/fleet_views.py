"""Views and settings for tests of replay policies: only what matters is named, the rest is quiet.

The engine takes 20 ms a step, 0.1 ms per prompt token instead where that is more, and 0.2 ms per
sequence; it holds 100,000 tokens and 100 sequences and computes 1,000 tokens a step.
"""

from collections.abc import Sequence

import numpy as np

from autoscaler.engine_model.costs import EngineLimits, StepCosts
from autoscaler.replay.view import FleetView, Objectives, ReplicaSample, Setting

COSTS = StepCosts(
    floor_picoseconds=20_000_000_000,
    prefill_base_picoseconds=0,
    prefill_token_picoseconds=100_000_000,
    prefill_square_picoseconds=0,
    sequence_picoseconds=200_000_000,
    context_token_picoseconds=0,
)
LIMITS = EngineLimits(kv_capacity_tokens=100_000, max_sequence_count=100, max_step_tokens=1_000)

Load = tuple[int, int, int]  # running, waiting, KV tokens in use


def make_setting(
    *, min_replicas: int = 1, max_replicas: int = 50, provision_seconds: float = 60.0
) -> Setting:
    return Setting(
        costs=COSTS,
        limits=LIMITS,
        objectives=Objectives(
            time_to_first_token_seconds=2.0, output_token_seconds=0.1001, target_ratio=0.99
        ),
        provision_seconds=provision_seconds,
        min_replicas=min_replicas,
        max_replicas=max_replicas,
        gpus_per_replica=1,
    )


def make_view(
    *,
    now: float = 15.0,
    loads: Sequence[Load] = (),
    pending: int = 0,
    held: int = 0,
    arrived: int = 0,
    completed: int = 0,
    prompt_tokens: int = 1_000,
    output_tokens: int = 100,
    first_token_seconds: Sequence[float] = (),
    output_token_seconds: Sequence[float] = (),
) -> FleetView:
    """Token totals are those of requests that all have `prompt_tokens` and `output_tokens`."""
    replicas = tuple(
        ReplicaSample(
            number=number,
            running_requests=running,
            waiting_requests=waiting,
            kv_used_tokens=kv,
            prompt_tokens_total=0,
            output_tokens_total=0,
        )
        for number, (running, waiting, kv) in enumerate(loads, start=1)
    )
    return FleetView(
        now_seconds=now,
        ordered_replicas=len(replicas) + pending,
        draining_replicas=0,
        pending_ordered_seconds=(now,) * pending,
        lead_times_seconds=(),
        replicas=replicas,
        in_flight_requests=sum(running + waiting for running, waiting, _ in loads),
        held_requests=held,
        oldest_held_seconds=0.0,
        arrived_requests_total=arrived,
        arrived_prompt_tokens_total=arrived * prompt_tokens,
        completed_requests_total=completed,
        completed_prompt_tokens_total=completed * prompt_tokens,
        completed_output_tokens_total=completed * output_tokens,
        failed_requests_total=0,
        shed_requests_total=0,
        first_token_seconds=np.array(first_token_seconds, np.float64),
        output_token_seconds=np.array(output_token_seconds, np.float64),
        finished_output_tokens=np.full(len(output_token_seconds), float(output_tokens)),
    )
