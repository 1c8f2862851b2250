"""Counters, gauges and info series of one page as points, and how they are combined. Pure."""

import math
from collections.abc import Sequence

from collector.model.contract import Aggregation, SeriesKind, SeriesSource, SignalRule
from collector.model.reading import MissingReason
from collector.model.samples import Sample
from collector.normalise.points import Point


def number_points(
    samples: Sequence[Sample], *, rule: SignalRule, source: SeriesSource
) -> list[Point[float]]:
    """One point per series; NaN, infinities and counters below zero are NOT_A_NUMBER."""
    return [
        Point(labels=sample.labels, value=_checked(sample.value, kind=rule.kind, source=source))
        for sample in samples
    ]


def _checked(value: float, *, kind: SeriesKind, source: SeriesSource) -> float | MissingReason:
    scaled = value * source.scale
    if not math.isfinite(scaled) or (kind is SeriesKind.COUNTER and scaled < 0):
        return MissingReason.NOT_A_NUMBER
    return scaled


def info_points(
    samples: Sequence[Sample], *, rule: SignalRule, source: SeriesSource
) -> list[Point[float]]:
    """The product of the value labels of each series; a series that lacks one gives no point."""
    points: list[Point[float]] = []
    for sample in samples:
        labels = dict(sample.labels)
        value = _product([labels.get(label, "") for label in source.value_labels])
        if value is not None:
            # Info series carry their whole configuration as labels: only the rule's own ones count.
            ours = tuple(
                pair for pair in sample.labels if pair[0] in rule.keep or pair[0] in rule.aggregate
            )
            points.append(Point(labels=ours, value=value * source.scale))
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
