"""What a replica sustains, from the first minutes of a service of which nothing else is known. Pure.

In: the sums of the step fit from its first row on, the objectives. Out: a `Capacity` by a fit of one cost in place of
four; `steps` takes over as soon as its rows tell the costs apart. It must not be used beside a declared or probed cost.
"""

from dataclasses import dataclass, replace

import numpy as np

from autoscaler.capacity.estimate import capacity_of
from autoscaler.capacity.objectives import longest_step_seconds, usable_ratio
from autoscaler.capacity.steps import KV, OUTPUT, UNKNOWNS, StepTimes
from autoscaler.forecast.demand import OUTPUT_WEIGHT
from autoscaler.model.capacity import Capacity
from autoscaler.model.state import StepFit, VariantState
from collector.model.catalogue import Objective, Variant

MIN_FIRST_ROWS = 1.0
MIN_SHRINK_ROWS = 10
"""Before as many, a first estimate may add replicas and take none away."""
MAX_FLOOR_RATIO = 0.5
"""Of the longest step that the objectives allow: whoever chose the engine chose one that keeps them at some load."""
FLOOR_RATIO = 0.75
"""Of the shortest step seen, until steps with more and with less work in them say better. Were it 1, the first engine
that is seen at work would have no limit; were it 0, whatever an idle one does would be its limit. Replayed on recorded
traffic (docs/benchmarks/cold_start.md) 0.5 loses as many requests and takes up to a quarter more GPU-hours."""
FLOOR_ROWS = 1.0
"""How many rows that guess counts for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sums:
    """Over rows, of steps per second and of tokens per second, each in prompt tokens' work."""

    steps: float
    step_squares: float
    tokens: float
    token_squares: float
    products: float


def first_capacity(
    variant: Variant, *, state: VariantState, objectives: tuple[Objective, ...]
) -> Capacity | None:
    """The capacity of one replica; None before the first stretch of work, and where a cost was declared or probed."""
    if state.probed_capacity is not None or variant.capacity_prior is not None:
        return None
    most = MAX_FLOOR_RATIO * longest_step_seconds(objectives)
    times = first_step_times(state.step_fit, most_floor_seconds=most)
    if times is None:
        return None
    limit = usable_ratio(times, objectives=objectives)
    found = capacity_of(times, variant=variant, limit=limit, rows=state.step_fit.rows)
    return replace(found, is_provisional=found.sample_count < MIN_SHRINK_ROWS)


def first_step_times(fit: StepFit, *, most_floor_seconds: float) -> StepTimes | None:
    """Least squares of 1 = floor / step + cost x tokens per second, an output token being OUTPUT_WEIGHT prompt tokens;
    None before the first row. Busy rows weigh most: they count by the square of their tokens."""
    if fit.rows < MIN_FIRST_ROWS or fit.least_step_seconds is None:
        return None
    sums = _sums(fit)
    most = min(fit.least_step_seconds, most_floor_seconds)
    floor = min(most, _floor_seconds(sums, guess=FLOOR_RATIO * most))
    busy = sums.tokens - floor * sums.products
    if sums.token_squares <= 0 or busy <= 0:
        return None
    cost = busy / sums.token_squares
    return StepTimes(
        floor_seconds=floor,
        output_seconds_per_token=OUTPUT_WEIGHT * cost,
        prompt_seconds_per_token=cost,
        kv_ratio_per_sequence=fit.recent_kv / fit.recent_sequences
        if fit.recent_sequences > 0
        else 0.0,
    )


def _sums(fit: StepFit) -> _Sums:
    gram = np.zeros((UNKNOWNS, UNKNOWNS))
    gram[np.triu_indices(UNKNOWNS)] = fit.gram
    output, prompt = OUTPUT, KV - 1
    return _Sums(
        steps=fit.moment[0],
        step_squares=float(gram[0, 0]),
        tokens=OUTPUT_WEIGHT * fit.moment[output] + fit.moment[prompt],
        token_squares=float(
            OUTPUT_WEIGHT**2 * gram[output, output]
            + 2.0 * OUTPUT_WEIGHT * gram[output, prompt]
            + gram[prompt, prompt]
        ),
        products=float(OUTPUT_WEIGHT * gram[0, output] + gram[0, prompt]),
    )


def _floor_seconds(sums: _Sums, *, guess: float) -> float:
    """The floor that fits the rows and the guess best, 0 or more; 0 where the rows have no steps."""
    if guess <= 0 or sums.steps <= 0:
        return 0.0
    weight = FLOOR_ROWS / guess**2  # of (floor - guess) / guess
    determinant = (sums.step_squares + weight) * sums.token_squares - sums.products**2
    if determinant <= 0:
        return guess
    told = (sums.steps + weight * guess) * sums.token_squares - sums.tokens * sums.products
    return max(0.0, told / determinant)
