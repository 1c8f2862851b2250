"""ARIMA models of short series: fitted by statsmodels now and then, carried forward here. Pure.

In: a series, the newest value last. Out: a fitted model, and forecasts from any later series of the
same kind. The order is chosen as `auto_arima` does in outline: differences by a KPSS test, the rest by
AIC among few candidates. statsmodels is imported at the first fit, it is slow to import.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from autoscaler.replay.workload import FloatArray

CANDIDATE_ORDERS: Final = ((0, 0), (1, 0), (0, 1), (1, 1), (2, 1))
KPSS_SIGNIFICANCE: Final = 0.05
MAX_DIFFERENCES: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ArimaModel:
    """Coefficients of one fitted model."""

    differences: int  # 0 or 1
    mean: float  # of the differenced series
    ar: tuple[float, ...]
    ma: tuple[float, ...]

    @property
    def is_random_walk(self) -> bool:
        """No structure but the differences: order (0, d, 0)."""
        return not self.ar and not self.ma

    def forecast(self, series: Sequence[float] | FloatArray, *, steps: int) -> FloatArray:
        """The next values of a series of at least 2. Shape (steps,)."""
        values = np.asarray(series, np.float64)
        moves = (np.diff(values) if self.differences else values) - self.mean
        ahead = np.array(self._ahead(moves.tolist(), steps=steps)) + self.mean
        forecast: FloatArray = values[-1] + np.cumsum(ahead) if self.differences else ahead
        return forecast

    def _ahead(self, moves: list[float], *, steps: int) -> list[float]:
        errors: list[float] = []
        for place, move in enumerate(moves):
            errors.append(move - self._next(moves[:place], errors))
        known = len(moves)
        for _ in range(steps):
            moves.append(self._next(moves, errors))
            errors.append(0.0)
        return moves[known:]

    def _next(self, moves: list[float], errors: list[float]) -> float:
        value = sum(
            weight * moves[-lag] for lag, weight in enumerate(self.ar, start=1) if lag <= len(moves)
        )
        return value + sum(
            weight * errors[-lag]
            for lag, weight in enumerate(self.ma, start=1)
            if lag <= len(errors)
        )


def fit_arima(series: Sequence[float] | FloatArray) -> ArimaModel | None:
    """The model of the best order; None when none could be fitted. Raises ModuleNotFoundError without
    statsmodels.
    """
    values = np.asarray(series, np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of orders that fit badly, and are not chosen
        differences = 0 if _is_level(values) else MAX_DIFFERENCES
        moves = np.diff(values) if differences else values
        mean = 0.0 if differences else float(moves.mean())
        found = [_fitted(moves - mean, order=order) for order in CANDIDATE_ORDERS]
    fitted = [each for each in found if each is not None]
    if not fitted:
        return None
    _, ar, ma = min(fitted, key=lambda each: each[0])
    return ArimaModel(differences=differences, mean=mean, ar=ar, ma=ma)


_Fit = tuple[float, tuple[float, ...], tuple[float, ...]]


def _fitted(moves: FloatArray, *, order: tuple[int, int]) -> _Fit | None:
    """(AIC, AR, MA); None where this order does not fit."""
    from statsmodels.tsa.arima.model import ARIMA  # noqa: PLC0415 # slow to import

    p, q = order
    try:
        model = ARIMA(moves, order=(p, 0, q), trend="n")
        result = model.fit(method="innovations_mle")
    except (ValueError, np.linalg.LinAlgError):
        return None
    parameters = [float(each) for each in result.params]
    if not np.isfinite([*parameters, result.aic]).all():
        return None
    return float(result.aic), tuple(parameters[:p]), tuple(parameters[p : p + q])


def _is_level(values: FloatArray) -> bool:
    """Whether the series moves around one level, by KPSS."""
    from statsmodels.tsa.stattools import kpss  # noqa: PLC0415 # slow to import

    try:
        p_value = float(kpss(values, regression="c", nlags="auto")[1])
    except (ValueError, OverflowError, np.linalg.LinAlgError):
        return False
    return p_value >= KPSS_SIGNIFICANCE
