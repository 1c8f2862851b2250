"""Holt-Winters curves from statsmodels, a few services at a time. Pure, but slow.

In: days of coarse bins, what errors cost per service, a budget of CPU seconds. Out: fitted curves
with the moment they were made, to be laid beside the batched ones with `with_slow_curves`. A member for
plans hours ahead: benchmarks/bench_forecast.py measures what it costs, and nothing on the way to a
decision calls it (ADR 0005, 0006). Imports statsmodels only when something is fitted.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from autoscaler.forecast.refit import with_curve
from autoscaler.model.forecast_state import Curve, DemandBins, FittedModels
from collector.model.history import MAX_PER_SECOND, FloatArray
from collector.model.ids import ServiceName

DAY_SECONDS = 86400.0
FIT_BIN_SECONDS = 1800.0
"""48 points a day: a fit takes a fraction of a second; minutes are the fast members' part."""
MIN_DAYS = 2.0
MAX_DAYS = 14.0
MIN_KNOWN_RATIO = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowCurve:
    """One service's curve and its age."""

    service: ServiceName
    made_timestamp_seconds: float  # end of the history it was fitted to
    step_seconds: float
    per_second: FloatArray  # (n_points,) demand of the bins after `made`


def refit_order(
    *, cost_per_hour: Mapping[ServiceName, float], made: Mapping[ServiceName, float], now: float
) -> tuple[ServiceName, ...]:
    """Services to fit next: cost of errors times age of the curve, largest first.

    Age makes the round go round: a cheap service rises until it is the most urgent one. A service
    without a curve in `made` counts as two days old.
    """
    ages = {name: now - made.get(name, now - 2 * DAY_SECONDS) for name in cost_per_hour}
    return tuple(sorted(ages, key=lambda name: (-cost_per_hour[name] * ages[name], name)))


def refit_slow(
    history: DemandBins,
    *,
    order: Iterable[ServiceName],
    ahead_seconds: float,
    budget_cpu_seconds: float,
    cpu_seconds: Callable[[], float],
) -> tuple[SlowCurve, ...]:
    """Curves of the first services of `order` that fit into the budget, in that order.

    Services that cannot be fitted (under two days of history, half of it missing, no convergence)
    are passed over. No fit starts after the budget is spent; the last one may go over it.
    """
    begin = cpu_seconds()
    rows = {name: row for row, name in enumerate(history.services)}
    curves = []
    for name in order:
        if cpu_seconds() - begin >= budget_cpu_seconds:
            break
        if name in rows:
            values = _fitted(history, row=rows[name], ahead_seconds=ahead_seconds)
            if values is not None:
                curves.append(
                    SlowCurve(
                        service=name,
                        made_timestamp_seconds=history.end_timestamp_seconds,
                        step_seconds=FIT_BIN_SECONDS,
                        per_second=values,
                    )
                )
    return tuple(curves)


def with_slow_curves(models: FittedModels, *, curves: Iterable[SlowCurve]) -> FittedModels:
    """The models with the STATSMODELS curve of every service that has one; unknown past its end."""
    nodes = np.arange(models.per_second.shape[2]) * models.step_seconds
    times = models.start_timestamp_seconds + nodes
    shape = (len(models.services), len(nodes))
    per_second, is_known = np.zeros(shape), np.zeros(shape, dtype=bool)
    rows = {name: row for row, name in enumerate(models.services)}
    for curve in curves:
        if curve.service in rows:
            # values are means of bins: they stand at their middle
            steps = np.arange(len(curve.per_second)) + 0.5
            own = curve.made_timestamp_seconds + steps * curve.step_seconds
            row = rows[curve.service]
            per_second[row] = np.interp(times, own, curve.per_second)
            is_known[row] = (times >= own[0] - curve.step_seconds) & (times <= own[-1])
    return with_curve(models, curve=Curve.STATSMODELS, per_second=per_second, is_known=is_known)


def _fitted(history: DemandBins, *, row: int, ahead_seconds: float) -> FloatArray | None:
    logs = _half_hours(history, row=row)
    per_day = round(DAY_SECONDS / FIT_BIN_SECONDS)
    if len(logs) < MIN_DAYS * per_day or np.isfinite(logs).mean() < MIN_KNOWN_RATIO:
        return None
    steps = int(np.ceil(ahead_seconds / FIT_BIN_SECONDS)) + 1
    forecast = _holt_winters(_filled(logs, period=per_day), period=per_day, steps=steps)
    if forecast is None or not np.isfinite(forecast).all():
        return None
    unit = history.request_size[row] / FIT_BIN_SECONDS
    return np.asarray(np.expm1(np.clip(forecast, 0.0, np.nanmax(logs) + 1.0)) * unit)


def _half_hours(history: DemandBins, *, row: int) -> FloatArray:
    """log(1 + requests per half hour), NaN where less than half was measured; whole half hours."""
    merge = max(1, round(FIT_BIN_SECONDS / history.bin_seconds))
    keep = int(MAX_DAYS * DAY_SECONDS / history.bin_seconds)
    rate, covered = history.per_second[row, -keep:], history.covered_seconds[row, -keep:]
    is_measured = (covered > 0) & (rate >= 0) & (rate <= MAX_PER_SECOND)
    covered = np.where(is_measured, covered, 0.0)
    whole = len(rate) // merge * merge
    amount = (np.where(is_measured, rate, 0.0) * covered)[len(rate) - whole :]
    seconds = covered[len(rate) - whole :].reshape(-1, merge).sum(axis=1)
    mean = amount.reshape(-1, merge).sum(axis=1) / np.where(seconds > 0, seconds, 1.0)
    logs = np.log1p(mean * FIT_BIN_SECONDS / history.request_size[row])
    return np.where(seconds >= 0.5 * FIT_BIN_SECONDS, logs, np.nan)


def _filled(logs: FloatArray, *, period: int) -> FloatArray:
    """Gaps take the mean of their time of day, else of everything: the method knows no gaps."""
    means = np.full(period, np.nanmean(logs))
    for phase in range(period):
        same = logs[phase::period]
        if np.isfinite(same).any():
            means[phase] = np.nanmean(same)
    return np.where(np.isfinite(logs), logs, means[np.arange(len(logs)) % period])


def _holt_winters(logs: FloatArray, *, period: int, steps: int) -> FloatArray | None:
    """Level and additive season without trend; None when statsmodels finds no fit."""
    import warnings  # noqa: PLC0415

    # slow import; ships no types
    from statsmodels.tsa.holtwinters import (  # type: ignore[import-untyped]  # noqa: PLC0415
        ExponentialSmoothing,
    )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a fit that stops early is still a member to be weighed
        try:
            fit = ExponentialSmoothing(
                logs, seasonal="add", seasonal_periods=period, initialization_method="heuristic"
            ).fit()
        except (ValueError, np.linalg.LinAlgError):
            return None
    return np.asarray(fit.forecast(steps), dtype=np.float64)
