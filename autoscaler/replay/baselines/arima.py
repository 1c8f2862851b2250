"""ARIMA models of short series: fitted by statsmodels now and then, carried forward here. Pure.

In: a series, the newest value last. Out: a fitted model, and forecasts from any later series of the
same kind. The order is chosen as `auto_arima` does in outline: differences by a KPSS test, the rest by
AIC among few candidates. statsmodels is imported at the first fit, it is slow to import.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from autoscaler.replay.workload import FloatArray

CANDIDATE_ORDERS: Final = ((0, 0), (1, 0), (2, 0), (0, 1), (1, 1))
KPSS_SIGNIFICANCE: Final = 0.05
MAX_DIFFERENCES: Final = 1
MAX_MA: Final = 0.98
FIT_ITERATIONS: Final = 30


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
        known = len(moves)
        errors: list[float] = []
        for place in range(known):
            errors.append(moves[place] - self._next(moves, errors, place))
        for place in range(known, known + steps):
            moves.append(self._next(moves, errors, place))
            errors.append(0.0)
        return moves[known:]

    def _next(self, moves: list[float], errors: list[float], place: int) -> float:
        """Expected at `place` from what lies before it; nothing lies before the first."""
        value = 0.0
        for lag, weight in enumerate(self.ar[:place], start=1):
            value += weight * moves[place - lag]
        for lag, weight in enumerate(self.ma[:place], start=1):
            value += weight * errors[place - lag]
        return value


def fit_arima(series: Sequence[float] | FloatArray) -> ArimaModel | None:
    """The model of the best order; None when none could be fitted. Raises ModuleNotFoundError without
    statsmodels.
    """
    # Before warnings are silenced, as statsmodels sets filters of its own when it is imported. It ships
    # no types.
    from statsmodels.tsa.arima.model import ARIMA  # type: ignore[import-untyped]  # noqa: PLC0415
    from statsmodels.tsa.stattools import kpss  # type: ignore[import-untyped]  # noqa: PLC0415

    values = np.asarray(series, np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of orders that fit badly, and are not chosen
        differences = 0 if _is_level(values, test=kpss) else MAX_DIFFERENCES
        moves = np.diff(values) if differences else values
        mean = 0.0 if differences else float(moves.mean())
        found = [_fitted(moves - mean, order=order, model=ARIMA) for order in CANDIDATE_ORDERS]
    fitted = [each for each in found if each is not None]
    if not fitted:
        return None
    _, ar, ma = min(fitted, key=lambda each: each[0])
    return ArimaModel(differences=differences, mean=mean, ar=ar, ma=ma)


_Fit = tuple[float, tuple[float, ...], tuple[float, ...]]
_Untyped = Callable[..., Any]  # of a library without types


def _fitted(moves: FloatArray, *, order: tuple[int, int], model: _Untyped) -> _Fit | None:
    """(AIC, AR, MA); None where this order does not fit."""
    p, q = order
    minimising = {"options": {"maxiter": FIT_ITERATIONS}}
    try:
        result = model(moves, order=(p, 0, q), trend="n").fit(
            method="innovations_mle", method_kwargs={"minimize_kwargs": minimising}
        )
    except (ValueError, np.linalg.LinAlgError):
        return None
    parameters = [float(each) for each in result.params]
    ar, ma = tuple(parameters[:p]), tuple(parameters[p : p + q])
    # Beyond, the first error would be carried on for ever: the model cannot be carried forward.
    is_usable = np.isfinite([*parameters, result.aic]).all() and all(abs(w) <= MAX_MA for w in ma)
    return (float(result.aic), ar, ma) if is_usable else None


def _is_level(values: FloatArray, *, test: _Untyped) -> bool:
    """Whether the series moves around one level, by KPSS."""
    try:
        p_value = float(test(values, regression="c", nlags="auto")[1])
    except (ValueError, OverflowError, np.linalg.LinAlgError):
        return False
    return p_value >= KPSS_SIGNIFICANCE
