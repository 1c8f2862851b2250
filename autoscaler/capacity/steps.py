"""What tokens cost an engine, fitted to how long its steps take while it works. Pure.

With an iteration of t seconds an engine gives B / t output tokens and computes P / t prompt tokens a
second; with t = a + o B + d P this divides to 1 = a / t + o x output rate + d x prompt rate: linear
in what is to be found, and every number in it is measured. `t` is the mean time between two tokens.
In: increases of counters of all replicas of a variant over the same stretch. Out: non-negative costs
by weighted least squares with forgetting (normal equations, so that the state stays small).
"""

import math
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from autoscaler.model.state import StepFit, StepRun
from collector.model.history import FloatArray

MIN_RUN_REPLICA_SECONDS = 60.0
"""A row spans at least this much of replicas' time: counters move in lumps of whole requests."""
MIN_GAPS = 50.0
MIN_BATCH = 4.0
"""Mean sequences in a batch from which an engine hardly ever rests (by Little's law)."""
MAX_UNSATURATED_RATIO = 0.1
"""Of a stretch in which an engine with requests in most of its slots hardly ever rests either."""
HALF_LIFE_ROWS = 400.0
MIN_ROWS = 30.0
MIN_VARIATION_RATIO = 0.1
LEAST_STEP_CREEP = 1.0005
"""Per row; a slip of the clock is forgotten within days."""
MAX_ERROR_RATIO = 0.35
"""Relative deviation of rows above which a row is taken for a disturbance, once there is a fit."""
MIN_STEP_SECONDS = 1e-5
MAX_AMOUNT = 1e9
"""Of seconds per step and tokens per second. No engine is as quick, no step as long: outside of these
a counter is broken."""
MAX_REJECTED_ROWS = 20
"""In a row: so many disturbances are another engine under the same name, and what was fitted is of the
old one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimes:
    """Costs of an engine's work. Seconds."""

    floor_seconds: float  # of a step that gives no token
    output_seconds_per_token: float  # more of a step per sequence in it
    prompt_seconds_per_token: float


def add_run(fit: StepFit, run: StepRun, *, slots: int) -> StepFit:
    """The fit with one stretch of work; unchanged when the stretch says nothing.

    `slots`: of one replica.
    A stretch that contradicts the fit is counted; after MAX_REJECTED_ROWS of them in a row the last
    one begins a new fit.
    """
    if min(run.token_gap_seconds, run.token_gaps, run.replica_seconds) <= 0:
        return fit
    step = run.token_gap_seconds / run.token_gaps
    output = run.output_tokens / run.replica_seconds
    prompt = run.prompt_tokens / run.replica_seconds
    if step < MIN_STEP_SECONDS or max(step, output, prompt) > MAX_AMOUNT:
        return fit
    fit = replace(fit, least_step_seconds=_least_step(fit, step))
    is_busy = run.unsaturated_replica_seconds <= MAX_UNSATURATED_RATIO * run.replica_seconds
    found = _row(step, output=output, prompt=prompt, slots=slots, is_busy=is_busy)
    if found is None:
        return fit
    row, weight = found
    known = _fitted(fit)
    if known is None or abs(_left_side(row, known) - 1.0) <= MAX_ERROR_RATIO:
        return _with_row(fit, row, weight=weight)
    if weight < 1.0:  # it may be the engine, and it may be that it rested otherwise than thought
        return fit
    return _contradicted(fit, row, step=step)


def _contradicted(fit: StepFit, row: FloatArray, *, step: float) -> StepFit:
    if fit.rejected_rows + 1 < MAX_REJECTED_ROWS:
        return replace(fit, rejected_rows=fit.rejected_rows + 1)
    return _with_row(StepFit(least_step_seconds=step), row, weight=1.0)


def _row(
    step: float, *, output: float, prompt: float, slots: int, is_busy: bool
) -> tuple[FloatArray, float] | None:
    """(factors of floor, output and prompt costs that add up to 1, weight); None: says nothing.

    Of an engine that never rests its time is what its steps take. With few slots its steps always hold
    as many, so that their floor cannot be told from the work in them: it counts as work. Of one that
    rests its steps are told as its tokens see them, each with one sequence more than the others in
    its way; the fewer tokens, the less that is worth.
    """
    batch = output * step
    if slots < MIN_BATCH:
        return (np.array([0.0, output, prompt]), 1.0) if is_busy else None
    if is_busy or batch >= MIN_BATCH:
        return np.array([1.0 / step, output, prompt]), 1.0
    others = 1.0 - 1.0 / slots
    seen = np.array([1.0 / step, 1.0 / step + output * others, prompt * others])
    return seen, batch / MIN_BATCH


def _with_row(fit: StepFit, row: FloatArray, *, weight: float) -> StepFit:
    keep = 0.5 ** (weight / HALF_LIFE_ROWS)
    gram = keep * _square(fit.gram) + weight * np.outer(row, row)
    moment = keep * np.asarray(fit.moment) + weight * row
    fit = replace(
        fit,
        gram=tuple(float(each) for each in gram[np.triu_indices(3)]),
        moment=tuple(float(each) for each in moment),
        rows=keep * fit.rows + weight,
        rejected_rows=0,
    )
    return replace(fit, costs=_solved(fit) or fit.costs)


def is_whole(run: StepRun) -> bool:
    """Whether a stretch is long enough to be a row."""
    return run.replica_seconds >= MIN_RUN_REPLICA_SECONDS and run.token_gaps >= MIN_GAPS


def step_times(fit: StepFit) -> StepTimes | None:
    """The fitted costs, the floor no higher than the least step seen; None before there is enough to
    fit."""
    times, least = _fitted(fit), fit.least_step_seconds
    if times is None or least is None:
        return times
    return replace(times, floor_seconds=min(times.floor_seconds, least))


def _fitted(fit: StepFit) -> StepTimes | None:
    """What the rows alone say, by which further rows are judged; of a steady load, what they said
    when it last varied."""
    if fit.costs is None:
        return None
    floor, output, prompt = fit.costs
    return StepTimes(
        floor_seconds=floor, output_seconds_per_token=output, prompt_seconds_per_token=prompt
    )


def _solved(fit: StepFit) -> tuple[float, float, float] | None:
    """(floor, output, prompt) by least squares; None where the rows do not tell them apart.

    Rows that are all alike, as of engines with a queue that never ends, cannot tell the floor of a
    step from the work in it: any split of the two fits them.
    """
    has_floor = fit.gram[0] > 0
    if fit.rows < MIN_ROWS or (has_floor and _variation(fit) < MIN_VARIATION_RATIO):
        return None
    floor, output, prompt = non_negative(_square(fit.gram), np.asarray(fit.moment))
    is_whole = (floor > 0 or not has_floor) and output + prompt > 0
    return (floor, output, prompt) if is_whole else None


def _least_step(fit: StepFit, step: float) -> float:
    """The shortest mean step so far. An idle engine's steps are its floor: what a fit from busy ones
    alone gets wrong, the first quiet moment corrects."""
    before = fit.least_step_seconds
    return step if before is None else min(step, before * LEAST_STEP_CREEP)


def _variation(fit: StepFit) -> float:
    """Coefficient of variation of the rows' steps per second, or of their batches if that is larger:
    few sequences hardly change the length of a step, and tell its floor all the same."""
    steps, both, _, outputs = fit.gram[:4]
    mean = fit.moment[0] / fit.rows
    variance = max(0.0, steps / fit.rows - mean * mean)
    of_steps = math.sqrt(variance) / mean if mean > 0 else 0.0
    likeness = both * both / (steps * outputs) if steps * outputs > 0 else 1.0
    return max(of_steps, math.sqrt(max(0.0, 1.0 - likeness)))


def non_negative(gram: FloatArray, moment: FloatArray) -> tuple[float, ...]:
    """The x >= 0 that minimises x' G x - 2 m' x: the best of all choices of which may be above 0.

    Three unknowns have seven choices; trying them all is exact, and no iteration can go astray.
    """
    size = len(moment)
    best, least = np.zeros(size), 0.0
    for count in range(1, size + 1):
        for free in combinations(range(size), count):
            x = _solution(gram, moment, free=free)
            loss = float(x @ gram @ x - 2.0 * moment @ x)
            if (x >= 0).all() and loss < least:
                best, least = x, loss
    return tuple(float(each) for each in best)


def _solution(gram: FloatArray, moment: FloatArray, *, free: tuple[int, ...]) -> FloatArray:
    x = np.zeros(len(moment))
    index = list(free)
    scale = np.sqrt(np.maximum(np.diag(gram)[index], 1e-300))
    scaled = gram[np.ix_(index, index)] / np.outer(scale, scale)
    ridge = 1e-9 * np.eye(len(index))  # columns in proportion: any split of them serves as well
    x[index] = np.linalg.solve(scaled + ridge, moment[index] / scale) / scale
    return x


def _square(upper: tuple[float, ...]) -> FloatArray:
    matrix = np.zeros((3, 3))
    matrix[np.triu_indices(3)] = upper
    return np.asarray(matrix + np.triu(matrix, 1).T)


def _left_side(row: FloatArray, times: StepTimes) -> float:
    costs = (
        times.floor_seconds,
        times.output_seconds_per_token,
        times.prompt_seconds_per_token,
    )
    return float(row @ np.asarray(costs))
