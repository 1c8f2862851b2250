"""The picture of what attainment costs: a point per policy, curves where knobs were swept.

In: a `Report`. Out: SVG. Attainment is drawn by the share missed, on a logarithm, as 99 and 99.9 % are
far apart for those who wait. Pure.
"""

from collections.abc import Iterable, Iterator
from html import escape
from math import log10
from typing import Final

from foresail.backtest.curve import CurvePoint, pareto
from foresail.backtest.page.frame import Axis, Frame, Tick, round_ticks
from foresail.backtest.policies import CLAIRVOYANT, FORESAIL
from foresail.backtest.report import PolicyRow, Report

WIDTH, HEIGHT = 760.0, 400.0
MISSED_TICKS: Final = (
    0.9,
    0.5,
    0.2,
    0.1,
    0.05,
    0.02,
    0.01,
    0.005,
    0.002,
    0.001,
    0.0005,
    0.0001,
    0.00001,
)
LEAST_MISSED: Final = 1e-5
_PADDING_RATIO: Final = 0.06


def pareto_picture(report: Report) -> str:
    """Cheap is left, good is up."""
    swept = [point for points in report.curves.values() for point in points]
    hours = [*(row.gpu_hours for row in report.policies), *(each.gpu_hours for each in swept)]
    attained = [
        report.subject.target_ratio,
        *(row.attainment_ratio for row in report.policies),
        *(each.attainment_ratio for each in swept),
    ]
    missed = [_missed(each) for each in attained]
    frame = Frame(width=WIDTH, height=HEIGHT, x=_hours_axis(hours), y=_missed_axis(missed))
    return frame.drawing(
        [_target(frame, report), *_curves(frame, report), *_points(frame, report.policies)],
        title="Attainment against GPU-hours",
    )


def _hours_axis(hours: list[float]) -> Axis:
    padding = _PADDING_RATIO * (max(hours) - min(hours) or max(hours) or 1.0)
    low, high = max(0.0, min(hours) - padding), max(hours) + padding
    return Axis(low=low, high=high, label="GPU-hours", ticks=round_ticks(low, high, count=7))


def _missed_axis(missed: list[float]) -> Axis:
    low, high = min(1.0, max(missed) * 1.3), min(missed) / 1.3
    ticks = tuple(
        Tick(at=each, label=f"{100 * (1 - each):g}%")
        for each in MISSED_TICKS
        if high <= each <= low
    )
    return Axis(low=low, high=high, label="attained", ticks=ticks, scale=log10)


def _target(frame: Frame, report: Report) -> str:
    missed = 1.0 - report.subject.target_ratio
    return frame.line([(frame.x.low, missed), (frame.x.high, missed)], kind="target")


def _curves(frame: Frame, report: Report) -> Iterator[str]:
    for policy, points in report.curves.items():
        kind = "foresight" if policy == CLAIRVOYANT else "swept"
        drawn = pareto(points) if policy == CLAIRVOYANT else points
        yield frame.line(map(_place, drawn), kind=f"curve {kind}")


def _points(frame: Frame, rows: Iterable[PolicyRow]) -> Iterator[str]:
    # Ours last: where several lie on each other it is the one to see.
    for number, row in sorted(
        enumerate(rows, start=1), key=lambda each: each[1].policy == FORESAIL
    ):
        x, y = frame.at((row.gpu_hours, _missed(row.attainment_ratio)))
        told = f"{row.policy}: {100 * row.attainment_ratio:.2f}% at {row.gpu_hours:.1f} GPU-hours"
        kind = {FORESAIL: "ours", CLAIRVOYANT: "bound"}.get(row.policy, "peer")
        yield (
            f'<g class="point {kind}"><title>{escape(told)}</title><circle cx="{x}" cy="{y}" r="10"/>'
            f'<text x="{x}" y="{y + 4:g}" class="mid">{number}</text></g>'
        )


def _place(point: CurvePoint) -> tuple[float, float]:
    return point.gpu_hours, _missed(point.attainment_ratio)


def _missed(attainment_ratio: float) -> float:
    return max(LEAST_MISSED, 1.0 - attainment_ratio)
