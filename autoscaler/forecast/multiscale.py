"""Demand at the end of the lead time, from its means over several windows. Pure.

Short windows know of the last change, long ones of everything before; how much each is worth depends
on the service and on the lead time, so the weights are learned: least squares with forgetting of
what came against the means at the time of asking, shrunk towards PRIOR_WEIGHTS. Everything is
relative to the mean of a long window, so that a quiet night teaches for a busy day.
One more column is what past days saw happen within the lead time (`day_profile`). Nobody is taken to
have such days until they have shown it: its prior weight is none.
In: bins of demand, and that change. Out: a point forecast of the mean over one level window; `errors` turns its past
errors into a spread. Fits of more than this are the business of `refit`.
"""

from dataclasses import replace
from typing import Final

import numpy as np

from autoscaler.model.state import ScaleFit
from collector.model.history import FloatArray

SCALE_LEVELS: Final = (0.5, 1.5, 5.0, 15.0, 45.0)
"""Windows in level windows: 30 s to 45 min by default."""
ANCHOR: Final = 3
"""The window all are relative to."""
PRIOR_WEIGHTS: Final = (0.1, 0.3, 0.3, 0.2, 0.1)
"""Until a service has taught its own."""
PRIOR_ROWS: Final = 20.0
"""How many rows the prior is worth."""
HALF_LIFE_ROWS: Final = 5760.0
"""A day of rows of 15 s. Weights that follow the last hours follow their noise."""
MAX_SURPRISE: Final = 5.0
"""A row counts as at most this many times its anchor: one burst must not be the lesson of a day."""
MIN_RATIO: Final = 0.05
"""Of the anchor; weights may be negative, a forecast may not."""
WINDOWS: Final = len(SCALE_LEVELS)
SIZE: Final = WINDOWS + 1
PRIOR: Final = (*PRIOR_WEIGHTS, 0.0)
UPPER: Final = tuple(
    np.append(windows, last)
    for windows, last in zip(
        np.triu_indices(WINDOWS), (np.arange(SIZE), np.full(SIZE, WINDOWS)), strict=True
    )
)
"""The windows' part first, so that sums from before there was a further column are the beginning."""


def scale_means(
    per_second: FloatArray, covered: FloatArray, *, bins: tuple[int, ...]
) -> FloatArray | None:
    """Means over the last `bins[i]` bins, weighted by cover; None when nothing of the anchor is covered.

    Shapes: `per_second` and `covered` (n,), result (WINDOWS,). A shorter window without any cover is
    taken to be like the next longer one.
    """
    if not len(covered) or covered[-bins[ANCHOR] :].sum() <= 0:
        return None
    sums = np.cumsum((per_second * covered)[::-1])
    seconds = np.cumsum(covered[::-1])
    last = np.minimum(np.asarray(bins), len(covered)) - 1
    means: FloatArray = np.divide(
        sums[last], seconds[last], out=np.full(WINDOWS, np.nan), where=seconds[last] > 0
    )
    for index in range(WINDOWS - 2, -1, -1):
        if np.isnan(means[index]):
            means[index] = means[index + 1]
    return means


def window_bins(*, level_window_seconds: float, bin_seconds: float) -> tuple[int, ...]:
    """The windows in bins, each at least one."""
    return tuple(max(1, round(each * level_window_seconds / bin_seconds)) for each in SCALE_LEVELS)


def with_change(means: FloatArray, change_ratio: float) -> FloatArray:
    """The columns of one forecast, (SIZE,): the means, and what past days add to the anchor."""
    return np.concatenate((means, (change_ratio * means[ANCHOR],)))


def point(fit: ScaleFit, columns: FloatArray) -> float:
    """The forecast in the unit of the means; at least MIN_RATIO of the anchor."""
    weights = fit.weights or PRIOR
    value = float(np.asarray(weights) @ columns[: len(weights)])
    return max(value, MIN_RATIO * float(columns[ANCHOR]))


def learn_row(fit: ScaleFit, *, columns: FloatArray, came: float, is_solved: bool) -> ScaleFit:
    """The fit with one more row: what the columns were and what came a lead time later.

    `is_solved`: the weights are computed anew; once in a while is enough. A row without demand
    teaches nothing.
    """
    anchor = float(columns[ANCHOR])
    if anchor <= 0:
        return fit
    row = np.minimum(columns / anchor, MAX_SURPRISE)
    outcome = min(came / anchor, MAX_SURPRISE)
    keep = 0.5 ** (1.0 / HALF_LIFE_ROWS)
    gram = keep * _sums(fit.gram, size=len(UPPER[0])) + np.outer(row, row)[UPPER]
    moment = keep * _sums(fit.moment, size=SIZE) + row * outcome
    weights = _weights(gram, moment) if is_solved else fit.weights
    return replace(fit, gram=tuple(gram.tolist()), moment=tuple(moment.tolist()), weights=weights)


def _sums(known: tuple[float, ...], *, size: int) -> FloatArray:
    """As an array of this size; what is missing is a column that was always nothing."""
    return np.asarray(known + (0.0,) * (size - len(known)))


def _weights(gram: FloatArray, moment: FloatArray) -> tuple[float, ...]:
    square = np.zeros((SIZE, SIZE))
    square[UPPER] = gram
    square += np.triu(square, 1).T + PRIOR_ROWS * np.eye(SIZE)
    solved = np.linalg.solve(square, moment + PRIOR_ROWS * np.asarray(PRIOR))
    return tuple(solved.tolist())
