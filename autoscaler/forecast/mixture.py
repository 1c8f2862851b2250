"""Which members to believe, from how wrong they were lately at that horizon. Pure.

In: losses kept in `ForecastState` and the members' forecasts. Out: the mixed forecast. Third step
of `observe` and `predict`. Errors are counted in demand, not in logs, because the busy hours are
what capacity is bought for.
"""

import numpy as np

from autoscaler.model.forecast_state import SmallFloatArray
from collector.model.history import FloatArray

SHARPNESS = 4.0
"""Weight falls with this power of the mean error: twice as wrong counts a sixteenth."""
PRIOR_SCORES = 4.0
"""Every member starts as if scored so often with the average error, so that luck does not decide."""
MAX_LOG = 60.0
"""exp of it is still a number, far above any demand."""


def mixed_logs(
    members: FloatArray, *, loss: SmallFloatArray | FloatArray, weight: SmallFloatArray | FloatArray
) -> FloatArray:
    """Weighted mean of the members' logs, shape of `members` less its last axis; NaN where none spoke."""
    speaks = ~np.isnan(members)
    shares = member_shares(loss, weight=weight) * speaks
    total = shares.sum(axis=-1)
    mixed = (np.where(speaks, members, 0.0) * shares).sum(axis=-1)
    return np.where(total > 0, mixed / np.where(total > 0, total, 1.0), np.nan)


def member_shares(
    loss: SmallFloatArray | FloatArray, *, weight: SmallFloatArray | FloatArray
) -> FloatArray:
    """How much each member counts, above 0 and at most 1 for the best; last axis: members."""
    total, scored = loss.sum(axis=-1, keepdims=True), weight.sum(axis=-1, keepdims=True)
    average = np.where(scored > 0, total / np.where(scored > 0, scored, 1.0), 1.0) + 1e-9
    mean = (loss + PRIOR_SCORES * average) / (weight + PRIOR_SCORES)
    relative = mean.min(axis=-1, keepdims=True) / mean
    return np.asarray(relative**SHARPNESS, dtype=np.float64)


def errors(members: FloatArray, *, came: FloatArray) -> FloatArray:
    """Error of each forecast in demand (units of one request); NaN where one of the two is missing.

    Half of it is the pinball loss of a median.
    """
    forecast = np.expm1(np.minimum(members, MAX_LOG))
    return np.abs(forecast - np.expm1(np.minimum(came, MAX_LOG))[..., None])
