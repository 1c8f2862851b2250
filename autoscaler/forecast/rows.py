"""Which row is which service: new states, and states after the catalogue has changed. Pure.

In: a state and the services of today. Out: the same with exactly those rows, in that order. Called
before `observe`. A service that left is forgotten; one that came knows nothing.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from autoscaler.forecast.conformal import PROMISED_RATIO
from autoscaler.forecast.members import member_count
from autoscaler.model.forecast_state import (
    ForecastState,
    ForecastTask,
    IndexArray,
    SmallFloatArray,
)
from collector.model.ids import ServiceName


def empty_state(services: tuple[ServiceName, ...], *, task: ForecastTask) -> ForecastState:
    """What is known of services never seen before: nothing."""
    shape = (len(services), len(task.horizon_seconds))
    pending = (*shape, task.pending_count)
    columns = member_count(task) + 1  # and the mixture
    return ForecastState(
        services=services,
        loss=_full(*shape, columns),
        loss_weight=_full(*shape, columns),
        residuals=_full(*shape, task.residual_count, value=np.nan),
        residual_total=np.zeros(shape, dtype=np.int64),
        level_shift=_full(*shape),
        covered=_full(*shape, value=PROMISED_RATIO),
        scored=_full(*shape),
        pending_members=_full(*pending, columns, value=np.nan),
        pending_median=_full(*pending, value=np.nan),
        pending_upper=_full(*pending, value=np.nan),
        pending_due=np.full(pending[1:], np.inf),
    )


def aligned_state(
    state: ForecastState, *, services: tuple[ServiceName, ...], task: ForecastTask
) -> ForecastState:
    """The state with a row for each of the services, in their order."""
    if state.services == services:
        return state
    empty = empty_state(services, task=task).arrays()
    del empty["pending_due"]  # moments are the same for all services
    rows, is_kept = _rows(state.services, services)
    for name, array in state.arrays().items():
        if name in empty:
            empty[name][is_kept] = array[rows[is_kept]]
    return replace(state, **empty, services=services)


def _rows(
    before: tuple[ServiceName, ...], after: tuple[ServiceName, ...]
) -> tuple[IndexArray, npt.NDArray[np.bool_]]:
    """(row of each service before, 0 for a new one; whether it was there)."""
    known = {name: row for row, name in enumerate(before)}
    rows = np.asarray([known.get(name, -1) for name in after], dtype=np.int64)
    return np.maximum(rows, 0), rows >= 0


def _full(*shape: int, value: float = 0.0) -> SmallFloatArray:
    return np.full(shape, value, dtype=np.float32)
