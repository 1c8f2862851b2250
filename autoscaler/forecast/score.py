"""Compares forecasts whose time has come with what came. Pure.

In: `ForecastState` with pending forecasts and a `Lookback` that covers their windows. Out: the state
with errors, margins and coverage brought up to date and the slots free again. What was not measured
is not scored, and nothing is learned from it.
"""

from dataclasses import dataclass, replace

import numpy as np

from autoscaler.forecast.conformal import MAX_SHIFT, MIN_SHIFT, PROMISED_RATIO, SHIFT_STEP
from autoscaler.forecast.lookback import MIN_COVER_RATIO, Lookback
from autoscaler.forecast.mixture import errors
from autoscaler.model.forecast_state import (
    BoolArray,
    ForecastState,
    ForecastTask,
    IndexArray,
    Target,
)
from collector.model.history import FloatArray

TOLERANCE_SECONDS = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcomes:
    """What came of one forecast in each of some buckets. Shapes (n_services, n_buckets)."""

    buckets: IndexArray  # (n_buckets,)
    slots: IndexArray  # (n_buckets,)
    came: FloatArray  # logs
    is_scored: BoolArray  # it was measured, and something had been forecast


def score_due(state: ForecastState, *, look: Lookback, task: ForecastTask) -> ForecastState:
    """The state with every forecast that is due scored and taken off the list.

    Forecasts that lie further ahead than their horizon were made before the clock went back: they
    are dropped without a score.
    """
    limit = look.end_timestamp_seconds + TOLERANCE_SECONDS
    horizons = np.asarray(task.horizon_seconds)
    made_later = np.isfinite(state.pending_due) & (state.pending_due - horizons[:, None] > limit)
    due = np.where(made_later, np.inf, state.pending_due)
    while (due <= limit).any():
        buckets = np.flatnonzero(due.min(axis=1) <= limit)
        slots = np.argmin(due, axis=1)[buckets]
        came, is_known = _came(
            look, task=task, horizons=horizons[buckets], ends=due[buckets, slots]
        )
        is_scored = is_known & ~np.isnan(state.pending_median[:, buckets, slots])
        outcomes = _Outcomes(buckets=buckets, slots=slots, came=came, is_scored=is_scored)
        state = _with_losses(state, outcomes=outcomes, task=task)
        state = _with_coverage(state, outcomes=outcomes, task=task)
        state = _with_residuals(state, outcomes=outcomes, task=task)
        due[buckets, slots] = np.inf
    return replace(state, pending_due=due)


def spacing_seconds(task: ForecastTask) -> FloatArray:
    """(n_horizons,) time between two remembered forecasts of one bucket."""
    return np.maximum(task.bin_seconds, np.asarray(task.horizon_seconds) / task.pending_count)


def _came(
    look: Lookback, *, task: ForecastTask, horizons: FloatArray, ends: FloatArray
) -> tuple[FloatArray, BoolArray]:
    """(logs of the targets that came, whether enough was measured); both (n_services, n_ends)."""
    services, size = look.logs.shape
    came, is_known = np.zeros((services, len(ends))), np.zeros((services, len(ends)), dtype=bool)
    for column, (horizon, end) in enumerate(zip(horizons, ends, strict=True)):
        stop = size - round((look.end_timestamp_seconds - end) / look.bin_seconds)
        wanted = round(horizon / look.bin_seconds) if task.target is Target.PEAK else 1
        begin = stop - max(1, wanted)
        if begin >= 0:
            came[:, column] = look.logs[:, begin:stop].max(axis=1)
            known = look.counts[:, stop] - look.counts[:, begin]
            is_known[:, column] = known >= MIN_COVER_RATIO * (stop - begin)
    return came, is_known


def _with_residuals(
    state: ForecastState, *, outcomes: _Outcomes, task: ForecastTask
) -> ForecastState:
    median = state.pending_median[:, outcomes.buckets, outcomes.slots]
    residuals, total = state.residuals.copy(), state.residual_total.copy()
    row, column = np.nonzero(outcomes.is_scored)
    bucket = outcomes.buckets[column]
    place = total[row, bucket] % task.residual_count
    residuals[row, bucket, place] = (outcomes.came - median)[row, column]
    total[row, bucket] += 1
    return replace(state, residuals=residuals, residual_total=total)


def _with_losses(state: ForecastState, *, outcomes: _Outcomes, task: ForecastTask) -> ForecastState:
    buckets = outcomes.buckets
    bins_apart = spacing_seconds(task)[buckets] / task.bin_seconds
    fade = 0.5 ** (bins_apart / task.loss_half_life_bins)
    members = state.pending_members[:, buckets, outcomes.slots].astype(np.float64)
    error = errors(members, came=outcomes.came)
    counts = outcomes.is_scored[..., None] & ~np.isnan(error)
    fading = np.where(outcomes.is_scored, fade, 1.0)[..., None]
    loss, weight = state.loss.copy(), state.loss_weight.copy()
    loss[:, buckets] = loss[:, buckets] * fading + np.where(counts, error, 0.0)
    weight[:, buckets] = weight[:, buckets] * fading + counts
    return replace(state, loss=loss, loss_weight=weight)


def _with_coverage(
    state: ForecastState, *, outcomes: _Outcomes, task: ForecastTask
) -> ForecastState:
    buckets = outcomes.buckets
    upper = state.pending_upper[:, buckets, outcomes.slots]
    is_judged = outcomes.is_scored & ~np.isnan(upper)
    is_missed = is_judged & (outcomes.came > upper)
    step = SHIFT_STEP * (is_missed - (1.0 - PROMISED_RATIO) * is_judged)
    fade = 0.5 ** (1.0 / task.coverage_half_life_scores)
    shift, covered, scored = state.level_shift.copy(), state.covered.copy(), state.scored.copy()
    shift[:, buckets] = np.clip(shift[:, buckets] + step, MIN_SHIFT, MAX_SHIFT)
    kept = covered[:, buckets] * fade + (1.0 - fade) * ~is_missed
    covered[:, buckets] = np.where(is_judged, kept, covered[:, buckets])
    scored[:, buckets] = scored[:, buckets] * np.where(is_judged, fade, 1.0) + is_judged
    return replace(state, level_shift=shift, covered=covered, scored=scored)
