"""`ExpositionReader` over a Prometheus that scrapes the targets already: a fleet is not read twice.

One aggregated query per signal for all targets; the answers are told apart by the targets' labels and
written as pages, so that everything after it is the same as with pages read directly. Makes no
readings; that is `normalise`.
"""

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from collector.clock import Clock
from collector.model.contract import SeriesKind, SignalRule
from collector.ports import (
    Exposition,
    ExpositionReader,
    InstantAnswer,
    InstantReader,
    InstantSample,
    ScrapeTarget,
    TargetIdentity,
)

Labels = Mapping[str, str]
Rules = Callable[[], Iterable[SignalRule]]
"""The signals to ask for now; engines come and go with the catalogue."""

_CLOSE_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetLabels:
    """How Prometheus tells targets apart."""

    label: str = "instance"  # the one that Prometheus sets by itself
    holds: TargetIdentity = TargetIdentity.ADDRESS
    match: Labels = field(default_factory=dict)  # labels of every target that is meant

    def of(self, target: ScrapeTarget) -> Labels:
        """The labels of one target, what was declared for it included."""
        return {**target.match, self.label: self._value(target)}

    def selector(self, *matchers: str) -> str:
        """`{...}` with these matchers and those of all targets; empty without any."""
        own = (f'{name}="{_escaped(value)}"' for name, value in sorted(self.match.items()))
        pairs = ",".join((*matchers, *own))
        return f"{{{pairs}}}" if pairs else ""

    def _value(self, target: ScrapeTarget) -> str:
        match self.holds:
            case TargetIdentity.ADDRESS:
                return urlsplit(target.url).netloc
            case TargetIdentity.HOST:
                return urlsplit(target.url).hostname or ""
            case TargetIdentity.REPLICA_ID:
                return target.key


class SplitReader:
    """Engines' pages from one reader, and pages behind a Unix socket (the gateway's) from another."""

    def __init__(self, *, engines: ExpositionReader, sockets: ExpositionReader) -> None:
        self._engines = engines
        self._sockets = sockets

    async def read_expositions(self, targets: Sequence[ScrapeTarget]) -> Mapping[str, Exposition]:
        """One answer per target key; both readers are asked at once."""
        behind_sockets = [each for each in targets if each.unix_socket_path is not None]
        others = [each for each in targets if each.unix_socket_path is None]
        found = await asyncio.gather(
            self._sockets.read_expositions(behind_sockets), self._engines.read_expositions(others)
        )
        return {**found[0], **found[1]}


class PrometheusReader:
    """Pages of targets as Prometheus last scraped them.

    Asks for every signal that `rules` tells: those of the contracts of engines in use.
    """

    def __init__(
        self,
        api: InstantReader,
        *,
        rules: Rules,
        clock: Clock,
        labels: TargetLabels | None = None,
        timeout_seconds: float = 4.0,
    ) -> None:
        self._api = api
        self._rules = rules
        self._clock = clock
        self._labels = labels or TargetLabels()
        self._timeout_seconds = timeout_seconds
        self._asking: asyncio.Task[Mapping[str, Exposition]] | None = None

    async def read_expositions(self, targets: Sequence[ScrapeTarget]) -> Mapping[str, Exposition]:
        """One answer per target key, stamped with the time of the scrape, in a worker thread.

        A round that takes longer than the timeout goes on, and what it finds is the answer to the
        next call: so a slow Prometheus is late, and not silent. There is never a second thread.
        """
        if not targets:
            return {}
        if self._asking is None:
            self._asking = asyncio.create_task(asyncio.to_thread(self._read, tuple(targets)))
        try:
            async with asyncio.timeout(self._timeout_seconds):
                found = await asyncio.shield(self._asking)
        except TimeoutError:
            limit = self._timeout_seconds
            return self._without(targets, why=f"Prometheus was not read within {limit:g} s")
        finally:
            if self._asking.done():
                self._asking = None
        late = "Prometheus was asked before this target was there"
        return {each.key: found.get(each.key) or self._silence(each, why=late) for each in targets}

    async def close(self) -> None:
        """Waits a while for a thread that is still at work."""
        if self._asking is not None:
            await asyncio.wait([self._asking], timeout=_CLOSE_SECONDS)

    def _read(self, targets: Sequence[ScrapeTarget]) -> Mapping[str, Exposition]:
        wanted = {target.key: self._labels.of(target) for target in targets}
        names = tuple(sorted({name for labels in wanted.values() for name in labels}))
        scrapes = self._scrapes(by=", ".join(names))
        if not scrapes.times:
            return self._without(targets, why=scrapes.silence())
        pages = _Pages(wanted, names=names, scrapes=scrapes)
        rules = tuple(self._rules())
        for expression in _sums(rules, by=names, labels=self._labels):
            pages.add(self._api.query(expression))
        for expression in _whole_series(rules, labels=self._labels):
            pages.add_whole(self._api.query(expression))
        return {
            target.key: self._exposition(target, pages=pages, scrapes=scrapes) for target in targets
        }

    def _scrapes(self, *, by: str) -> "_Scrapes":
        up = f"up{self._labels.selector()}"
        times = self._api.query(f"min by ({by}) (timestamp({up}) * ({up} == 1))")
        if not times.samples:
            return _Scrapes(times=(), targets=(), errors=[times.error] if times.error else [])
        targets = self._api.query(f"{up} == 1")
        errors = [answer.error for answer in (times, targets) if answer.error]
        return _Scrapes(times=times.samples, targets=targets.samples, errors=errors)

    def _exposition(
        self, target: ScrapeTarget, *, pages: "_Pages", scrapes: "_Scrapes"
    ) -> Exposition:
        labels = self._labels.of(target)
        shown = ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items()))
        times = _values(scrapes.times, labels=labels)
        if not times or not all(math.isfinite(each) for each in times):
            why = f"Prometheus has no answer of the target {{{shown}}}"
            return self._silence(target, why=scrapes.silence(why))
        copies = len(_values(scrapes.targets, labels=labels))
        if copies > 1:  # every counter would be told that many times over
            why = f"Prometheus scrapes {copies} targets {{{shown}}}; name labels that only one has"
            return self._silence(target, why=f"{why}, under prometheus.engine_match or match")
        return Exposition(
            key=target.key,
            text=pages.text(target.key),
            error=None,
            observed_timestamp_seconds=min(times),
            problems=tuple(dict.fromkeys(pages.errors)),
        )

    def _without(self, targets: Iterable[ScrapeTarget], *, why: str) -> Mapping[str, Exposition]:
        return {target.key: self._silence(target, why=why) for target in targets}

    def _silence(self, target: ScrapeTarget, *, why: str) -> Exposition:
        now = self._clock.timestamp_seconds()
        return Exposition(key=target.key, text=None, error=why, observed_timestamp_seconds=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scrapes:
    """When each target was last scraped, and every target that answers, with all of its labels."""

    times: tuple[InstantSample, ...]
    targets: tuple[InstantSample, ...]
    errors: list[str]

    def silence(
        self, otherwise: str = "Prometheus scrapes no target with these labels, or none answers"
    ) -> str:
        """Why a target has no time."""
        return "; ".join(self.errors) or otherwise


class _Pages:
    """Samples of many targets sorted into pages; lives for one round."""

    def __init__(
        self, wanted: Mapping[str, Labels], *, names: Sequence[str], scrapes: _Scrapes
    ) -> None:
        self.errors = list(scrapes.errors)
        self._names = frozenset(names)  # of all targets' labels; none of them belongs on a page
        self._keys: dict[tuple[tuple[str, str], ...], list[str]] = defaultdict(list)
        for key, labels in wanted.items():
            self._keys[tuple(sorted(labels.items()))].append(key)
        self._identities = {tuple(sorted(labels)) for labels in wanted.values()}
        self._values: dict[str, dict[str, float]] = defaultdict(dict)
        self._given: dict[str, frozenset[str]] = {}  # names of labels the target did not write
        for target in scrapes.targets:
            for key in self._owners(target):
                self._given[key] = self._names.union(target.labels)

    def add(self, answer: InstantAnswer) -> None:
        """Gives each sample to the targets it belongs to; what several series tell is summed."""
        self._note(answer)
        for sample in answer.samples:
            for key in self._owners(sample):
                self._put(sample, key=key, without=self._names)

    def add_whole(self, answer: InstantAnswer) -> None:
        """The same for series with all labels; those that Prometheus gave the target are left out."""
        self._note(answer)
        for sample in answer.samples:
            for key in self._owners(sample):
                if key in self._given:
                    self._put(sample, key=key, without=self._given[key])

    def _note(self, answer: InstantAnswer) -> None:
        self.errors += [answer.error] if answer.error else []

    def _owners(self, sample: InstantSample) -> Iterator[str]:
        for names in self._identities:
            identity = tuple((name, sample.labels.get(name, "")) for name in names)
            yield from self._keys.get(identity, ())

    def _put(self, sample: InstantSample, *, key: str, without: frozenset[str]) -> None:
        series = _series(sample.labels, without=without)
        values = self._values[key]
        values[series] = values.get(series, 0.0) + sample.value

    def text(self, key: str) -> str:
        """The page of one target."""
        return "".join(f"{series} {value!r}\n" for series, value in self._values[key].items())


def _sums(rules: Sequence[SignalRule], *, by: Sequence[str], labels: TargetLabels) -> Iterator[str]:
    """One query per signal for every target at once; no series is asked for twice.

    Two signals may read one series: its answer has the labels of both, and would be added to itself
    if it came twice.
    """
    summed = [rule for rule in rules if rule.kind is not SeriesKind.INFO]
    read: dict[str, dict[str, None]] = defaultdict(dict)  # {series: labels that any signal reads}
    for rule in summed:
        for name in _series_names(rule):
            read[name].update(dict.fromkeys(_labels_read(rule)))
    asked: set[str] = set()
    for rule in summed:
        names = sorted(set(_series_names(rule)) - asked)
        asked.update(names)
        if names:
            kept = dict.fromkeys(
                ("__name__", *by, *(label for name in names for label in read[name]))
            )
            yield f"sum by ({', '.join(kept)}) ({_selector(names, labels=labels)})"


def _whole_series(rules: Iterable[SignalRule], *, labels: TargetLabels) -> Iterator[str]:
    """One query for all info series: settings stand in labels that no rule names."""
    of_info = (rule for rule in rules if rule.kind is SeriesKind.INFO)
    names = sorted({name for rule in of_info for name in _series_names(rule)})
    if names:
        yield _selector(names, labels=labels)


def _selector(names: Sequence[str], *, labels: TargetLabels) -> str:
    return labels.selector(f'__name__=~"{"|".join(names)}"')


def _series_names(rule: SignalRule) -> Iterator[str]:
    suffixes = ("_bucket", "_sum") if rule.kind is SeriesKind.HISTOGRAM else ("",)
    for source in rule.sources:
        for name in source.names:
            yield from (name + suffix for suffix in suffixes)


def _labels_read(rule: SignalRule) -> Iterator[str]:
    """The labels `normalise` looks at; all others are summed away by the server."""
    yield from rule.keep
    yield from rule.aggregate
    for source in rule.sources:
        yield from source.select
        yield from source.value_labels
    if rule.state_label is not None:
        yield rule.state_label
    if rule.kind is SeriesKind.HISTOGRAM:
        yield "le"


def _series(labels: Labels, *, without: Container[str]) -> str:
    """`name{label="value"}`, escaped as on a page."""
    pairs = ",".join(
        f'{name}="{_escaped(value)}"'
        for name, value in sorted(labels.items())
        if name != "__name__" and name not in without
    )
    return f"{labels.get('__name__', '')}{{{pairs}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _values(samples: Iterable[InstantSample], *, labels: Labels) -> list[float]:
    """The values of samples with these labels."""
    return [each.value for each in samples if _has(each.labels, labels)]


def _has(labels: Labels, wanted: Labels) -> bool:
    return all(labels.get(name, "") == value for name, value in wanted.items())
