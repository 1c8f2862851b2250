"""How the series of one signal that differ in labels become one value per kept label. Pure.

Split in two: which series belong together follows from labels alone (`grouped`, once per outline of a
page), the values change with every page (`Cell.value`). One missing part makes the whole missing,
because a sum over what happens to be readable is a wrong number.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeAlias, TypeVar, Union

from collector.model.contract import Aggregation
from collector.model.page import ReadingKey
from collector.model.reading import MissingReason
from collector.model.samples import Labels

V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)
Combine = Callable[[Aggregation, Sequence[V]], V | MissingReason]
KeptLabels = tuple[str, ...]

Join: TypeAlias = Union[int, tuple[Aggregation, tuple["Join", ...]]]  # noqa: UP007  recursive
"""A point by its position, or how to combine several."""


class Line(NamedTuple):
    """One series of the page."""

    place: int  # of its value among all values
    labels: Labels
    is_contradicted: bool  # told twice with different values


class Part(Protocol[V_co]):
    """Makes the value of one point out of all values of the page."""

    def value(self, values: Sequence[float]) -> V_co | MissingReason:
        """The value, or the reason why there is none."""
        ...


@dataclass(frozen=True, slots=True)
class Known(Generic[V_co]):
    """A part that is the same on every page of this outline."""

    told: V_co | MissingReason

    def value(self, values: Sequence[float]) -> V_co | MissingReason:
        """What the labels told."""
        return self.told


class Point(NamedTuple, Generic[V]):
    """One series, or the series of one histogram."""

    labels: Labels
    part: Part[V]


@dataclass(frozen=True, slots=True)
class Cell(Generic[V]):
    """What one reading is made of."""

    key: ReadingKey
    parts: tuple[Part[V], ...]
    join: Join | None  # None: series are left over that nobody has said how to join

    def value(self, values: Sequence[float], combine: Combine[V]) -> V | MissingReason:
        """The reading's value on a page with these values."""
        if len(self.parts) == 1 and self.join is not None:
            return self.parts[0].value(values)
        found: list[V] = []
        for part in self.parts:
            value = part.value(values)
            if isinstance(value, MissingReason):
                return value
            found.append(value)
        if self.join is None:
            return MissingReason.CONTRADICTED
        return _combined(self.join, found, combine)


def grouped(
    points: Sequence[Point[V]], *, keep: tuple[str, ...], aggregate: Mapping[str, Aggregation]
) -> dict[KeptLabels, tuple[tuple[Part[V], ...], Join | None]]:
    """{kept label values: (parts, how they join)}.

    Series that differ in a label which is neither kept nor aggregated do not join: nobody has said
    how they belong together.
    """
    groups: dict[KeptLabels, list[Point[V]]] = {}
    for point in points:
        labels = dict(point.labels)
        groups.setdefault(tuple(labels.get(label, "") for label in keep), []).append(point)
    return {
        kept: (tuple(point.part for point in group), _join(group, aggregate=aggregate))
        for kept, group in groups.items()
    }


def _join(points: Sequence[Point[V]], *, aggregate: Mapping[str, Aggregation]) -> Join | None:
    first: dict[Labels, Part[V]] = {}
    if any(first.setdefault(point.labels, point.part) != point.part for point in points):
        return None  # two series claim to be the same one
    joins: dict[Labels, Join] = {point.labels: n for n, point in enumerate(points)}
    for label, how in aggregate.items():
        groups: dict[Labels, list[Join]] = {}
        for labels, join in joins.items():
            groups.setdefault(labels_without(labels, label), []).append(join)
        joins = {
            rest: group[0] if len(group) == 1 else (how, tuple(group))
            for rest, group in groups.items()
        }
    return next(iter(joins.values())) if len(joins) == 1 else None


def labels_without(labels: Labels, label: str | None) -> Labels:
    """The pairs but for those of `label`."""
    return tuple(pair for pair in labels if pair[0] != label)


def _combined(join: Join, values: Sequence[V], combine: Combine[V]) -> V | MissingReason:
    if isinstance(join, int):
        return values[join]
    how, members = join
    found: list[V] = []
    for member in members:
        value = _combined(member, values, combine)
        if isinstance(value, MissingReason):
            return value
        found.append(value)
    return combine(how, found)
