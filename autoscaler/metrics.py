"""The controller's own series on `/metrics`, kept up to date by what the loop tells.

In: ticks, decisions, effects, events, through `ControllerMetrics`. Out: a registry of its own with
the families of `autoscaler.series`. Unknown numbers are absent, never 0; counters exist from the
moment their labels are known. Must not decide, and must not read a clock.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from autoscaler import series
from autoscaler.capacity.lead_time import lead_time_seconds
from autoscaler.model.decision import Decision
from autoscaler.model.effect import TERMINAL, JournalEntry
from autoscaler.model.event import Event
from autoscaler.model.state import ControllerState
from autoscaler.series import TickOutcome, TickStep
from collector.model.catalogue import Catalogue, Mode
from collector.series import Series

Samples = Iterable[tuple[tuple[str, ...], float | None]]


class ControllerMetrics:
    """The series of one controller: counters since it was made, gauges as last recorded."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counting = CollectorRegistry()
        self._decisions = _counter(series.DECISIONS, registry=counting)
        self._effects = _counter(series.EFFECTS, registry=counting)
        self._events = _counter(series.REPLICA_EVENTS, registry=counting)
        self._ticks = _counter(series.TICKS, registry=counting)
        self._tick_seconds = Histogram(
            series.TICK_DURATION.name,
            series.TICK_DURATION.text,
            series.TICK_DURATION.labels,
            buckets=series.TICK_DURATION_BOUNDS_SECONDS,
            registry=counting,
        )
        self._latest = _Latest()
        self._started_digest: str | None = None  # of the catalogue whose counters exist
        self.registry.register(_WithoutCreated(counting))
        self.registry.register(_Gauges(self._latest))
        self._start_bounded_labels()

    def record_tick(
        self,
        *,
        outcome: TickOutcome,
        ended_timestamp_seconds: float,
        step_seconds: Mapping[TickStep, float],
    ) -> None:
        """Counts one round of the loop; steps it did not reach are not in the mapping."""
        self._ticks.labels(outcome.value).inc()
        for step, seconds in step_seconds.items():
            self._tick_seconds.labels(step.value).observe(seconds)
        if outcome is TickOutcome.SUCCEEDED:
            self._latest.tick_timestamp_seconds = ended_timestamp_seconds

    def record_decisions(
        self, decisions: Sequence[Decision], *, catalogue: Catalogue, state: ControllerState
    ) -> None:
        """Counts the decisions of a tick and shows their numbers until the next one."""
        for decision in decisions:
            self._decisions.labels(*series.decision_labels(decision)).inc()
        self._latest.decisions = tuple(decisions)
        self._latest.lead_times = tuple(
            ((service.name, variant.name), lead_time_seconds(variant, state=known))
            for service in catalogue.services
            for variant in service.variants
            for known in (state.variant(service.name, variant.name),)
        )

    def record_catalogue(self, catalogue: Catalogue | None, *, is_valid: bool) -> None:
        """Shows the mode in force (None: no catalogue yet) and whether the file, as it is, was taken.

        Starts the counters of services that are new in it, so that their first increase is seen.
        """
        self._latest.is_catalogue_valid = is_valid
        self._latest.mode = catalogue.authority.mode if catalogue else None
        if catalogue is not None and catalogue.digest != self._started_digest:
            self._started_digest = catalogue.digest
            self._start_services(catalogue)

    def record_effect(self, entry: JournalEntry) -> None:
        """Follows an effect through its phases and counts it when it ends.

        After a restart it is told the unfinished effects only; the ended ones had been counted.
        """
        if entry.phase not in TERMINAL:
            self._latest.running_effects.add(entry.effect_id)
            return
        self._latest.running_effects.discard(entry.effect_id)
        self._effects.labels(entry.kind.value, entry.phase.value).inc()

    def record_event(self, event: Event) -> None:
        """Counts what happened to a replica."""
        self._events.labels(event.service, event.variant, event.kind).inc()

    def record_ledger(self, *, record_count: int) -> None:
        """Shows how many records the ledger holds."""
        self._latest.ledger_record_count = record_count

    def _start_bounded_labels(self) -> None:
        for outcome in TickOutcome:
            self._ticks.labels(outcome.value)
        for step in TickStep:
            self._tick_seconds.labels(step.value)
        for kind, phase in series.ended_effects():
            self._effects.labels(kind.value, phase.value)

    def _start_services(self, catalogue: Catalogue) -> None:
        for service in catalogue.services:
            for labels in series.legal_decision_labels(service.name):
                self._decisions.labels(*labels)
            for variant in service.variants:
                for kind in series.REPLICA_EVENT_KINDS:
                    self._events.labels(service.name, variant.name, kind)


@dataclass(slots=True, kw_only=True)
class _Latest:
    """What the gauges are made from; None is absent on the page."""

    decisions: tuple[Decision, ...] = ()
    lead_times: tuple[tuple[tuple[str, str], float], ...] = ()
    running_effects: set[str] = field(default_factory=set)
    is_catalogue_valid: bool | None = None
    mode: Mode | None = None
    ledger_record_count: int | None = None
    tick_timestamp_seconds: float | None = None


class _Gauges(Collector):
    """Made anew for each reader, so that what is gone or unknown is absent."""

    def __init__(self, latest: _Latest) -> None:
        self._latest = latest

    def collect(self) -> Iterator[Metric]:
        """All families; one without a known number has no sample."""
        yield from self._of_decisions()
        yield from self._of_the_loop()

    def _of_decisions(self) -> Iterator[Metric]:
        seen = [((each.service,), each.evidence) for each in self._latest.decisions]
        yield _gauge(series.REPLICAS_NEEDED, ((s, e.needed_replicas) for s, e in seen))
        yield _gauge(series.DEMAND_REQUESTS, ((s, e.demand_requests_per_second) for s, e in seen))
        yield _gauge(series.DEMAND_WORK, ((s, e.demand_work_ratio) for s, e in seen))
        yield _gauge(series.EXPECTED_WORK, ((s, e.expected_work_ratio) for s, e in seen))
        yield _gauge(series.BURN_RATE, ((s, e.burn_rate) for s, e in seen))
        low = [((*s, "low"), e.capacity_low_ratio) for s, e in seen]
        high = [((*s, "high"), e.capacity_high_ratio) for s, e in seen]
        yield _gauge(series.CAPACITY, (*low, *high))
        plans = [((d.service,), d.overflow) for d in self._latest.decisions if d.overflow]
        yield _gauge(series.OVERFLOW_SHARE, ((s, plan.share_ratio) for s, plan in plans))
        yield _gauge(series.OVERFLOW_COST, ((s, plan.spent_last_hour) for s, plan in plans))
        yield _gauge(series.LEAD_TIME, self._latest.lead_times)

    def _of_the_loop(self) -> Iterator[Metric]:
        latest = self._latest
        modes = Mode if latest.mode else ()
        yield _gauge(series.MODE, [((mode.value,), mode is latest.mode) for mode in modes])
        yield _gauge(series.CATALOGUE_VALID, [((), latest.is_catalogue_valid)])
        yield _gauge(series.EFFECTS_RUNNING, [((), len(latest.running_effects))])
        yield _gauge(series.LAST_TICK, [((), latest.tick_timestamp_seconds)])
        yield _ledger_records(latest.ledger_record_count)


class _WithoutCreated(Collector):
    """The library's counters without its `_created` twins, which double a page and help nobody here.

    Its own switch for that is global to the process.
    """

    def __init__(self, counting: CollectorRegistry) -> None:
        self._counting = counting

    def collect(self) -> Iterator[Metric]:
        """All families of the inner registry."""
        for family in self._counting.collect():
            family.samples = [s for s in family.samples if not s.name.endswith("_created")]
            yield family


def _counter(described: Series, *, registry: CollectorRegistry) -> Counter:
    return Counter(described.name, described.text, described.labels, registry=registry)


def _gauge(described: Series, samples: Samples) -> Metric:
    family = GaugeMetricFamily(described.name, described.text, labels=described.labels)
    for values, number in samples:
        if number is not None and math.isfinite(number):
            family.add_metric(values, float(number))
    return family


def _ledger_records(record_count: int | None) -> Metric:
    """Counted in the ledger itself, which outlives this process."""
    described = series.LEDGER_RECORDS
    family = CounterMetricFamily(described.name, described.text, labels=described.labels)
    if record_count is not None:
        family.add_metric((), record_count)
    return family
