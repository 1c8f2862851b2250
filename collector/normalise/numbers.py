"""Counters, gauges and info series as points, and how they are combined. Pure."""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from collector.model.contract import Aggregation, SeriesKind, SeriesSource, SignalRule
from collector.model.reading import MissingReason
from collector.normalise.points import Known, Line, Point


@dataclass(frozen=True, slots=True)
class NumberPart:
    """One counter or gauge."""

    index: int
    scale: float
    lowest: float  # what is under it is no number; 0 for counters

    def value(self, values: Sequence[float]) -> float | MissingReason:
        """The scaled value; NaN, infinities and counters below zero are NOT_A_NUMBER."""
        scaled = values[self.index] * self.scale
        if self.lowest <= scaled <= sys.float_info.max:  # NaN fails every comparison
            return scaled
        return MissingReason.NOT_A_NUMBER


def number_points(
    lines: Sequence[Line], *, rule: SignalRule, source: SeriesSource
) -> list[Point[float]]:
    """One point per series."""
    lowest = 0.0 if rule.kind is SeriesKind.COUNTER else -sys.float_info.max
    return [
        Point(
            line.labels,
            Known(MissingReason.CONTRADICTED)
            if line.is_contradicted
            else NumberPart(line.place, source.scale, lowest),
        )
        for line in lines
    ]


def info_points(
    lines: Sequence[Line], *, rule: SignalRule, source: SeriesSource
) -> list[Point[float]]:
    """The product of the value labels of each series; a series that lacks one gives no point."""
    points: list[Point[float]] = []
    for line in lines:
        labels = dict(line.labels)
        value = _product([labels.get(label, "") for label in source.value_labels])
        if value is not None:
            # Info series carry their whole configuration as labels: only the rule's own ones count.
            ours = tuple(
                pair for pair in line.labels if pair[0] in rule.keep or pair[0] in rule.aggregate
            )
            points.append(Point(ours, Known(value * source.scale)))
    return points


def _product(texts: Sequence[str]) -> float | None:
    try:
        product = math.prod(float(text) for text in texts)
    except ValueError:
        return None
    return product if math.isfinite(product) else None


def combined_numbers(how: Aggregation, values: Sequence[float]) -> float | MissingReason:
    """The values as one; CONTRADICTED never comes up, any numbers can be joined."""
    match how:
        case Aggregation.SUM:
            return math.fsum(values)
        case Aggregation.MAX:
            return max(values)
        case Aggregation.MEAN:
            return math.fsum(values) / len(values)
