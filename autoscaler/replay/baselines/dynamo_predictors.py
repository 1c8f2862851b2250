"""The load predictors of NVIDIA Dynamo's planner: one series, one step ahead.

In: one value per adjustment interval. Out: the next one. Zeros before the first load are skipped, as
the planner does. Source: ai-dynamo/dynamo 1.6 `planner/core/load/predictors.py`.
"""

import math
from collections import deque
from enum import StrEnum
from typing import Final, Protocol

from autoscaler.replay.baselines.arima import ArimaModel, fit_arima

KALMAN_LEVEL_VARIANCE: Final = 1.0
KALMAN_TREND_VARIANCE: Final = 0.1
KALMAN_NOISE_VARIANCE: Final = 10.0
KALMAN_FIRST_VARIANCE: Final = 1000.0

ARIMA_MIN_POINTS: Final = 20
ARIMA_WINDOW_POINTS: Final = 240
"""Twelve hours of 180 s. The planner fits once and updates; refitting on a window favours it."""
ARIMA_REFIT_POINTS: Final = 480


class Predictor(Protocol):
    """Remembers a series."""

    def add(self, value: float) -> None:
        """The next value of the series."""
        ...

    def predicted(self) -> float:
        """The one after the last; 0 before any."""
        ...


class PredictorKind(StrEnum):
    """As the planner's setting `load_predictor` names them."""

    CONSTANT = "constant"
    ARIMA = "arima"
    KALMAN = "kalman"


def new_predictor(kind: PredictorKind) -> Predictor:
    """One that has seen nothing."""
    match kind:
        case PredictorKind.CONSTANT:
            return Constant()
        case PredictorKind.ARIMA:
            return Arima()
        case PredictorKind.KALMAN:
            return Kalman()


class Constant:
    """The last value."""

    def __init__(self) -> None:
        self._last = 0.0

    def add(self, value: float) -> None:
        """Replaces it."""
        self._last = value

    def predicted(self) -> float:
        """The same again."""
        return self._last


class Kalman:
    """Level and trend, filtered."""

    def __init__(self) -> None:
        self._level: float | None = None
        self._trend = 0.0
        # Covariance of (level, trend): level, both, trend.
        self._covariance = (KALMAN_FIRST_VARIANCE, 0.0, KALMAN_FIRST_VARIANCE)

    def add(self, value: float) -> None:
        """One step of prediction, one of correction; the first value only sets the level."""
        if self._level is None:
            if value != 0:
                self._level = value
            return
        level, both, trend = self._covariance
        level_ahead = level + 2 * both + trend + KALMAN_LEVEL_VARIANCE
        both_ahead, trend_ahead = both + trend, trend + KALMAN_TREND_VARIANCE
        gain = level_ahead / (level_ahead + KALMAN_NOISE_VARIANCE)
        trend_gain = both_ahead / (level_ahead + KALMAN_NOISE_VARIANCE)
        surprise = value - (self._level + self._trend)
        self._level += self._trend + gain * surprise
        self._trend += trend_gain * surprise
        self._covariance = (
            (1 - gain) * level_ahead,
            (1 - gain) * both_ahead,
            trend_ahead - trend_gain * both_ahead,
        )

    def predicted(self) -> float:
        """Level and trend one step on, not below 0."""
        return 0.0 if self._level is None else max(0.0, self._level + self._trend)


class Arima:
    """Fitted on the last half day, anew every day; of logarithms where the plain series shows nothing."""

    def __init__(self) -> None:
        self._values: deque[float] = deque(maxlen=ARIMA_WINDOW_POINTS)
        self._model: ArimaModel | None = None
        self._is_log = False
        self._seen_points = 0
        self._until_fit = ARIMA_MIN_POINTS

    def add(self, value: float) -> None:
        """Also fits, when it is time."""
        if value == 0 and not self._values:
            return
        self._values.append(value)
        self._seen_points += 1
        self._until_fit -= 1
        if self._until_fit <= 0:
            self._fit()
            self._until_fit = min(self._seen_points, ARIMA_REFIT_POINTS)  # doubled, then daily

    def predicted(self) -> float:
        """The last value until there is a model, or where it fails; not below 0."""
        if not self._values:
            return 0.0
        last = self._values[-1]
        if self._model is None:
            return last
        if self._is_log:
            logs = [math.log1p(each) for each in self._values]
            ahead = float(self._model.forecast(logs, steps=1)[0])
            value = math.expm1(min(ahead, MAX_LOG))
        else:
            value = float(self._model.forecast(list(self._values), steps=1)[0])
        return max(0.0, value) if math.isfinite(value) else last

    def _fit(self) -> None:
        values = list(self._values)
        if len(set(values)) == 1:
            return
        self._is_log = False
        self._model = fit_arima(values)
        if self._model is not None and self._model.is_random_walk:
            of_logs = fit_arima([math.log1p(each) for each in values])
            if of_logs is not None:
                self._model, self._is_log = of_logs, True


MAX_LOG: Final = 50.0
"""A forecast beyond e^50 is an overflow, not a load."""
