"""GPU-hours against attainment as a curve, and what a policy costs more than the curve where it is.

In: swept scores. Out: GPU-hours at an attainment, read off in log10 of the share missed, where such
curves are close to straight. Pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from math import log10
from typing import Final

MIN_MISSED_RATIO: Final = 1e-6
"""Stands for none missed: a logarithm of 0 is nowhere."""


class Bound(StrEnum):
    """How a figure read off the curve is meant."""

    EXACT = "exact"
    AT_MOST = "at_most"  # the curve ends below this attainment; its dearest point was taken
    AT_LEAST = "at_least"  # the curve ends above this attainment; its cheapest point was taken


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """One knob value."""

    knob: float | None
    attainment_ratio: float
    gpu_hours: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveHours:
    """GPU-hours of a curve at an attainment; `bound` is that of a ratio with these hours below."""

    gpu_hours: float
    bound: Bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Regret:
    """GPU-hours over those of the curve at the same attainment."""

    ratio: float
    bound: Bound


def pareto(points: Iterable[CurvePoint]) -> tuple[CurvePoint, ...]:
    """Those that no other beats in both, by rising hours."""
    kept: list[CurvePoint] = []
    for point in sorted(points, key=lambda each: (each.gpu_hours, -each.attainment_ratio)):
        if not kept or point.attainment_ratio > kept[-1].attainment_ratio:
            kept.append(point)
    return tuple(kept)


def regret(
    points: Iterable[CurvePoint], *, attainment_ratio: float, gpu_hours: float
) -> Regret | None:
    """Against the curve through the points that are not beaten; None without any, or for no hours."""
    read = hours_at(points, attainment_ratio=attainment_ratio)
    if read is None or read.gpu_hours <= 0:
        return None
    return Regret(ratio=gpu_hours / read.gpu_hours, bound=read.bound)


def hours_at(points: Iterable[CurvePoint], *, attainment_ratio: float) -> CurveHours | None:
    """What the curve through the points that are not beaten costs there; None without points."""
    curve = pareto(points)
    if not curve:
        return None
    if attainment_ratio < curve[0].attainment_ratio:
        return CurveHours(gpu_hours=curve[0].gpu_hours, bound=Bound.AT_LEAST)
    if attainment_ratio > curve[-1].attainment_ratio:
        return CurveHours(gpu_hours=curve[-1].gpu_hours, bound=Bound.AT_MOST)
    return CurveHours(gpu_hours=_between(curve, attainment_ratio), bound=Bound.EXACT)


def _between(curve: tuple[CurvePoint, ...], attainment_ratio: float) -> float:
    wanted = _log_missed(attainment_ratio)
    for left, right in pairwise(curve):
        if attainment_ratio <= right.attainment_ratio:
            low, high = _log_missed(left.attainment_ratio), _log_missed(right.attainment_ratio)
            share = (wanted - low) / (high - low) if high != low else 0.0
            return left.gpu_hours + share * (right.gpu_hours - left.gpu_hours)
    return curve[-1].gpu_hours


def _log_missed(attainment_ratio: float) -> float:
    return log10(max(MIN_MISSED_RATIO, 1.0 - attainment_ratio))
