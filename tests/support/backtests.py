"""Small traces, problems and reports for tests of the backtest."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]  # ships no types
from pyarrow import parquet

from autoscaler.engine_model.costs import EngineLimits, StepCosts
from autoscaler.replay.score import Score
from autoscaler.replay.view import Objectives, Setting
from autoscaler.replay.workload import Workload
from foresail.backtest.cell import Problem

STEP_PICOSECONDS = 10**11  # every step takes 0.1 s
COSTS = StepCosts(
    floor_picoseconds=STEP_PICOSECONDS,
    prefill_base_picoseconds=0,
    prefill_token_picoseconds=10**9,
    prefill_square_picoseconds=0,
    sequence_picoseconds=10**8,
    context_token_picoseconds=0,
)


def write_trace(
    path: Path,
    *,
    arrival_s: Any,  # any sequence, also of what is no time
    prompt_tokens: Any = None,  # the same
    output_tokens: Any = None,  # the same
    **more: Any,  # further columns
) -> Path:
    """Writes a trace of single tokens unless told otherwise."""
    count = len(arrival_s)
    columns = {
        "arrival_s": arrival_s,
        "prompt_tokens": [1] * count if prompt_tokens is None else prompt_tokens,
        "output_tokens": [1] * count if output_tokens is None else output_tokens,
        **more,
    }
    parquet.write_table(pa.table(columns), path)
    return path


def busy_hours(*, hours: float = 2.0, requests: int = 2000, seed: int = 0) -> dict[str, Any]:
    """Columns of a trace with more requests in the second half."""
    random = np.random.default_rng(seed)
    arrivals = np.sort(random.beta(2.0, 1.2, requests)) * hours * 3600
    return {
        "arrival_s": arrivals,
        "prompt_tokens": random.integers(100, 3000, requests),
        "output_tokens": random.integers(1, 200, requests),
    }


def busy_workload(*, hours: float = 2.0, requests: int = 2000) -> Workload:
    """The same as a workload."""
    columns = busy_hours(hours=hours, requests=requests)
    return Workload(
        arrival_seconds=columns["arrival_s"],
        prompt_tokens=columns["prompt_tokens"],
        output_tokens=columns["output_tokens"],
    )


SETTING = Setting(
    costs=COSTS,
    limits=EngineLimits(kv_capacity_tokens=100_000, max_sequence_count=64, max_step_tokens=2048),
    objectives=Objectives(
        time_to_first_token_seconds=10.0, output_token_seconds=1.0, target_ratio=0.9
    ),
    provision_seconds=60.0,
    min_replicas=1,
    max_replicas=8,
    gpus_per_replica=2,
)
"""A slow engine, easy objectives."""


def make_problem(*, workload: Workload | None = None, tuning_seconds: float = 3600.0) -> Problem:
    """Two busy hours, the first to tune on."""
    workload = workload or busy_workload()
    return Problem(
        workloads=(workload,),
        setting=SETTING,
        tuning_seconds=tuning_seconds,
        end_seconds=workload.end_seconds,
    )


def make_score(*, attainment_ratio: float = 1.0, gpu_hours: float = 1.0) -> Score:
    """A score in which only the given fields matter."""
    return replace(GOOD, attainment_ratio=attainment_ratio, gpu_hours=gpu_hours)


GOOD = Score(
    offered_requests=100,
    served_requests=100,
    shed_requests=0,
    failed_requests=0,
    unfinished_requests=0,
    attainment_ratio=1.0,
    time_to_first_token_good_ratio=1.0,
    output_token_good_ratio=1.0,
    gpu_hours=1.0,
    changes=0,
)
