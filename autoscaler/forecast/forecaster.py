"""The forecaster's two doors for every tick: `observe` what came, `predict` what may come. Pure.

In: closed bins, fitted curves, what is remembered. Out: the next state; quantiles with what they
are worth. `forecast` is the stage between slo and capacity. Nothing here decides how much capacity
to have.
"""

from dataclasses import replace

import numpy as np

from autoscaler.forecast.conformal import (
    MIN_ERRORS,
    PROMISED_RATIO,
    error_quantiles,
    is_trusted,
    plain_margins,
)
from autoscaler.forecast.lookback import Lookback, look_back
from autoscaler.forecast.members import levels_now, member_count, member_logs, prior_errors, rivals
from autoscaler.forecast.mixture import MAX_LOG, guarded_logs
from autoscaler.forecast.score import score_due, spacing_seconds
from autoscaler.model.forecast_state import (
    DemandBins,
    FittedModels,
    ForecastState,
    ForecastTask,
    Prediction,
    Target,
)
from collector.model.history import FloatArray
from collector.model.ids import ServiceName


def empty_state(services: tuple[ServiceName, ...], *, task: ForecastTask) -> ForecastState:
    """What is known of services never seen before: nothing."""
    shape = (len(services), len(task.horizon_seconds))
    pending = (*shape, task.pending_count)

    def full(*shape: int, value: float = 0.0) -> np.ndarray:
        return np.full(shape, value, dtype=np.float32)

    return ForecastState(
        services=services,
        loss=full(*shape, member_count(task) + 1),
        loss_weight=full(*shape, member_count(task) + 1),
        residuals=full(*shape, task.residual_count, value=np.nan),
        residual_total=np.zeros(shape, dtype=np.int64),
        level_shift=full(*shape),
        covered=full(*shape, value=PROMISED_RATIO),
        scored=full(*shape),
        pending_members=full(*pending, member_count(task) + 1, value=np.nan),
        pending_median=full(*pending, value=np.nan),
        pending_upper=full(*pending, value=np.nan),
        pending_due=np.full(pending[1:], np.inf),
    )


def observe(
    state: ForecastState, *, bins: DemandBins, models: FittedModels | None, task: ForecastTask
) -> ForecastState:
    """The state after scoring every forecast whose time has come and remembering those made now.

    `bins` must reach back `task.look_back_seconds`; calling it twice with the same bins changes
    nothing. Rows of `bins`, `models` and `state` must be the same services.
    """
    look = look_back(bins, task=task)
    return _with_new_forecasts(
        score_due(state, look=look, task=task), look=look, models=models, task=task
    )


def predict(
    state: ForecastState,
    *,
    bins: DemandBins,
    models: FittedModels | None,
    task: ForecastTask,
    horizon_seconds: FloatArray,
    quantiles: tuple[float, ...],
) -> Prediction:
    """Quantiles of the task's target per service, each at its own horizon; shape (n_services,)."""
    look = look_back(bins, task=task)
    members = member_logs(look, state=state, task=task, models=models, horizons=horizon_seconds[:, None])[:, 0]
    rows = np.arange(len(bins.services))
    near = nearest_bucket(horizon_seconds, task=task)
    median, _ = guarded_logs(members, loss=state.loss[rows, near], weight=state.loss_weight[rows, near], prior=prior_errors(task, horizons=horizon_seconds), rivals=rivals(task))
    counts = np.minimum(state.residual_total[rows, near], task.residual_count)
    trusted, learning = is_trusted(state)[rows, near], counts < MIN_ERRORS
    levels, is_known = levels_now(look, task=task)
    base = np.where(trusted | learning, median, np.maximum(levels[:, 0], levels[:, 2]))
    margins = error_quantiles(
        state.residuals[rows, near],
        counts=counts.astype(np.float64),
        independent=counts * independent_shares(task)[near],
        shift=state.level_shift[rows, near],
        quantiles=quantiles,
    )
    plain = _plain(base, task=task, horizons=horizon_seconds, quantiles=quantiles)
    logs = base[:, None] + np.where((trusted & ~learning)[:, None], margins, plain)
    demand = np.expm1(np.clip(logs, 0.0, MAX_LOG)) * look.unit[:, None]
    return Prediction(
        per_second=np.where(is_known[:, None], demand, 0.0),
        is_known=is_known,
        is_learning=learning,
        is_trusted=trusted,
        coverage_ratio=state.covered[rows, near].astype(np.float64),
    )


def nearest_bucket(horizon_seconds: FloatArray, *, task: ForecastTask) -> np.ndarray:
    """Index of the horizon of the task that is nearest by ratio; shape of `horizon_seconds`."""
    buckets = np.asarray(task.horizon_seconds)
    borders = np.sqrt(buckets[1:] * buckets[:-1])
    return np.searchsorted(borders, horizon_seconds)


def independent_shares(task: ForecastTask) -> FloatArray:
    """(n_horizons,) share of the scored forecasts that do not overlap the one before."""
    horizons = np.asarray(task.horizon_seconds)
    return np.minimum(1.0, spacing_seconds(task) / horizons)


def _with_new_forecasts(
    state: ForecastState, *, look: Lookback, models: FittedModels | None, task: ForecastTask
) -> ForecastState:
    """Remembers what would be forecast now for each bucket whose last forecast is old enough."""
    horizons = np.asarray(task.horizon_seconds)
    now = look.end_timestamp_seconds
    waiting = np.isfinite(state.pending_due)
    newest = np.where(waiting, state.pending_due - horizons[:, None], -np.inf).max(axis=1)
    spacing = spacing_seconds(task)
    chosen = np.flatnonzero((now - newest >= spacing - 1e-6) & ~waiting.all(axis=1))
    if not chosen.size:
        return state
    slots = np.argmin(waiting[chosen], axis=1)
    ahead = horizons[chosen][None, :]
    members = member_logs(look, state=state, task=task, models=models, horizons=ahead)
    median, mixed = guarded_logs(members, loss=state.loss[:, chosen], weight=state.loss_weight[:, chosen], prior=prior_errors(task, horizons=horizons[chosen]), rivals=rivals(task))
    counts = np.minimum(state.residual_total[:, chosen], task.residual_count)
    margin = error_quantiles(
        state.residuals[:, chosen],
        counts=counts.astype(np.float64),
        independent=counts * independent_shares(task)[chosen],
        shift=state.level_shift[:, chosen],
        quantiles=(PROMISED_RATIO,),
    )[..., 0]
    pending = {
        "pending_members": state.pending_members.copy(),
        "pending_median": state.pending_median.copy(),
        "pending_upper": state.pending_upper.copy(),
    }
    pending["pending_members"][:, chosen, slots] = np.concatenate([members, mixed[..., None]], axis=-1)
    pending["pending_median"][:, chosen, slots] = median
    pending["pending_upper"][:, chosen, slots] = np.where(
        counts >= MIN_ERRORS, median + margin, np.nan
    )
    due = state.pending_due.copy()
    due[chosen, slots] = now + horizons[chosen]
    return replace(state, **pending, pending_due=due)


def _plain(
    base: FloatArray, *, task: ForecastTask, horizons: FloatArray, quantiles: tuple[float, ...]
) -> FloatArray:
    windows = np.ones_like(horizons)
    if task.target is Target.PEAK:
        windows = np.maximum(1.0, np.round(horizons / task.smooth_seconds))
    return plain_margins(
        np.clip(np.nan_to_num(base), 0.0, MAX_LOG),
        horizon_seconds=horizons,
        windows=windows,
        quantiles=quantiles,
    )
