"""The forecaster's two doors for every tick: `observe` what came, `predict` what may come. Pure.

In: closed bins, fitted curves, what is remembered. Out: the next state; quantiles with what they
are worth. Between slo and capacity in the flow. Nothing here decides how much capacity to have.
"""

from dataclasses import dataclass, replace

import numpy as np

from autoscaler.forecast.conformal import (
    MIN_ERRORS,
    PROMISED_RATIO,
    ErrorCounts,
    error_quantiles,
    is_trusted,
    plain_margins,
)
from autoscaler.forecast.lookback import Lookback, look_back
from autoscaler.forecast.members import levels_now, member_logs, prior_errors, rivals
from autoscaler.forecast.mixture import MAX_LOG, guarded_logs
from autoscaler.forecast.score import score_due, spacing_seconds
from autoscaler.model.forecast_state import (
    ForecastInputs,
    ForecastState,
    ForecastTask,
    IndexArray,
    Prediction,
    Target,
)
from collector.model.history import FloatArray


def observe(state: ForecastState, *, inputs: ForecastInputs) -> ForecastState:
    """The state after scoring every forecast whose time has come and remembering those made now.

    Calling it twice with the same bins changes nothing. Rows of the inputs and the state must be the
    same services (`rows.aligned_state`).
    """
    look = look_back(inputs.bins, task=inputs.task)
    scored = score_due(state, look=look, task=inputs.task)
    return _with_new_forecasts(scored, look=look, inputs=inputs)


def predict(
    state: ForecastState,
    *,
    inputs: ForecastInputs,
    horizon_seconds: FloatArray,
    quantiles: tuple[float, ...],
) -> Prediction:
    """Quantiles of the task's target per service, each at its own horizon, (n_services,) seconds.

    Quantiles are between 0 and 1 and do not cross. What is not known is 0 and marked.
    """
    task = inputs.task
    look = look_back(inputs.bins, task=task)
    place = _place(horizon_seconds, task=task)
    rows = np.arange(len(horizon_seconds))
    members = member_logs(look, state=state, inputs=inputs, horizons=horizon_seconds[:, None])[:, 0]
    middle, _ = guarded_logs(
        members,
        loss=state.loss[rows, place.nearest],
        weight=state.loss_weight[rows, place.nearest],
        prior=prior_errors(task, horizons=horizon_seconds),
        rivals=rivals(task),
    )
    levels, is_known = levels_now(look, task=task)
    is_learning = _counts(state, task=task)[rows, place.nearest] < MIN_ERRORS
    trusted = is_trusted(state)[rows, place.nearest]
    now = np.maximum(levels[:, 0], levels[:, 2])
    base = np.where(trusted | is_learning, middle, now)
    margins = np.where(
        (trusted & ~is_learning)[:, None],
        _margins(state, place=place, task=task, quantiles=quantiles),
        _plain(base, task=task, horizons=horizon_seconds, quantiles=quantiles),
    )
    logs = np.maximum.accumulate(base[:, None] + margins, axis=1)
    demand = np.expm1(np.clip(logs, 0.0, MAX_LOG)) * look.unit[:, None]
    return Prediction(
        per_second=np.where(is_known[:, None], demand, 0.0),
        is_known=is_known,
        is_learning=is_learning,
        is_trusted=trusted,
        coverage_ratio=state.covered[rows, place.nearest].astype(np.float64),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where horizons lie among a task's buckets, by ratio. Shapes (n_services,)."""

    below: IndexArray
    above: IndexArray
    share: FloatArray  # of the one above, 0..1
    nearest: IndexArray


def _place(horizon_seconds: FloatArray, *, task: ForecastTask) -> _Place:
    buckets = np.asarray(task.horizon_seconds)
    above = np.minimum(np.searchsorted(buckets, horizon_seconds), len(buckets) - 1)
    below = np.maximum(above - 1, 0)
    span = np.where(above > below, np.log(buckets[above] / buckets[below]), 1.0)
    share = np.clip(np.log(horizon_seconds / buckets[below]) / span, 0.0, 1.0)
    return _Place(
        below=below, above=above, share=share, nearest=np.where(share < 0.5, below, above)
    )


def _margins(
    state: ForecastState, *, place: _Place, task: ForecastTask, quantiles: tuple[float, ...]
) -> FloatArray:
    """Log margins between those of the two buckets around each horizon; (n_services, n_quantiles)."""
    columns = np.stack([place.below, place.above], axis=1)
    rows = np.arange(len(columns))[:, None]
    counts = _counts(state, task=task)[rows, columns]
    both = error_quantiles(
        state.residuals[rows, columns],
        counts=_error_counts(
            counts, independent_ratio=_independent_ratio(task)[columns], task=task
        ),
        shift=state.level_shift[rows, columns],
        quantiles=quantiles,
    )
    # a bucket above that has too few errors yet is not asked
    share = np.where(counts[:, 1] >= MIN_ERRORS, place.share, 0.0)[:, None]
    share = np.where(counts[:, :1] >= MIN_ERRORS, share, 1.0)
    below = np.where(share < 1, both[:, 0], 0.0) * (1 - share)
    above = np.where(share > 0, both[:, 1], 0.0) * share
    return np.asarray(below + above)


def _counts(state: ForecastState, *, task: ForecastTask) -> FloatArray:
    return np.minimum(state.residual_total, task.residual_count).astype(np.float64)


def _independent_ratio(task: ForecastTask) -> FloatArray:
    """(n_horizons,) what share of the errors count as independent, between none and all overlap.

    Forecasts for the same hour are wrong together, but not only together: the geometric mean.
    """
    return np.asarray(
        np.sqrt(np.minimum(1.0, spacing_seconds(task) / np.asarray(task.horizon_seconds)))
    )


def _error_counts(
    counts: FloatArray, *, independent_ratio: FloatArray, task: ForecastTask
) -> ErrorCounts:
    """A peak lies above its level at all times: every error says so. Where counts hours ahead lie
    only errors of different hours tell."""
    middle = counts if task.target is Target.PEAK else counts * independent_ratio**2
    return ErrorCounts(kept=counts, independent=counts * independent_ratio, middle=middle)


def _with_new_forecasts(
    state: ForecastState, *, look: Lookback, inputs: ForecastInputs
) -> ForecastState:
    """Remembers what would be forecast now for each bucket whose last forecast is old enough."""
    task = inputs.task
    horizons = np.asarray(task.horizon_seconds)
    waiting = np.isfinite(state.pending_due)
    newest = np.where(waiting, state.pending_due - horizons[:, None], -np.inf).max(axis=1)
    is_time = look.end_timestamp_seconds - newest >= spacing_seconds(task) - 1e-6
    chosen = np.flatnonzero(is_time & ~waiting.all(axis=1))
    if not chosen.size:
        return state
    slots = np.argmin(waiting[chosen], axis=1)
    members, median, upper = _forecasts(state, chosen=chosen, look=look, inputs=inputs)
    pending_members, pending_due = state.pending_members.copy(), state.pending_due.copy()
    pending_median, pending_upper = state.pending_median.copy(), state.pending_upper.copy()
    pending_members[:, chosen, slots] = members
    pending_median[:, chosen, slots] = median
    pending_upper[:, chosen, slots] = upper
    pending_due[chosen, slots] = look.end_timestamp_seconds + horizons[chosen]
    return replace(
        state,
        pending_members=pending_members,
        pending_median=pending_median,
        pending_upper=pending_upper,
        pending_due=pending_due,
    )


def _forecasts(
    state: ForecastState,
    *,
    chosen: IndexArray,
    look: Lookback,
    inputs: ForecastInputs,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(members and mixture, final forecast, its P90 or NaN) at the chosen buckets, all logs."""
    task = inputs.task
    horizons = np.asarray(task.horizon_seconds)[chosen]
    members = member_logs(look, state=state, inputs=inputs, horizons=horizons[None, :])
    median, mixed = guarded_logs(
        members,
        loss=state.loss[:, chosen],
        weight=state.loss_weight[:, chosen],
        prior=prior_errors(task, horizons=horizons),
        rivals=rivals(task),
    )
    counts = _counts(state, task=task)[:, chosen]
    margin = error_quantiles(
        state.residuals[:, chosen],
        counts=_error_counts(counts, independent_ratio=_independent_ratio(task)[chosen], task=task),
        shift=state.level_shift[:, chosen],
        quantiles=(PROMISED_RATIO,),
    )[..., 0]
    upper = np.where(counts >= MIN_ERRORS, median + margin, np.nan)
    return np.concatenate([members, mixed[..., None]], axis=-1), median, upper


def _plain(
    base: FloatArray, *, task: ForecastTask, horizons: FloatArray, quantiles: tuple[float, ...]
) -> FloatArray:
    """Margins where errors say nothing yet."""
    windows = np.ones_like(horizons)
    if task.target is Target.PEAK:
        windows = np.maximum(1.0, np.round(horizons / task.smooth_seconds))
    return plain_margins(
        np.clip(np.nan_to_num(base), 0.0, MAX_LOG),
        horizon_seconds=horizons,
        windows=windows,
        quantiles=quantiles,
    )
