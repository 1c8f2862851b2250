"""Which series of a page make which reading: the part of `normalise` that values do not change. Pure.

Consecutive pages of a target have the same series in the same places, so the answer is worth keeping
(`reader.py`). In: the series in the order of their values, and the contract. Out: a `Recipe`. Which
source of a rule counts, how series are grouped and what is absent is all settled here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from collector.model.contract import (
    CanonicalSignal,
    Contract,
    SeriesKind,
    SeriesSource,
    SignalRule,
    SleepState,
)
from collector.model.histogram import Histogram
from collector.model.reading import MissingReason
from collector.model.samples import Labels
from collector.normalise.histograms import histogram_points
from collector.normalise.numbers import info_points, number_points
from collector.normalise.points import Cell, Line, Point, V, grouped
from collector.normalise.states import state_points

_HISTOGRAM_SUFFIXES = ("_bucket", "_sum", "_count")

Series = tuple[str, Labels]
"""Name and labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """What is on a page but for the values."""

    series: Sequence[Series | None]  # one per value; None: dropped
    damaged: frozenset[str] = frozenset()  # names with a line that cannot be read
    contradicted: frozenset[Series] = frozenset()  # told twice with different values


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How the values of a page become readings."""

    numbers: tuple[Cell[float], ...]
    histograms: tuple[Cell[Histogram], ...]
    states: tuple[Cell[SleepState], ...]
    absent: Mapping[CanonicalSignal, MissingReason]
    gauges: frozenset[CanonicalSignal]  # they say nothing while the engine sleeps
    unknown_series_count: int
    config_hash: str | MissingReason  # of the settings in info series


def page_recipe(
    outline: Outline, *, contract: Contract, engine_version: tuple[int, ...] | None
) -> Recipe:
    """The recipe of all pages with this outline; linear in its series. Raises nothing."""
    writer = _Writer(_with_our_labels(outline, contract.label_names), engine_version)
    for signal in contract.cannot_see:
        writer.absent[signal] = MissingReason.CANNOT_SEE
    for rule in contract.rules.values():
        writer.add(rule)
    return Recipe(
        numbers=tuple(writer.numbers),
        histograms=tuple(writer.histograms),
        states=tuple(writer.states),
        absent=writer.absent,
        gauges=frozenset(
            rule.signal for rule in contract.rules.values() if rule.kind is SeriesKind.GAUGE
        ),
        unknown_series_count=len(writer.names() - _known_names(contract)),
        config_hash=writer.config_hash(contract),
    )


def _with_our_labels(outline: Outline, names: Mapping[str, str]) -> Outline:
    """The outline with the labels of other versions renamed to those the rules use."""
    if not names:
        return outline

    def renamed(series: Series) -> Series:
        return series[0], tuple(sorted((names.get(name, name), text) for name, text in series[1]))

    return Outline(
        series=[None if each is None else renamed(each) for each in outline.series],
        damaged=outline.damaged,
        contradicted=frozenset(map(renamed, outline.contradicted)),
    )


def _known_names(contract: Contract) -> set[str]:
    """Every series name that some rule reads, in any version."""
    return {
        name
        for rule in contract.rules.values()
        for source in rule.sources
        for spelling in source.names
        for name in (spelling, *(spelling + suffix for suffix in _HISTOGRAM_SUFFIXES))
    }


@dataclass(slots=True)
class _Writer:
    """Gathers cells rule by rule; lives for one call."""

    outline: Outline
    engine_version: tuple[int, ...] | None
    numbers: list[Cell[float]] = field(default_factory=list)
    histograms: list[Cell[Histogram]] = field(default_factory=list)
    states: list[Cell[SleepState]] = field(default_factory=list)
    absent: dict[CanonicalSignal, MissingReason] = field(default_factory=dict)
    _lines: dict[str, list[Line]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        contradicted = self.outline.contradicted
        for index, series in enumerate(self.outline.series):
            if series is not None:
                line = Line(index, series[1], series in contradicted)
                self._lines.setdefault(series[0], []).append(line)

    def names(self) -> set[str]:
        """The names on the page."""
        return set(self._lines)

    def config_hash(self, contract: Contract) -> str | MissingReason:
        """A short digest of what the info series say of the settings, engines in any order."""
        rules = [rule for rule in contract.rules.values() if rule.kind is SeriesKind.INFO]
        names = {name for rule in rules for source in rule.sources for name in source.names}
        others = contract.measured_labels.union(*(rule.aggregate for rule in rules))
        told = {
            (name, *(pair for pair in line.labels if pair[0] not in others))
            for name in names
            for line in self._lines.get(name, [])
        }
        if not told:
            return MissingReason.SERIES_ABSENT if rules else MissingReason.CANNOT_SEE
        text = repr(sorted(told)).encode("utf-8", errors="surrogatepass")
        return blake2b(text, digest_size=8).hexdigest()

    def add(self, rule: SignalRule) -> None:
        """Adds the cells of the first source of `rule` that is on the page."""
        for source in rule.sources:
            version = self.engine_version
            if version is not None and not source.versions.contains(version):
                continue
            for name in source.names:
                if self._is_damaged(rule=rule, name=name):
                    self.absent[rule.signal] = MissingReason.NOT_A_NUMBER
                    return
                if self._add_series(rule=rule, source=source, name=name):
                    return
        self.absent[rule.signal] = MissingReason.SERIES_ABSENT

    def _add_series(self, *, rule: SignalRule, source: SeriesSource, name: str) -> bool:
        """Adds what this series says; False when it is not on the page at all."""
        match rule.kind:
            case SeriesKind.HISTOGRAM:
                histograms = histogram_points(
                    buckets=self._selected(f"{name}_bucket", source),
                    sums=self._selected(f"{name}_sum", source),
                    scale=source.scale,
                )
                return _add_cells(self.histograms, histograms, rule=rule)
            case SeriesKind.STATE:
                states = state_points(self._selected(name, source), rule=rule)
                return _add_cells(self.states, states, rule=rule)
            case SeriesKind.COUNTER | SeriesKind.GAUGE | SeriesKind.INFO:
                make = info_points if rule.kind is SeriesKind.INFO else number_points
                numbers = make(self._selected(name, source), rule=rule, source=source)
                return _add_cells(self.numbers, numbers, rule=rule)

    def _is_damaged(self, *, rule: SignalRule, name: str) -> bool:
        is_histogram = rule.kind is SeriesKind.HISTOGRAM
        parts = (f"{name}_bucket", f"{name}_sum") if is_histogram else (name,)
        return any(part in self.outline.damaged for part in parts)

    def _selected(self, name: str, source: SeriesSource) -> list[Line]:
        lines = self._lines.get(name, [])
        if not source.select:
            return lines
        return [line for line in lines if _is_selected(line.labels, source)]


def _is_selected(labels: Labels, source: SeriesSource) -> bool:
    found = dict(labels)
    return all(found.get(label, "") in allowed for label, allowed in source.select.items())


def _add_cells(cells: list[Cell[V]], points: Sequence[Point[V]], *, rule: SignalRule) -> bool:
    groups = grouped(points, keep=rule.keep, aggregate=rule.aggregate)
    cells.extend(
        Cell(key=(rule.signal, kept), parts=parts, join=join)
        for kept, (parts, join) in groups.items()
    )
    return bool(points)
