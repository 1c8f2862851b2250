"""`Samples` of one page and its contract in, `PageReadings` out. Last step of `normalise`; pure.

Every signal of the contract ends as a reading or as `Missing` with a reason. While an engine sleeps
its gauges are `Missing(ASLEEP)`: they show requests that wait for nobody as 0.
"""

from collections.abc import Mapping
from typing import TypeVar

from collector.model.contract import (
    CanonicalSignal,
    Contract,
    EngineSignal,
    SeriesKind,
    SeriesSource,
    SignalRule,
    SleepState,
)
from collector.model.histogram import Histogram
from collector.model.page import PageIdentity, PageReadings, ReadingKey
from collector.model.reading import Fresh, Missing, MissingReason, Number, Reading
from collector.model.samples import Sample, Samples
from collector.model.snapshot import Problem
from collector.normalise.histograms import combined_histograms, histogram_points
from collector.normalise.numbers import combined_numbers, info_points, number_points
from collector.normalise.points import KeptLabels, Point, joined
from collector.normalise.states import combined_states, state_points

V = TypeVar("V")
_Values = Mapping[KeptLabels, V | MissingReason]
_HISTOGRAM_SUFFIXES = ("_bucket", "_sum", "_count")


def page_readings(
    samples: Samples,
    *,
    contract: Contract,
    identity: PageIdentity,
    observed_timestamp_seconds: float,
) -> PageReadings:
    """A reading for every signal the contract names. Raises nothing, whatever the page holds."""
    reader = _Reader(samples, contract, identity, observed_timestamp_seconds)
    for signal in contract.cannot_see:
        reader.absent[signal] = reader.missing(MissingReason.CANNOT_SEE)
    for rule in contract.rules.values():
        reader.read(rule)
    reader.hide_gauges_of_sleeper()
    return PageReadings(
        source=identity.source,
        numbers=reader.numbers,
        histograms=reader.histograms,
        sleep_state=reader.sleep_state(),
        absent=reader.absent,
        unknown_series_count=unknown_series_count(samples, contract=contract),
        problems=(*samples.problems, *reader.problems),
    )


def unknown_series_count(samples: Samples, *, contract: Contract) -> int:
    """Series names on the page that no rule reads, in any version."""
    names = {
        name
        for rule in contract.rules.values()
        for source in rule.sources
        for spelling in source.names
        for name in (spelling, *(spelling + suffix for suffix in _HISTOGRAM_SUFFIXES))
    }
    return len(samples.by_name.keys() - names)


class _Reader:
    """Gathers readings rule by rule; lives for one call."""

    def __init__(
        self, samples: Samples, contract: Contract, identity: PageIdentity, observed: float
    ) -> None:
        self.numbers: dict[ReadingKey, Number] = {}
        self.histograms: dict[ReadingKey, Reading[Histogram]] = {}
        self.absent: dict[CanonicalSignal, Missing] = {}
        self.problems: list[Problem] = []
        self._states: dict[ReadingKey, Reading[SleepState]] = {}
        self._samples = samples
        self._contract = contract
        self._identity = identity
        self._observed = observed

    def missing(self, reason: MissingReason) -> Missing:
        return Missing(reason=reason, source=self._identity.source)

    def read(self, rule: SignalRule) -> None:
        """Adds the readings of the first source of `rule` that is on the page."""
        for source in rule.sources:
            version = self._identity.engine_version
            if version is not None and not source.versions.contains(version):
                continue
            for name in source.names:
                if self._read_series(rule=rule, source=source, name=name):
                    return
        self.absent[rule.signal] = self.missing(MissingReason.SERIES_ABSENT)

    def sleep_state(self) -> Reading[SleepState]:
        """Awake, asleep, or why nobody knows."""
        state = self._states.get((EngineSignal.SLEEP_STATE, ()))
        absent = self.absent.get(EngineSignal.SLEEP_STATE)
        return state or absent or self.missing(MissingReason.CANNOT_SEE)

    def hide_gauges_of_sleeper(self) -> None:
        """Takes the gauges away unless the engine is awake or never says."""
        match self.sleep_state():
            case Fresh(value=SleepState.AWAKE):
                return
            case Missing(reason=MissingReason.CANNOT_SEE | MissingReason.SERIES_ABSENT):
                return
            case Missing() as unknown:
                hidden = unknown
            case _:
                hidden = self.missing(MissingReason.ASLEEP)
        for key in self.numbers:
            rule = self._contract.rules[key[0]]
            if rule.kind is SeriesKind.GAUGE:
                self.numbers[key] = hidden

    def _read_series(self, *, rule: SignalRule, source: SeriesSource, name: str) -> bool:
        """Adds what this series says; False when it is not on the page at all."""
        if self._is_damaged(rule=rule, name=name):
            self.absent[rule.signal] = self.missing(MissingReason.NOT_A_NUMBER)
            return True
        match rule.kind:
            case SeriesKind.HISTOGRAM:
                return self._read_histogram(rule=rule, source=source, name=name)
            case SeriesKind.STATE:
                states = state_points(self._selected(name, source), rule=rule)
                values = joined(
                    states, keep=rule.keep, aggregate=rule.aggregate, combine=combined_states
                )
                self._states.update(self._readings(rule, values))
                return bool(states)
            case SeriesKind.COUNTER | SeriesKind.GAUGE | SeriesKind.INFO:
                return self._read_numbers(rule=rule, source=source, name=name)

    def _read_numbers(self, *, rule: SignalRule, source: SeriesSource, name: str) -> bool:
        make = info_points if rule.kind is SeriesKind.INFO else number_points
        points = make(self._selected(name, source), rule=rule, source=source)
        points = [self._unless_contradicted(point, name=name) for point in points]
        values = joined(points, keep=rule.keep, aggregate=rule.aggregate, combine=combined_numbers)
        self.numbers.update(self._readings(rule, values))
        return bool(points)

    def _read_histogram(self, *, rule: SignalRule, source: SeriesSource, name: str) -> bool:
        points = histogram_points(
            buckets=self._selected(f"{name}_bucket", source),
            sums=self._selected(f"{name}_sum", source),
            scale=source.scale,
        )
        contradicted = {
            tuple(pair for pair in labels if pair[0] != "le")
            for series, labels in self._samples.contradicted
            if series in (f"{name}_bucket", f"{name}_sum")
        }
        points = [
            Point(labels=point.labels, value=MissingReason.CONTRADICTED)
            if point.labels in contradicted
            else point
            for point in points
        ]
        values = joined(
            points, keep=rule.keep, aggregate=rule.aggregate, combine=combined_histograms
        )
        self.histograms.update(self._readings(rule, values))
        return bool(points)

    def _is_damaged(self, *, rule: SignalRule, name: str) -> bool:
        is_histogram = rule.kind is SeriesKind.HISTOGRAM
        parts = (f"{name}_bucket", f"{name}_sum") if is_histogram else (name,)
        return any(part in self._samples.damaged for part in parts)

    def _selected(self, name: str, source: SeriesSource) -> list[Sample]:
        samples = self._samples.by_name.get(name, ())
        if not source.select:
            return list(samples)
        return [sample for sample in samples if _is_selected(sample, source)]

    def _unless_contradicted(self, point: Point[float], *, name: str) -> Point[float]:
        if (name, point.labels) not in self._samples.contradicted:
            return point
        return Point(labels=point.labels, value=MissingReason.CONTRADICTED)

    def _readings(self, rule: SignalRule, values: _Values[V]) -> dict[ReadingKey, Reading[V]]:
        readings: dict[ReadingKey, Reading[V]] = {}
        for kept, value in values.items():
            key = (rule.signal, kept)
            if isinstance(value, MissingReason):
                readings[key] = self.missing(value)
                self._report(rule, value)
            else:
                readings[key] = Fresh(
                    value=value,
                    observed_timestamp_seconds=self._observed,
                    source=self._identity.source,
                )
        return readings

    def _report(self, rule: SignalRule, reason: MissingReason) -> None:
        message = f"{rule.signal.value} cannot be used: {_WHY[reason]}"
        problem = Problem(source=self._identity.key, message=message)
        if problem not in self.problems:
            self.problems.append(problem)


_WHY: Mapping[MissingReason, str] = {
    MissingReason.NOT_A_NUMBER: "a value is NaN, infinite, negative or unreadable",
    MissingReason.CONTRADICTED: "its series contradict each other",
    MissingReason.SERIES_ABSENT: "a part of its series is absent",
}


def _is_selected(sample: Sample, source: SeriesSource) -> bool:
    labels = dict(sample.labels)
    return all(labels.get(label, "") in allowed for label, allowed in source.select.items())
