"""The engine a backtest runs on: a bundled performance row as costs and limits, and what fits into it.

In: a row's name, workloads. Out: costs, limits, GPUs of one replica. Raises ConfigurationError for a
row that does not exist and for requests that no replica could ever hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from autoscaler.engine_model.costs import EngineLimits, StepCosts
from autoscaler.replay.workload import Workload
from collector.errors import ConfigurationError
from foresail.emulate.performance import read_row

MAX_SEQUENCES: Final = 256
"""vLLM's default max_num_seqs."""
FIT: Final = "fit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One replica."""

    name: str
    gpus: int
    costs: StepCosts
    limits: EngineLimits


def read_engine(name: str) -> Engine:
    """The engine of a row."""
    if name == FIT:
        raise ConfigurationError(
            "--engine fit goes with --prometheus, whose history of the engine it is fitted to; with a "
            "trace name the row that is nearest to your engine, `foresail emulate --rows` lists them"
        )
    row = read_row(name)
    limits = EngineLimits(
        kv_capacity_tokens=row.kv_capacity_tokens,
        max_sequence_count=MAX_SEQUENCES,
        max_step_tokens=row.max_step_tokens,
    )
    return Engine(name=row.name, gpus=row.gpu_count, costs=row.costs, limits=limits)


def check_fits(workloads: Sequence[Workload], *, engine: Engine) -> None:
    """Raises ConfigurationError when a request needs more KV cache than one replica has."""
    limit = engine.limits.kv_capacity_tokens
    for workload in workloads:
        tokens = workload.prompt_tokens + workload.output_tokens
        too_long = np.flatnonzero(tokens > limit)
        if len(too_long):
            raise ConfigurationError(
                f"{len(too_long)} of {len(tokens)} requests never fit into a replica of "
                f"{engine.name}: the first, row {too_long[0]}, needs {tokens[too_long[0]]} tokens of "
                f"KV cache and there are {limit}; choose another --engine, or leave them out of the "
                "trace"
            )
