"""What tokens cost an engine, fitted to how long its steps take while it works. Pure.

With an iteration of t seconds an engine gives B / t output tokens and computes P / t prompt tokens a
second; with t = a + o B + d P this divides to 1 = a / t + o x output rate + d x prompt rate: linear
in what is to be found, and every number in it is measured. `t` is the mean time between two tokens. Where the engine
tells how full its KV cache is, `+ c x share in use / t` is in it too: long contexts make steps longer, and
would otherwise be taken for the prompts that they began with.
In: increases of counters of all replicas of a variant over the same stretch. Out: non-negative costs
by weighted least squares with forgetting (normal equations, so that the state stays small).
"""

import math
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from autoscaler.model.state import StepFit, StepRun
from collector.model.history import FloatArray

OUTPUT, KV, UNKNOWNS = 1, 3, 4
"""Places in a row, and how many there are: floor, output, prompt, KV cache."""
MIN_RUN_REPLICA_SECONDS = 60.0
"""A row spans at least this much of replicas' time: counters move in lumps of whole requests."""
MIN_GAPS = 50.0
MIN_BATCH = 4.0
"""Mean sequences in a batch from which an engine hardly ever rests (by Little's law): a whole row."""
LEAST_BATCH = 0.1
"""Below it the share of the KV cache per sequence is one small number over another."""
MAX_UNSATURATED_RATIO = 0.1
"""Of a stretch in which an engine with requests in most of its slots hardly ever rests either."""
HALF_LIFE_ROWS = 400.0
CONTEXT_HALF_LIFE_ROWS = 40.0
"""How long sequences are changes with the hour; what a token costs at a given length does not."""
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
    output_seconds_per_token: float  # more of a step per sequence in it, at the contexts of now
    prompt_seconds_per_token: float
    kv_ratio_per_sequence: float = 0.0  # of the KV cache, of the mean sequence; 0: not told


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pace:
    """A stretch of work per second of one replica."""

    step_seconds: float
    output_tokens_per_second: float
    prompt_tokens_per_second: float
    kv_use_ratio: float  # 0: not told


def add_run(fit: StepFit, run: StepRun, *, slots: int) -> StepFit:
    """The fit with one stretch of work; unchanged when the stretch says nothing.

    `slots`: of one replica.
    A stretch that contradicts the fit is counted; after MAX_REJECTED_ROWS of them in a row the last
    one begins a new fit.
    """
    pace = _pace(run)
    if pace is None:
        return fit
    fit = replace(fit, least_step_seconds=_least_step(fit, pace.step_seconds))
    is_busy = run.unsaturated_replica_seconds <= MAX_UNSATURATED_RATIO * run.replica_seconds
    found = _row(pace, slots=slots, is_busy=is_busy)
    if found is None:
        return fit
    row, weight = found
    is_kv_told = run.kv_replica_seconds is not None
    if fit.rows == 0:
        fit = replace(fit, is_kv_told=is_kv_told)
    # Costs found with and without the cache are not the same: at any load, the fit is of another engine.
    if fit.is_kv_told != is_kv_told:
        return _contradicted(fit, row, step=pace.step_seconds, is_kv_told=is_kv_told)
    if _is_near(fit, row):
        return _with_row(fit, row, weight=weight)
    if weight < 1.0:  # it may be the engine, and it may be that it rested otherwise than thought
        return fit
    return _contradicted(fit, row, step=pace.step_seconds, is_kv_told=is_kv_told)


def _pace(run: StepRun) -> _Pace | None:
    """None where nothing was done, or a counter is broken."""
    if min(run.token_gap_seconds, run.token_gaps, run.replica_seconds) <= 0:
        return None
    pace = _Pace(
        step_seconds=run.token_gap_seconds / run.token_gaps,
        output_tokens_per_second=run.output_tokens / run.replica_seconds,
        prompt_tokens_per_second=run.prompt_tokens / run.replica_seconds,
        kv_use_ratio=(run.kv_replica_seconds or 0.0) / run.replica_seconds,
    )
    most = max(pace.step_seconds, pace.output_tokens_per_second, pace.prompt_tokens_per_second)
    return pace if pace.step_seconds >= MIN_STEP_SECONDS and most <= MAX_AMOUNT else None


def _is_near(fit: StepFit, row: FloatArray) -> bool:
    return fit.costs is None or abs(float(row @ fit.costs) - 1.0) <= MAX_ERROR_RATIO


def _contradicted(fit: StepFit, row: FloatArray, *, step: float, is_kv_told: bool) -> StepFit:
    if fit.rejected_rows + 1 < MAX_REJECTED_ROWS:
        return replace(fit, rejected_rows=fit.rejected_rows + 1)
    return _with_row(StepFit(least_step_seconds=step, is_kv_told=is_kv_told), row, weight=1.0)


def _row(pace: _Pace, *, slots: int, is_busy: bool) -> tuple[FloatArray, float] | None:
    """(factors of floor, output, prompt and KV costs that add up to 1, weight); None: says nothing.

    Of an engine that never rests its time is what its steps take. With few slots its steps always hold
    as many, so that their floor cannot be told from the work in them: it counts as work. Of one that
    has slots to spare its steps are told as its tokens see them, each with one sequence more than the
    others in its way, since busy steps give more tokens than quiet ones (arrivals see the mean, those
    who are there one more: Poisson); the fewer tokens, the less that is worth.
    """
    step, output = pace.step_seconds, pace.output_tokens_per_second
    prompt, kv = pace.prompt_tokens_per_second, pace.kv_use_ratio / step
    if slots < MIN_BATCH:
        return (np.array([0.0, output, prompt, kv]), 1.0) if is_busy else None
    if is_busy:
        return np.array([1.0 / step, output, prompt, kv]), 1.0
    batch, others = output * step, 1.0 - 1.0 / slots
    company = others + 1.0 / max(batch, LEAST_BATCH)  # in the way of a token, over the mean batch
    seen = [1.0 / step, 1.0 / step + output * others, prompt * others, kv * company]
    return np.array(seen), min(1.0, batch / MIN_BATCH)


def _with_row(fit: StepFit, row: FloatArray, *, weight: float) -> StepFit:
    keep = 0.5 ** (weight / HALF_LIFE_ROWS)
    recent = 0.5 ** (weight / CONTEXT_HALF_LIFE_ROWS)
    gram = keep * _square(fit.gram) + weight * np.outer(row, row)
    moment = keep * np.asarray(fit.moment) + weight * row
    fit = replace(
        fit,
        gram=tuple(float(each) for each in gram[np.triu_indices(UNKNOWNS)]),
        moment=tuple(float(each) for each in moment),
        rows=keep * fit.rows + weight,
        recent_kv=recent * fit.recent_kv + weight * float(row[KV]),
        recent_sequences=recent * fit.recent_sequences + weight * float(row[OUTPUT]),
        rejected_rows=0,
    )
    return replace(fit, costs=_solved(fit) or fit.costs)


def is_whole(run: StepRun) -> bool:
    """Whether a stretch is long enough to be a row."""
    return run.replica_seconds >= MIN_RUN_REPLICA_SECONDS and run.token_gaps >= MIN_GAPS


def step_times(fit: StepFit) -> StepTimes | None:
    """The fitted costs, the floor no higher than the least step seen; None before there is enough to
    fit."""
    if fit.costs is None:
        return None
    floor, output, prompt, whole_kv = fit.costs
    least = fit.least_step_seconds
    kv_share = fit.recent_kv / fit.recent_sequences if fit.recent_sequences > 0 else 0.0
    return StepTimes(
        floor_seconds=min(floor, math.inf if least is None else least),
        output_seconds_per_token=output + whole_kv * kv_share,
        prompt_seconds_per_token=prompt,
        kv_ratio_per_sequence=kv_share,
    )


def _solved(fit: StepFit) -> tuple[float, float, float, float] | None:
    """(floor, output, prompt, whole KV cache) by least squares; None where the rows do not tell them
    apart.

    Rows that are all alike, as of engines with a queue that never ends, cannot tell the floor of a
    step from the work in it: any split of the two fits them.
    """
    has_floor = fit.gram[0] > 0
    if fit.rows < MIN_ROWS or (has_floor and _variation(fit) < MIN_VARIATION_RATIO):
        return None
    floor, output, prompt, kv = non_negative(_square(fit.gram), np.asarray(fit.moment))
    is_whole = (floor > 0 or not has_floor) and output + prompt + kv > 0
    return (floor, output, prompt, kv) if is_whole else None


def _least_step(fit: StepFit, step: float) -> float:
    """The shortest mean step so far. An idle engine's steps are its floor: what a fit from busy ones
    alone gets wrong, the first quiet moment corrects."""
    before = fit.least_step_seconds
    return step if before is None else min(step, before * LEAST_STEP_CREEP)


def _variation(fit: StepFit) -> float:
    """Coefficient of variation of the rows' steps per second, or of their batches if that is larger:
    few sequences hardly change the length of a step, and tell its floor all the same."""
    steps, both, outputs = fit.gram[0], fit.gram[1], fit.gram[UNKNOWNS]
    mean = fit.moment[0] / fit.rows
    variance = max(0.0, steps / fit.rows - mean * mean)
    of_steps = math.sqrt(variance) / mean if mean > 0 else 0.0
    likeness = both * both / (steps * outputs) if steps * outputs > 0 else 1.0
    return max(of_steps, math.sqrt(max(0.0, 1.0 - likeness)))


def non_negative(gram: FloatArray, moment: FloatArray) -> tuple[float, ...]:
    """The x >= 0 that minimises x' G x - 2 m' x: the best of all choices of which may be above 0.

    Four unknowns have fifteen choices; trying them all is exact, and no iteration can go astray.
    """
    size = len(moment)
    freely = _solution(gram, moment, free=tuple(range(size)))
    if (freely >= 0).all():
        return tuple(float(each) for each in freely)
    best, least = np.zeros(size), 0.0
    for count in range(1, size):
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
    matrix = np.zeros((UNKNOWNS, UNKNOWNS))
    matrix[np.triu_indices(UNKNOWNS)] = upper
    return np.asarray(matrix + np.triu(matrix, 1).T)
