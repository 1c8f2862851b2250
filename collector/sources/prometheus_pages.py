"""`ExpositionReader` over a Prometheus that scrapes the targets already: a fleet is not read twice.

One aggregated query per signal for all targets; the answers are told apart by the targets' labels and
written as pages, so that everything after it is the same as with pages read directly. Makes no
readings; that is `normalise`.
"""

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from collector.clock import Clock
from collector.model.contract import Contracts, SeriesKind, SignalRule
from collector.ports import Exposition, InstantReader, InstantSample, ScrapeTarget

Labels = Mapping[str, str]
LabelsOf = Callable[[ScrapeTarget], Labels]


def instance_of(target: ScrapeTarget) -> Labels:
    """The label Prometheus gives a target by itself."""
    return {"instance": target.url.partition("://")[2].partition("/")[0]}


class PrometheusReader:
    """Pages of targets as Prometheus last scraped them.

    Asks for every signal of the contracts it is given: give it those of engines that are in use.
    """

    def __init__(
        self,
        api: InstantReader,
        *,
        contracts: Contracts,
        clock: Clock,
        labels_of: LabelsOf = instance_of,
        timeout_seconds: float = 10.0,
    ) -> None:
        self._api = api
        self._clock = clock
        self._labels_of = labels_of
        self._timeout_seconds = timeout_seconds
        rules = [*contracts.gateway.rules.values()]
        rules += [rule for each in contracts.engines.values() for rule in each.rules.values()]
        self._rules = tuple(rules)
        self._asking: asyncio.Task[Mapping[str, Exposition]] | None = None

    async def read_expositions(self, targets: Sequence[ScrapeTarget]) -> Mapping[str, Exposition]:
        """One answer per target key, stamped with the time of the scrape, in a worker thread.

        A thread that hangs is waited for: until it is back, every target is without an answer.
        """
        if not targets:
            return {}
        if self._asking is not None and not self._asking.done():
            return self._without(targets, why="an earlier round of queries still runs")
        task = asyncio.create_task(asyncio.to_thread(self._read, tuple(targets)))
        self._asking = task
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await asyncio.shield(task)
        except TimeoutError:
            limit = self._timeout_seconds
            return self._without(targets, why=f"Prometheus was not read within {limit:g} s")

    async def close(self) -> None:
        """Waits for a thread that is still at work."""
        if self._asking is not None:
            await asyncio.gather(self._asking, return_exceptions=True)

    def _read(self, targets: Sequence[ScrapeTarget]) -> Mapping[str, Exposition]:
        wanted = {target.key: self._labels_of(target) for target in targets}
        names = tuple(sorted({name for labels in wanted.values() for name in labels}))
        by = ", ".join(names)
        scraped = self._api.query(f"min by ({by}) (timestamp(up) * (up == 1))")
        if not scraped.samples:
            why = scraped.error or "Prometheus scrapes no target with these labels, or none answers"
            return self._without(targets, why=why)
        answers = [self._api.query(each) for each in _queries(self._rules, by=names)]
        pages = _Pages(wanted)
        for answer in (scraped, *answers):
            pages.errors += [answer.error] if answer.error else []
        for answer in answers:
            pages.add(answer.samples)
        return {
            target.key: self._exposition(target, pages=pages, scraped=scraped.samples)
            for target in targets
        }

    def _exposition(
        self, target: ScrapeTarget, *, pages: "_Pages", scraped: Iterable[InstantSample]
    ) -> Exposition:
        labels = self._labels_of(target)
        times = [each.value for each in scraped if _has(each.labels, labels)]
        if not times or not all(math.isfinite(each) for each in times):
            shown = ", ".join(f'{name}="{value}"' for name, value in labels.items())
            return self._silence(target, why=f"Prometheus has no answer of the target {{{shown}}}")
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


class _Pages:
    """Samples of many targets sorted into pages; lives for one round."""

    def __init__(self, wanted: Mapping[str, Labels]) -> None:
        self.errors: list[str] = []
        self._wanted = wanted
        self._keys: dict[tuple[tuple[str, str], ...], list[str]] = defaultdict(list)
        for key, labels in wanted.items():
            self._keys[tuple(sorted(labels.items()))].append(key)
        self._identities = {tuple(sorted(labels)) for labels in wanted.values()}
        self._values: dict[str, dict[str, float]] = defaultdict(dict)

    def add(self, samples: Iterable[InstantSample]) -> None:
        """Gives each sample to the targets it belongs to; what several series tell is summed."""
        for sample in samples:
            for names in self._identities:
                identity = tuple((name, sample.labels.get(name, "")) for name in names)
                for key in self._keys.get(identity, ()):
                    series = _series(sample.labels, without=names)
                    values = self._values[key]
                    values[series] = values.get(series, 0.0) + sample.value

    def text(self, key: str) -> str:
        """The page of one target."""
        return "".join(f"{series} {value!r}\n" for series, value in self._values[key].items())


def _queries(rules: Iterable[SignalRule], *, by: Sequence[str]) -> Iterator[str]:
    """One query per signal for every target at once."""
    seen: set[str] = set()
    for rule in rules:
        names = "|".join(sorted(set(_series_names(rule))))
        kept = ", ".join(dict.fromkeys(("__name__", *by, *_labels_read(rule))))
        expression = f'sum by ({kept}) ({{__name__=~"{names}"}})'
        if expression not in seen:
            seen.add(expression)
            yield expression


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


def _series(labels: Labels, *, without: Sequence[str]) -> str:
    """`name{label="value"}`, escaped as on a page."""
    pairs = ",".join(
        f'{name}="{_escaped(value)}"'
        for name, value in sorted(labels.items())
        if name != "__name__" and name not in without
    )
    return f"{labels.get('__name__', '')}{{{pairs}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _has(labels: Labels, wanted: Labels) -> bool:
    return all(labels.get(name, "") == value for name, value in wanted.items())
