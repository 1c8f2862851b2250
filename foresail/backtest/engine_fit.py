"""What a step of the user's own engine costs, fitted to its history. Pure.

In: `StepHistory`. Out: an `Engine` for the replay, and in words how well it fits. The same relation as
`autoscaler.capacity.steps` learns from while an engine runs: 1 = floor / t + a x output rate + b x prompt
rate, t being the mean step; here over all rows at once. Raises ConfigurationError that says what is
missing, rather than give an engine that nobody has.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from autoscaler.capacity.steps import (
    MAX_ERROR_RATIO,
    MIN_BATCH,
    MIN_ROWS,
    MIN_STEP_SECONDS,
    MIN_VARIATION_RATIO,
    non_negative,
)
from autoscaler.engine_model.costs import EngineLimits, StepCosts, picoseconds
from autoscaler.replay.workload import FloatArray
from collector.errors import ConfigurationError
from foresail.backtest.engine_row import FIT, MAX_SEQUENCES, Engine
from foresail.backtest.step_history import StepHistory

MAX_MEDIAN_ERROR_RATIO: Final = 0.2
"""Of the steps' lengths; a relation that misses the middle row by more is not that of this engine."""
_LEAST_IDLE_RATIO: Final = 0.05
MAX_STEP_TOKENS: Final = 8192
"""vLLM's max_num_batched_tokens on accelerators of today; no series tells it."""
_NAME_A_ROW: Final = "or name the row that is nearest to your engine (`foresail emulate --rows`)"


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedEngine:
    """An engine and what is to be said of it."""

    engine: Engine
    row_count: int  # that were fitted
    median_error_ratio: float  # of the length of a step
    p90_error_ratio: float
    note: str


def fitted_engine(history: StepHistory) -> FittedEngine:
    """The engine that these rows are of. Raises ConfigurationError."""
    rows = _busy_rows(history)
    if len(rows) < MIN_ROWS:
        raise ConfigurationError(
            f"--engine fit: {len(rows)} of {len(history.step_seconds)} measured bins had {MIN_BATCH:g} or "
            f"more requests at work in one engine, and {MIN_ROWS:g} are needed; ask for a longer "
            f"--since, {_NAME_A_ROW}"
        )
    _check_variation(rows)
    costs, kept = _fit(rows)
    errors = _step_errors(rows, costs)  # also of rows that were left out: they happened
    median, p90 = (float(each) for each in np.quantile(errors, (0.5, 0.9)))
    if costs[0] <= 0 or costs[1] + costs[2] <= 0 or median > MAX_MEDIAN_ERROR_RATIO:
        raise ConfigurationError(
            f"--engine fit: no costs explain the steps of {len(rows)} bins (off by {median:.0%} in the "
            f"middle, {MAX_MEDIAN_ERROR_RATIO:.0%} at most is usable): engines of several kinds under one "
            f"model name, or scrapes too rare? Mend that, {_NAME_A_ROW}"
        )
    engine = _engine(costs, kv_capacity_tokens=history.kv_capacity_tokens)
    return FittedEngine(
        engine=engine,
        row_count=int(kept.sum()),
        median_error_ratio=median,
        p90_error_ratio=p90,
        note=_note(costs, count=int(kept.sum()), median=median, p90=p90),
    )


def _busy_rows(history: StepHistory) -> FloatArray:
    """(n, 3) of steps, output and prompt tokens a second: of engines that hardly rested, by Little's law."""
    step, output = history.step_seconds, history.output_tokens_per_second
    busy = (step >= MIN_STEP_SECONDS) & (output * step >= MIN_BATCH)
    rows = np.stack(
        [1.0 / step[busy], output[busy], history.prompt_tokens_per_second[busy]], axis=1
    )
    return np.asarray(rows, np.float64)


def _check_variation(rows: FloatArray) -> None:
    variation = float(rows[:, 0].std() / rows[:, 0].mean())
    if variation < MIN_VARIATION_RATIO:
        raise ConfigurationError(
            f"--engine fit: the engines' steps were all alike (they vary by {variation:.0%}, and "
            f"{MIN_VARIATION_RATIO:.0%} are needed), so what a token adds to one cannot be told; ask for a "
            f"--since with quiet and busy hours, {_NAME_A_ROW}"
        )


def _fit(rows: FloatArray) -> "tuple[FloatArray, np.typing.NDArray[np.bool_]]":
    """(floor, per output token, per prompt token) and which rows it is of: disturbances are left out."""
    costs = _least_squares(rows)
    kept = np.abs(rows @ costs - 1.0) <= MAX_ERROR_RATIO
    if kept.sum() < MIN_ROWS:
        return costs, np.ones(len(rows), dtype=np.bool_)
    return _least_squares(rows[kept]), kept


def _least_squares(rows: FloatArray) -> FloatArray:
    return np.asarray(non_negative(rows.T @ rows, rows.sum(axis=0)))


def _step_errors(rows: FloatArray, costs: FloatArray) -> FloatArray:
    """(n,): by how much of itself a step would be longer or shorter than measured at the same rates.

    A step of an engine that gets this work is floor / (1 - work), the nearer to saturation the less
    certain.
    """
    work = rows[:, 1:] @ costs[1:]
    predicted = costs[0] / np.maximum(1.0 - work, _LEAST_IDLE_RATIO)
    return np.asarray(np.abs(predicted * rows[:, 0] - 1.0))


def _engine(costs: FloatArray, *, kv_capacity_tokens: int) -> Engine:
    floor, output, prompt = (picoseconds(float(each)) for each in costs)
    return Engine(
        name=FIT,
        gpus=1,
        costs=StepCosts(
            floor_picoseconds=max(1, floor),
            prefill_base_picoseconds=floor,  # so that prompts add to the floor, as they were fitted
            prefill_token_picoseconds=prompt,
            prefill_square_picoseconds=0,
            sequence_picoseconds=output,
            context_token_picoseconds=0,
        ),
        limits=EngineLimits(
            kv_capacity_tokens=kv_capacity_tokens,
            max_sequence_count=MAX_SEQUENCES,
            max_step_tokens=MAX_STEP_TOKENS,
        ),
    )


def _note(costs: FloatArray, *, count: int, median: float, p90: float) -> str:
    floor, output, prompt = (float(each) for each in costs)
    return (
        f"engine fitted to {count} busy bins of this history: a step takes {floor * 1e3:.3g} ms, "
        f"{output * 1e3:.3g} ms more per sequence and {prompt * 1e6:.3g} ms per thousand prompt tokens; "
        f"at the same load it misses a bin's steps by {median:.1%} in the middle and {p90:.1%} in one of "
        "ten; one GPU per replica is counted"
    )
