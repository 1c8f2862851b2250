"""Quantiles from how far past outcomes lay from their forecasts, and whether they keep their promise. Pure.

In: the ring of log errors and the shift in `ForecastState`. Out: log margins for given quantiles.
Fourth step of `observe` and `predict`. Split conformal prediction with the finite-sample rank, its
level moved after every outcome so that the measured coverage stays right when demand drifts
(adaptive conformal inference, Gibbs and Candes 2021).
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from autoscaler.model.forecast_state import BoolArray, ForecastState, SmallFloatArray
from collector.model.history import FloatArray

PROMISED_RATIO = 0.9
"""The quantile whose coverage is measured and kept."""
MIN_ERRORS = 20
"""With fewer the margin is that of random arrivals and more."""
SHIFT_STEP = 0.1
"""Logits per outcome: ten misses in a row ask for the 96th percentile instead of the 90th."""
MIN_SHIFT, MAX_SHIFT = -1.5, 3.0
TRUSTED_RATIO = 0.8
MIN_SCORED = 20.0
PLAIN_SPREAD_RATIO = 0.15
"""Relative spread on top of chance of a service that nothing is known about yet."""
SPREAD_SECONDS = 600.0
"""Horizon at which the square of that spread has doubled."""
MAX_SPREAD_SECONDS = 3 * 3600.0
"""Beyond three hours it grows no more: a guess of ten times the demand helps nobody."""
CENTER_PRIOR = 20.0
"""So many errors that count for it are believed half as to where their middle lies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorCounts:
    """How many errors there are and how much they say. All of one shape."""

    kept: FloatArray  # in the ring
    independent: FloatArray  # count as independent: the finite-sample rank goes by these
    middle: FloatArray  # count for where the middle of the errors lies


def error_quantiles(
    residuals: SmallFloatArray,
    *,
    counts: ErrorCounts,
    shift: SmallFloatArray | FloatArray,
    quantiles: tuple[float, ...],
) -> FloatArray:
    """Log margins, shape (*counts.kept.shape, n_quantiles); meaningless where no error is kept.

    `residuals`: NaN where the ring is empty.
    """
    ordered = np.sort(residuals, axis=-1)  # NaN last
    wanted = np.asarray(quantiles)
    tilt = (wanted - 0.5) / (PROMISED_RATIO - 0.5)
    logit = np.log(wanted / (1.0 - wanted)) + shift[..., None].astype(np.float64) * tilt
    tail = 1.0 / (1.0 + np.exp(np.abs(logit)))  # share of errors further out
    alone = np.maximum(counts.independent, 1.0)[..., None]
    tail = np.maximum(0.0, tail - (1.0 - tail) / alone)
    last = np.maximum(counts.kept[..., None] - 1.0, 0.0)
    rank = np.where(logit >= 0, 1.0 - tail, tail) * last
    low = rank.astype(np.int64)
    below = np.take_along_axis(ordered, low, axis=-1)
    above = np.take_along_axis(ordered, np.minimum(low + 1, last.astype(np.int64)), axis=-1)
    found = below + (rank - low) * (above - below)
    doubt = CENTER_PRIOR / (CENTER_PRIOR + counts.middle[..., None])
    return np.asarray(found * (1.0 - doubt * np.maximum(0.0, 1.0 - np.abs(tilt))))


def plain_margins(
    logs: FloatArray,
    *,
    horizon_seconds: FloatArray,
    windows: FloatArray,
    quantiles: tuple[float, ...],
) -> FloatArray:
    """Log margins of random arrivals and more, shape (*logs.shape, n_quantiles).

    `logs` are log(1 + requests per smoothing window); `windows` is how many independent ones the
    largest is taken of: the quantile of the largest of k is the quantile q**(1/k) of one.
    """
    requests = np.expm1(logs)
    ahead_seconds = np.minimum(horizon_seconds, MAX_SPREAD_SECONDS)
    plain = PLAIN_SPREAD_RATIO**2 * (1.0 + ahead_seconds / SPREAD_SECONDS)
    spread = np.sqrt(1.0 / (1.0 + requests) + plain)
    deviates = [_deviates(q, windows=windows) for q in quantiles]
    return np.stack([deviate * spread for deviate in deviates], axis=-1)


def _deviates(quantile: float, *, windows: FloatArray) -> FloatArray:
    """Standard normal deviates of quantile**(1/windows)."""
    different, index = np.unique(windows, return_inverse=True)
    values = [NormalDist().inv_cdf(quantile ** (1.0 / max(1.0, each))) for each in different]
    return np.asarray(values)[index].reshape(windows.shape)


def is_trusted(state: ForecastState) -> BoolArray:
    """(n_services, n_horizons): the P90 was kept in at least TRUSTED_RATIO of the recent outcomes."""
    return (state.covered >= TRUSTED_RATIO) | (state.scored < MIN_SCORED)
