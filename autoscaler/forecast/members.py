"""The members of the mixture: simple forecasts that differ in what they believe in. Pure.

In: a `Lookback` and the curves of the last refit. Out: one log forecast per service, horizon and
member; NaN where a member has nothing to say. Second step of `observe` and `predict`. Members do not
know how good they are: that is `mixture`.

Levels believe that nothing changes, over one window each; the slope that a ramp goes on, half as
steeply; an absolute curve that today is like the curve; an anchored curve that today changes as the
curve does, from where it is now.
"""

import numpy as np

from autoscaler.forecast.lookback import Lookback, window_mean
from autoscaler.forecast.mixture import mixed_logs
from autoscaler.model.forecast_state import (
    BoolArray,
    Curve,
    FittedModels,
    ForecastInputs,
    ForecastState,
    ForecastTask,
    IndexArray,
    Target,
)
from collector.model.history import FloatArray

SLOPE_DAMPING_RATIO = 0.5
MAX_SLOPE_LOG = 0.7
"""A ramp is believed up to twice the level."""
ANCHORED_SHRINK_RATIO = 0.7
"""Share of the curve's change that is believed; the rest is the curve's own noise."""
FAR_SECONDS = 3 * 3600.0
FAR_PRIOR, NEAR_PRIOR = 0.85, 2.0
MAX_ANCHORED_LOG = 1.6
"""An anchored curve changes the level by a factor of five at most."""


def member_count(task: ForecastTask) -> int:
    """Last value, levels, slope, and each curve twice."""
    return 2 + len(task.level_windows_seconds) + 2 * len(Curve)


def absolute_curves(task: ForecastTask) -> IndexArray:
    """Which members are curves taken as they are."""
    first = 2 + len(task.level_windows_seconds)
    return np.arange(first, first + len(Curve))


def rivals(task: ForecastTask) -> BoolArray:
    """(n_members,) the two naive forecasts, which the mixture must not be worse than."""
    marks = np.zeros(member_count(task), dtype=bool)
    marks[[0, absolute_curves(task)[0]]] = True
    return marks


def prior_errors(task: ForecastTask, *, horizons: FloatArray) -> FloatArray:
    """What a member never scored is taken for, relative to the average; (*horizons.shape, n_members).

    Minutes ahead, now knows more than yesterday; hours ahead, the time of day knows more than now.
    """
    absolute = np.isin(np.arange(member_count(task)), absolute_curves(task))
    is_far = horizons[..., None] >= FAR_SECONDS
    return np.where(absolute, np.where(is_far, FAR_PRIOR, NEAR_PRIOR), 1.0)


def member_logs(
    look: Lookback,
    *,
    state: ForecastState,
    inputs: ForecastInputs,
    horizons: FloatArray,
) -> FloatArray:
    """Forecasts as log(1 + demand / unit), shape (n_services, n_horizons, n_members).

    `horizons`: seconds, shape (1, n_horizons) or (n_services, n_horizons). Ramps and curves start
    from the mixture of levels that did best at the shortest horizon, where noise is all there is.
    """
    task, models = inputs.task, inputs.models
    services, count = look.logs.shape[0], horizons.shape[1]
    members = np.full((services, count, member_count(task)), np.nan)
    levels, is_known = levels_now(look, task=task)
    if not levels.size:
        return members
    flat = levels.shape[1]
    start = mixed_logs(levels, loss=state.loss[:, 0, :flat], weight=state.loss_weight[:, 0, :flat])
    members[:, :, :flat] = levels[:, None, :]
    members[:, :, flat] = start[:, None] + _slope(look, task=task, horizons=horizons)
    if models is not None:
        absolute, change = curve_logs(models, look=look, task=task, horizons=horizons)
        members[:, :, flat + 1 : flat + 1 + len(Curve)] = absolute
        members[:, :, flat + 1 + len(Curve) :] = start[:, None, None] + change
    members[~is_known] = np.nan
    return members


def levels_now(look: Lookback, *, task: ForecastTask) -> tuple[FloatArray, BoolArray]:
    """(last value and mean log over each window, (n_services, 1 + n_windows); whether known).

    Where a short window was not measured, the next longer one stands in.
    """
    columns = [
        window_mean(look, bins=max(1, round(seconds / look.bin_seconds)))
        for seconds in task.level_windows_seconds
    ]
    value, is_known = columns[-1]
    filled = [value]
    for shorter, is_shorter_known in reversed(columns[:-1]):
        value = np.where(is_shorter_known, shorter, value)
        filled.append(value)
    filled.append(np.where(look.is_known[:, -1], look.logs[:, -1], value))
    return np.stack(filled[::-1], axis=1), is_known


def _slope(look: Lookback, *, task: ForecastTask, horizons: FloatArray) -> FloatArray:
    """What the trend of the slope window adds within the horizon, in logs."""
    count = min(max(3, round(task.slope_window_seconds / look.bin_seconds)), look.logs.shape[1])
    logs, weights = look.logs[:, -count:], look.is_known[:, -count:]
    positions = np.arange(1.0 - count, 1.0)
    known = np.maximum(weights.sum(axis=1), 1)
    centered = (positions - (weights @ positions / known)[:, None]) * weights
    spread = (centered * centered).sum(axis=1)
    slope = (centered * logs).sum(axis=1) / np.maximum(spread, 1.0)
    if task.target is Target.PEAK:  # the largest value of a falling ramp is where it starts
        slope = np.maximum(slope, 0.0)
    ahead = np.minimum(horizons / look.bin_seconds, count / 2)
    rise = SLOPE_DAMPING_RATIO * slope[:, None] * ahead
    return np.asarray(np.clip(rise, -MAX_SLOPE_LOG, MAX_SLOPE_LOG))


def curve_logs(
    models: FittedModels, *, look: Lookback, task: ForecastTask, horizons: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """(absolute logs, believed change from now), both (n_services, n_horizons, n_curves).

    NaN for a curve that says nothing now or then, or ends before the horizon.
    """
    nodes = models.per_second.shape[2]
    begin = (look.end_timestamp_seconds - models.start_timestamp_seconds) / models.step_seconds
    last = begin + horizons / models.step_seconds
    first_node, last_node = int(begin), int(np.ceil(last.max())) + 1
    if begin < 0 or first_node + 1 >= nodes:
        missing = np.full((look.logs.shape[0], horizons.shape[1], len(Curve)), np.nan)
        return missing, missing
    part = models.per_second[:, :, first_node : last_node + 1]
    is_known = models.is_known[:, :, first_node : last_node + 1]
    logs = np.where(is_known, np.log1p(np.maximum(part, 0.0) / look.unit[:, None]), np.nan)
    now = _interpolated(logs, position=np.full_like(last, begin - first_node))
    then = _interpolated(logs, position=last - first_node)
    if task.target is Target.PEAK:
        then = np.maximum(np.maximum(then, now), _highest_between(logs, end=last - first_node))
    usable = np.broadcast_to(last < nodes - 1, then.shape)
    change = np.clip(ANCHORED_SHRINK_RATIO * (then - now), -MAX_ANCHORED_LOG, MAX_ANCHORED_LOG)
    absolute, change = np.where(usable, then, np.nan), np.where(usable, change, np.nan)
    return np.moveaxis(absolute, 0, 2), np.moveaxis(change, 0, 2)


def _interpolated(logs: FloatArray, *, position: FloatArray) -> FloatArray:
    """Values between points; `position` is (1 or n_services, n_horizons), in points."""
    index = np.minimum(position.astype(np.int64), logs.shape[2] - 2)
    share = np.minimum(position - index, 1.0)
    result: FloatArray = _picked(logs, index) * (1.0 - share) + _picked(logs, index + 1) * share
    return result


def _highest_between(logs: FloatArray, *, end: FloatArray) -> FloatArray:
    """The largest of the points after the first one and not after `end`."""
    highest = np.maximum.accumulate(logs[:, :, 1:], axis=2)
    index = np.clip(end.astype(np.int64) - 1, 0, highest.shape[2] - 1)
    return np.where(end >= 1.0, _picked(highest, index), 0.0)


def _picked(values: FloatArray, index: IndexArray) -> FloatArray:
    if index.shape[0] == 1:
        return values[:, :, index[0]]
    return np.take_along_axis(values, index[None], axis=2)
