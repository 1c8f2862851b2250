"""What the forecaster takes, remembers and gives, as values over all services at once.

In: `DemandBins` cut from the history and `FittedModels` from the last refit. Remembered between
ticks: `ForecastState`, a checkpointable value of arrays. Out: `Prediction`. Rows are services, in
the order of `services`. Holds no rules: those are in `autoscaler/forecast/`.
"""

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from collector.model.history import FloatArray
from collector.model.ids import ServiceName

BoolArray = npt.NDArray[np.bool_]
IndexArray = npt.NDArray[np.int64]
SmallFloatArray = npt.NDArray[np.float32]  # kept by the thousand per service; 7 digits suffice


class Target(StrEnum):
    """The question a forecast answers."""

    PEAK = "peak"  # largest smoothed demand between now and the horizon
    COUNT = "count"  # demand of the one bin that ends at the horizon


class Curve(StrEnum):
    """Members that are fitted now and then and looked up at every tick."""

    YESTERDAY = "yesterday"
    PROFILE = "profile"  # mean of the same time of past days, recent days more
    LAST_WEEK = "last_week"
    FOURIER = "fourier"
    STATSMODELS = "statsmodels"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastTask:
    """One question, asked again every bin, and how quickly its answers are judged anew."""

    target: Target
    bin_seconds: float
    smooth_seconds: float  # demand means demand averaged over this; a multiple of bin_seconds
    horizon_seconds: tuple[float, ...]  # rising; what is learned is kept per bucket around each
    level_windows_seconds: tuple[float, ...]  # rising; the second anchors the curves
    slope_window_seconds: float
    loss_half_life_bins: float  # how long an error counts when members are weighed
    residual_count: int  # errors kept per bucket
    pending_count: int  # forecasts per bucket waiting to be scored
    coverage_half_life_scores: float  # how long a miss counts in the measured coverage

    def __post_init__(self) -> None:
        if sorted(self.horizon_seconds) != list(self.horizon_seconds) or not self.horizon_seconds:
            raise ValueError(f"horizon_seconds must rise, got {self.horizon_seconds}")
        if min(self.bin_seconds, self.horizon_seconds[0]) <= 0:
            raise ValueError(f"bin_seconds must be above 0, got {self.bin_seconds}")
        if len(self.level_windows_seconds) < 2:
            raise ValueError("level_windows_seconds needs two windows, the second one anchors")

    @property
    def look_back_seconds(self) -> float:
        """How much of the past `observe` and `predict` need."""
        reach = max(self.horizon_seconds[-1], *self.level_windows_seconds)
        return reach + self.smooth_seconds + 2 * self.bin_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandBins:
    """Demand of all services over the same closed bins, oldest first. Shapes: (n_services, n_bins)."""

    services: tuple[ServiceName, ...]
    bin_seconds: float
    end_timestamp_seconds: float  # end of the last bin
    per_second: FloatArray  # any unit of demand; 0 where nothing is known
    covered_seconds: FloatArray  # 0: nothing is known about this bin
    request_size: (
        FloatArray  # (n_services,) demand one request brings, > 0: the least that it varies by
    )

    def __post_init__(self) -> None:
        shape = (len(self.services), self.per_second.shape[-1])
        if self.per_second.shape != shape or self.covered_seconds.shape != shape:
            raise ValueError(
                f"per_second and covered_seconds must have shape {shape}, got "
                f"{self.per_second.shape} and {self.covered_seconds.shape}"
            )
        if self.request_size.shape != shape[:1] or not (self.request_size > 0).all():
            raise ValueError(f"request_size must be {shape[0]} values above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedModels:
    """Curves into the future, from one refit. What they are made of does not matter here."""

    services: tuple[ServiceName, ...]
    start_timestamp_seconds: float  # of the first point
    step_seconds: float
    per_second: FloatArray  # (n_curves, n_services, n_points), curves in the order of Curve
    is_known: BoolArray  # same shape; False: the curve says nothing about this point


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastInputs:
    """What one tick knows, about the same services in the same order."""

    task: ForecastTask
    bins: DemandBins  # of the task's width, back to its look_back_seconds at least
    models: FittedModels | None  # None: nothing was fitted yet


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastState:
    """What has been learned about the forecasts of one task. First axes: (n_services, n_horizons)."""

    services: tuple[ServiceName, ...]
    loss: SmallFloatArray  # (.., n_members + 1) sum of past errors, fading; last: the mixture
    loss_weight: SmallFloatArray  # (.., n_members + 1) sum of their weights
    residuals: SmallFloatArray  # (.., residual_count) log(came / forecast), a ring
    residual_total: npt.NDArray[np.int64]  # errors ever kept; the ring holds the last ones
    level_shift: SmallFloatArray  # how far the quantile is moved to keep its promise, in logits
    covered: SmallFloatArray  # share of outcomes at or under their P90, fading; starts at 0.9
    scored: SmallFloatArray  # outcomes behind `covered`, fading
    pending_members: (
        SmallFloatArray  # (.., pending_count, n_members + 1) logs; NaN: no such member then
    )
    pending_median: SmallFloatArray  # (.., pending_count)
    pending_upper: SmallFloatArray  # (.., pending_count)
    pending_due: FloatArray  # (n_horizons, pending_count) epoch seconds; inf: slot is free

    def arrays(self) -> dict[str, npt.NDArray[Any]]:  # Any: float32, float64 and int64 side by side
        """Every array by the name of its field, for a checkpoint."""
        return {each.name: getattr(self, each.name) for each in fields(self)[1:]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Quantiles of the target per service, with what they are worth."""

    per_second: FloatArray  # (n_services, n_quantiles); 0 where nothing is known
    is_known: BoolArray  # (n_services,) False: demand was not measured lately
    is_learning: (
        BoolArray  # too few scored forecasts; margins are those of random arrivals and more
    )
    is_trusted: BoolArray  # False: the P90 was missed too often; this is the level of now, widened
    coverage_ratio: FloatArray  # measured share of outcomes at or under their P90
