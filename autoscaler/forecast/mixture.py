"""Which members to believe, from how wrong they were lately at that horizon. Pure.

In: losses kept in `ForecastState` and the members' forecasts. Out: the mixed forecast. Third step
of `observe` and `predict`. Errors are counted in demand, not in logs, because the busy hours are
what capacity is bought for.
"""

import numpy as np

from autoscaler.model.forecast_state import BoolArray, SmallFloatArray
from collector.model.history import FloatArray

SHARPNESS = 8.0
"""A member's share falls with this power of its mean error: 9 % more wrong counts half."""
GUARD_SHARPNESS = 16.0
"""Between the mixture and its plainest rivals the choice is clearer still."""
PRIOR_SCORES = 4.0
"""Every member starts as if scored so often, so that luck does not decide."""
MAX_LOG = 60.0
"""exp of it is still a number, far above any demand."""

Losses = SmallFloatArray | FloatArray


def mixed_logs(
    members: FloatArray,
    *,
    loss: Losses,
    weight: Losses,
    prior: FloatArray | float = 1.0,
    sharpness: float = SHARPNESS,
) -> FloatArray:
    """Weighted mean of the members' logs, shape of `members` less its last axis; NaN where none spoke.

    `prior`: what a member that was never scored is taken for, as a multiple of the average error.
    """
    speaks = ~np.isnan(members)
    shares = member_shares(loss, weight=weight, prior=prior, sharpness=sharpness) * speaks
    total = shares.sum(axis=-1)
    mixed = (np.where(speaks, members, 0.0) * shares).sum(axis=-1)
    return np.where(total > 0, mixed / np.where(total > 0, total, 1.0), np.nan)


def member_shares(
    loss: Losses, *, weight: Losses, prior: FloatArray | float = 1.0, sharpness: float = SHARPNESS
) -> FloatArray:
    """How much each member counts, at most 1 for the best; last axis: members."""
    total, scored = loss.sum(axis=-1, keepdims=True), weight.sum(axis=-1, keepdims=True)
    average = np.where(scored > 0, total / np.where(scored > 0, scored, 1.0), 1.0) + 1e-9
    mean = (loss + PRIOR_SCORES * average * prior) / (weight + PRIOR_SCORES)
    relative = np.asarray(mean.min(axis=-1, keepdims=True) / mean, dtype=np.float64)
    return np.maximum(relative**sharpness, 1e-12)


def guarded_logs(
    members: FloatArray, *, loss: Losses, weight: Losses, prior: FloatArray, rivals: BoolArray
) -> tuple[FloatArray, FloatArray]:
    """(final log forecast, plain mixture).

    A mixture can be worse than one simple member where most members are bad, so it has to compete
    with the `rivals`, (n_members,). The last column of the losses is the mixture's own.
    """
    mixed = mixed_logs(members, loss=loss[..., :-1], weight=weight[..., :-1], prior=prior)
    chosen = np.append(np.flatnonzero(rivals), len(rivals))
    every = np.concatenate([members[..., chosen[:-1]], mixed[..., None]], axis=-1)
    final = mixed_logs(
        every,
        loss=loss[..., chosen],
        weight=weight[..., chosen],
        prior=np.concatenate([prior[..., chosen[:-1]], np.ones_like(prior[..., :1])], axis=-1),
        sharpness=GUARD_SHARPNESS,
    )
    return final, mixed


def errors(members: FloatArray, *, came: FloatArray) -> FloatArray:
    """Error of each forecast in demand (units of one request); NaN where one of the two is missing.

    Half of it is the pinball loss of a median.
    """
    forecast = np.expm1(np.minimum(members, MAX_LOG))
    return np.asarray(np.abs(forecast - np.expm1(np.minimum(came, MAX_LOG))[..., None]))
