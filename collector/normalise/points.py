"""Joins the series of one signal that differ in labels, e.g. one per data-parallel engine. Pure.

A point is a value or the reason why there is none; one missing part makes the whole missing, because
a sum over what happens to be readable is a wrong number.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from collector.model.contract import Aggregation
from collector.model.reading import MissingReason
from collector.model.samples import Labels

V = TypeVar("V")
Combine = Callable[[Aggregation, Sequence[V]], V | MissingReason]
KeptLabels = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point(Generic[V]):
    """One series."""

    labels: Labels
    value: V | MissingReason


def joined(
    points: Sequence[Point[V]],
    *,
    keep: tuple[str, ...],
    aggregate: Mapping[str, Aggregation],
    combine: Combine[V],
) -> dict[KeptLabels, V | MissingReason]:
    """One value per combination of kept labels.

    Series that differ in a label which is neither kept nor aggregated are CONTRADICTED: nobody has
    said how they belong together.
    """
    groups: dict[KeptLabels, list[Point[V]]] = {}
    for point in points:
        labels = dict(point.labels)
        groups.setdefault(tuple(labels.get(label, "") for label in keep), []).append(point)
    values: dict[KeptLabels, V | MissingReason] = {}
    for kept, group in groups.items():
        whole = _joined_group(group, aggregate=aggregate, combine=combine)
        values[kept] = whole
    return values


def _joined_group(
    points: Sequence[Point[V]], *, aggregate: Mapping[str, Aggregation], combine: Combine[V]
) -> V | MissingReason:
    values: dict[Labels, V] = {}
    for point in points:
        if isinstance(point.value, MissingReason):
            return point.value
        values[point.labels] = point.value
    for label, how in aggregate.items():
        reduced = _without_label(values, label=label, how=how, combine=combine)
        if isinstance(reduced, MissingReason):
            return reduced
        values = reduced
    return next(iter(values.values())) if len(values) == 1 else MissingReason.CONTRADICTED


def _without_label(
    values: Mapping[Labels, V], *, label: str, how: Aggregation, combine: Combine[V]
) -> dict[Labels, V] | MissingReason:
    groups: dict[Labels, list[V]] = {}
    for labels, value in values.items():
        rest = tuple(pair for pair in labels if pair[0] != label)
        groups.setdefault(rest, []).append(value)
    reduced: dict[Labels, V] = {}
    for rest, group in groups.items():
        whole = combine(how, group)
        if isinstance(whole, MissingReason):
            return whole
        reduced[rest] = whole
    return reduced
