"""A metric page as the Python client library writes it, with histograms that count many at once.

In: increments and observations. Out: text in which a counter is followed by its `_created` gauges
and labels are in alphabetical order. Own code because the library's histogram takes one observation
at a time, and the engine model gives thousands. There are no HELP lines.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from prometheus_client.utils import floatToGoString

from collector.metric_page import sample_line

Labels = tuple[tuple[str, str], ...]


class Family(Protocol):
    """Something that writes its part of the page."""

    def lines(self) -> Iterator[str]:
        """Lines without their ends."""
        ...


def sample(name: str, labels: Labels, value: float) -> str:
    """One line of the page."""
    return sample_line(name, sorted(labels), _number(value))


def _number(value: float) -> str:
    return str(floatToGoString(value))  # type: ignore[no-untyped-call]  # the library has no types


@dataclass(slots=True, kw_only=True)
class Values:
    """Counters or gauges of one name; `kind` says which."""

    name: str
    kind: str
    now: float  # epoch seconds given to children made from now on
    values: dict[Labels, float] = field(default_factory=dict)
    created: dict[Labels, float] = field(default_factory=dict)

    def add(self, amount: float = 1.0, *, labels: Labels) -> None:
        """Counts; a child that is not there yet begins at 0."""
        if labels not in self.values:
            self.created[labels] = self.now
        self.values[labels] = self.values.get(labels, 0.0) + amount

    def set(self, value: float, *, labels: Labels) -> None:
        """Replaces a gauge's value."""
        self.values[labels] = value

    def lines(self) -> Iterator[str]:
        """The family and, for counters, its `_created` one."""
        is_counter = self.kind == "counter"
        name = self.name + ("_total" if is_counter else "")
        yield f"# TYPE {name} {self.kind}"
        yield from (sample(name, labels, value) for labels, value in self.values.items())
        if is_counter and self.values:
            yield from _created_lines(self.name, self.created)


@dataclass(slots=True)
class Distribution:
    """Counts per bucket of one child; the last one is above every edge."""

    counts: list[int]
    created: float
    sum: float = 0.0


@dataclass(slots=True, kw_only=True)
class Histogram:
    """A histogram of one name. Without edges it is a summary: a count and a sum."""

    name: str
    edges: Sequence[float]
    now: float
    children: dict[Labels, Distribution] = field(default_factory=dict)

    def child(self, labels: Labels) -> Distribution:
        """The child, made empty when new."""
        if labels not in self.children:
            counts = [0] * (len(self.edges) + 1)
            self.children[labels] = Distribution(counts=counts, created=self.now)
        return self.children[labels]

    def observe(self, value: float, *, labels: Labels, times: int = 1) -> None:
        """Counts `times` observations of the value."""
        child = self.child(labels)
        child.counts[bisect_left(self.edges, value)] += times
        child.sum += value * times

    def observe_series(
        self, *, first: float, growth: float, length: int, times: int, labels: Labels
    ) -> None:
        """Counts first, first + growth, ... (`length` of them, growth >= 0), each `times` times."""
        child = self.child(labels)
        child.sum += times * (length * first + growth * (length * (length - 1) / 2))
        done = 0
        while done < length:
            bucket = bisect_left(self.edges, first + growth * done)
            upto = length
            if bucket < len(self.edges) and growth > 0:
                upto = min(length, max(done + 1, int((self.edges[bucket] - first) / growth) + 1))
            child.counts[bucket] += (upto - done) * times
            done = upto

    def lines(self) -> Iterator[str]:
        """The family and its `_created` one."""
        yield f"# TYPE {self.name} {'histogram' if self.edges else 'summary'}"
        for labels, child in self.children.items():
            yield from self._child_lines(labels, child)
        if self.children:
            yield from _created_lines(
                self.name, {labels: child.created for labels, child in self.children.items()}
            )

    def _child_lines(self, labels: Labels, child: Distribution) -> Iterator[str]:
        total = 0
        if self.edges:
            for edge, count in zip((*self.edges, float("inf")), child.counts, strict=True):
                total += count
                with_edge = (*labels, ("le", _number(edge)))
                yield sample(f"{self.name}_bucket", with_edge, float(total))
        yield sample(f"{self.name}_count", labels, float(sum(child.counts)))
        yield sample(f"{self.name}_sum", labels, child.sum)


def _created_lines(name: str, created: dict[Labels, float]) -> Iterator[str]:
    yield f"# TYPE {name}_created gauge"
    yield from (sample(f"{name}_created", labels, at) for labels, at in created.items())
