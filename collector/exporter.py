"""The latest `Observation` as `foresail_*` series, made anew for every scrape.

A reading that is stale or missing has no sample: a panel then shows a gap and a rule fires on
absence, where a number would be believed. Names come from `collector.series` only.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Literal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from collector import series
from collector.model.contract import SeriesKind, SleepState
from collector.model.observation import Observation
from collector.model.reading import (
    Fresh,
    Missing,
    MissingReason,
    Number,
    Reading,
    Stale,
    fresh_value,
)
from collector.model.replica import Replica, ReplicaState
from collector.model.snapshot import ReplicaView, Snapshot
from collector.model.units import in_units
from collector.series import Series

Samples = Iterable[tuple[tuple[str, ...], float]]

_REPLICA_NUMBERS: tuple[tuple[Series, str], ...] = (
    (series.REPLICA_RUNNING_REQUESTS, "running_requests"),
    (series.REPLICA_WAITING_REQUESTS, "waiting_requests"),
    (series.REPLICA_MEMORY_BYTES, "memory_bytes"),
)
_ENGINE_NUMBERS: tuple[tuple[Series, str], ...] = (
    (series.REPLICA_KV_USE_RATIO, "kv_use_ratio"),
    (series.REPLICA_KV_CAPACITY_TOKENS, "kv_capacity_tokens"),
    (series.REPLICA_PREEMPTIONS_TOTAL, "preemptions_total"),
    (series.REPLICA_PREFIX_CACHE_QUERIED_TOKENS_TOTAL, "prefix_cache_queried_tokens_total"),
    (series.REPLICA_PREFIX_CACHE_HIT_TOKENS_TOTAL, "prefix_cache_hit_tokens_total"),
    (series.REPLICA_FAILED_REQUESTS_TOTAL, "failed_requests_total"),
)
_READING_KINDS: tuple[Literal["fresh", "stale", "missing"], ...] = ("fresh", "stale", "missing")


class ObservationCollector(Collector):
    """Publishes what `latest` returns; nothing before the first observation."""

    def __init__(self, latest: Callable[[], Observation | None]) -> None:
        self._latest = latest

    def describe(self) -> Iterator[Metric]:
        """The families without samples, so that a registry finds doubles without a scrape."""
        for each in series.SERIES:
            yield _family(each, ())

    def collect(self) -> Iterator[Metric]:
        """All families with the samples of the latest observation."""
        observation = self._latest()
        if observation is None:
            return
        for each, samples in _all_samples(observation):
            yield _family(each, samples)


def _family(each: Series, samples: Samples) -> Metric:
    make = CounterMetricFamily if each.kind is SeriesKind.COUNTER else GaugeMetricFamily
    family = make(each.name, each.text, labels=each.labels)
    for labels, value in samples:
        family.add_metric(labels, value)
    return family


def _all_samples(observation: Observation) -> Iterator[tuple[Series, Samples]]:
    snapshot = observation.snapshot
    readings = list(_readings(snapshot))
    yield series.REPLICAS, _replica_counts(observation)
    yield from _replica_samples(snapshot.replicas)
    yield (
        series.POOL_AVAILABLE_BYTES,
        (
            ((view.pool,), view.available_bytes.value)
            for view in snapshot.pools
            if isinstance(view.available_bytes, Fresh)
        ),
    )
    yield (
        series.POOL_BUDGET_BYTES,
        (((pool.name,), pool.budget_bytes) for pool in observation.catalogue.pools),
    )
    yield series.READINGS, _reading_counts(readings)
    yield series.MISSING_READINGS, _missing_counts(readings)
    yield series.READING_AGE_SECONDS, _ages(readings, now=snapshot.taken_timestamp_seconds)
    yield series.SNAPSHOT_PROBLEMS, _problem_counts(snapshot)
    yield series.SNAPSHOT_TIMESTAMP_SECONDS, [((), snapshot.taken_timestamp_seconds)]
    yield (
        series.OBSERVE_STEP_SECONDS,
        (((step.value,), seconds) for step, seconds in observation.step_seconds.items()),
    )
    yield (
        series.SOURCE_ERRORS_TOTAL,
        (((source,), count) for source, count in observation.source_errors_total.items()),
    )


def _replica_counts(observation: Observation) -> Iterator[tuple[tuple[str, ...], float]]:
    """Every state of every declared variant, 0 included: the directory knows them all. Engines of roles
    count as the units that they make."""
    whole = in_units(observation.snapshot, catalogue=observation.catalogue).snapshot
    counts = Counter(
        (view.replica.service, view.replica.variant, view.replica.state) for view in whole.replicas
    )
    for service in observation.catalogue.services:
        for variant in service.variants:
            for state in ReplicaState:
                counts.setdefault((service.name, variant.name, state), 0)
    for (service_name, variant_name, state), count in counts.items():
        yield (service_name, variant_name, state.value), count


def _replica_samples(views: Sequence[ReplicaView]) -> Iterator[tuple[Series, Samples]]:
    for each, name in _REPLICA_NUMBERS:
        yield each, _numbers(views, read=attrgetter(name))
    for each, name in _ENGINE_NUMBERS:
        yield each, _numbers(views, read=attrgetter(f"engine.{name}"))
    yield series.REPLICA_IS_ASLEEP, _sleeping(views)
    yield series.REPLICA_ENGINE_INFO, _engine_infos(views)


def _numbers(
    views: Iterable[ReplicaView], *, read: Callable[[ReplicaView], Number]
) -> Iterator[tuple[tuple[str, ...], float]]:
    for view in views:
        reading = read(view)
        if isinstance(reading, Fresh):
            yield _replica_labels(view.replica), reading.value


def _sleeping(views: Iterable[ReplicaView]) -> Iterator[tuple[tuple[str, ...], float]]:
    for view in views:
        state = fresh_value(view.engine.sleep_state)
        if state is not None:
            yield _replica_labels(view.replica), float(state is not SleepState.AWAKE)


def _engine_infos(views: Iterable[ReplicaView]) -> Iterator[tuple[tuple[str, ...], float]]:
    for view in views:
        told = (fresh_value(view.engine.version), fresh_value(view.engine.config_hash))
        if any(told):
            yield (*_replica_labels(view.replica), *(each or "" for each in told)), 1.0


def _replica_labels(replica: Replica) -> tuple[str, ...]:
    return replica.service, replica.variant, replica.replica_id


def _readings(snapshot: Snapshot) -> Iterator[Reading[object]]:
    """Every reading of the snapshot, whatever its type."""
    parts: list[object] = [snapshot]
    for service in snapshot.services:
        parts += [service.traffic, service.latency]
    parts += [*snapshot.replicas, *(view.engine for view in snapshot.replicas), *snapshot.pools]
    for part in parts:
        for field in fields(part):  # type: ignore[arg-type]  # all parts are dataclasses
            value = getattr(part, field.name)
            if isinstance(value, Fresh | Stale | Missing):
                yield value


def _reading_counts(
    readings: Iterable[Reading[object]],
) -> Iterator[tuple[tuple[str, ...], float]]:
    counts = Counter(reading.kind for reading in readings)
    for kind in _READING_KINDS:
        yield (kind,), counts[kind]


def _missing_counts(
    readings: Iterable[Reading[object]],
) -> Iterator[tuple[tuple[str, ...], float]]:
    counts = Counter(reading.reason for reading in readings if isinstance(reading, Missing))
    for reason in MissingReason:
        yield (reason.value,), counts[reason]


def _ages(
    readings: Iterable[Reading[object]], *, now: float
) -> Iterator[tuple[tuple[str, ...], float]]:
    oldest: dict[str, float] = {}
    for reading in readings:
        if not isinstance(reading, Missing):
            seen = reading.observed_timestamp_seconds
            oldest[reading.source] = min(seen, oldest.get(reading.source, seen))
    for source, seen in oldest.items():
        yield (source,), max(0.0, now - seen)


def _problem_counts(snapshot: Snapshot) -> Iterator[tuple[tuple[str, ...], float]]:
    """By kind of source: replica ids come and go and would make ever new series."""
    replica_ids: set[str] = {view.replica.replica_id for view in snapshot.replicas}
    counts = Counter(
        "replica" if problem.source in replica_ids else problem.source
        for problem in snapshot.problems
    )
    known = {"gateway", "replica", "host", *(view.service for view in snapshot.services)}
    for source in sorted(known | set(counts)):
        yield (source,), counts[source]
