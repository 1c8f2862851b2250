"""Two snapshots in, what happened between them out, in the shape `HistoryStore.append` takes. Pure.

Cumulative counters become increases. What was not read on both sides gives nothing at all: a pair
that is absent leaves a gap in the history, and a gap is not a quiet time.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from collector.engine_output import engine_output_increases
from collector.engine_totals import SOURCE as ENGINES
from collector.model.catalogue import Catalogue, Objective, Service, Sli
from collector.model.histogram import Histogram, good_count, histogram_increase
from collector.model.history import Signal
from collector.model.ids import ServiceName
from collector.model.reading import Fresh, Missing, Number, Reading, Stale
from collector.model.snapshot import Problem, ServiceView, Snapshot, TrafficView

Pair = tuple[Signal, ServiceName]
T = TypeVar("T")

_COUNTERS: Mapping[Signal, str] = {
    Signal.ARRIVED_REQUESTS: "arrived_requests_total",
    Signal.COMPLETED_REQUESTS: "completed_requests_total",
    Signal.FAILED_REQUESTS: "failed_requests_total",
    Signal.ABORTED_REQUESTS: "aborted_requests_total",
    Signal.SHED_REQUESTS: "shed_requests_total",
    Signal.ADMITTED_PROMPT_TOKENS: "admitted_prompt_tokens_total",
    Signal.OUTPUT_TOKENS: "output_tokens_total",
}
"""{signal: field of TrafficView}"""

_EVENTS: Mapping[Sli, tuple[Signal, Signal]] = {
    Sli.TIME_TO_FIRST_TOKEN: (
        Signal.TIME_TO_FIRST_TOKEN_GOOD_EVENTS,
        Signal.TIME_TO_FIRST_TOKEN_JUDGED_EVENTS,
    ),
    Sli.INTER_TOKEN_LATENCY: (
        Signal.INTER_TOKEN_LATENCY_GOOD_EVENTS,
        Signal.INTER_TOKEN_LATENCY_JUDGED_EVENTS,
    ),
    Sli.END_TO_END_LATENCY: (
        Signal.END_TO_END_LATENCY_GOOD_EVENTS,
        Signal.END_TO_END_LATENCY_JUDGED_EVENTS,
    ),
    Sli.AVAILABILITY: (Signal.AVAILABILITY_GOOD_EVENTS, Signal.AVAILABILITY_JUDGED_EVENTS),
}
"""{SLI: (good events, judged events)}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Increments:
    """What happened from start to end; nothing at all where both are equal."""

    start_timestamp_seconds: float
    end_timestamp_seconds: float
    increases: Mapping[Pair, float]
    levels: Mapping[Pair, float]
    problems: tuple[Problem, ...] = ()


MAX_CLOCK_DRIFT_SECONDS = 5.0
"""Between two looks; a clock that is slewed drifts by milliseconds."""


def clock_was_set(*, wall_seconds: float, elapsed_seconds: float) -> bool:
    """Whether the host's clock was set between two looks: it went otherwise than time did.

    What happened in between cannot then be laid on the time line: spread over an hour that never was,
    the arrivals of a few seconds look like none.
    """
    return abs(wall_seconds - elapsed_seconds) > MAX_CLOCK_DRIFT_SECONDS


def increments(previous: Snapshot, current: Snapshot, *, catalogue: Catalogue) -> Increments:
    """Increases and levels between the two, for every declared service.

    The interval is that of the readings, not of the snapshots: after an outage it reaches back to the
    last answer. A clock that went back, or the same answer twice, gives nothing.
    """
    interval = _interval(previous, current)
    if interval is None:
        now = current.taken_timestamp_seconds
        return Increments(
            start_timestamp_seconds=now, end_timestamp_seconds=now, increases={}, levels={}
        )
    comparison = _Comparison(interval)
    for service in catalogue.services:
        before, after = previous.service(service.name), current.service(service.name)
        if before is not None and after is not None:
            comparison.add(service, before=before, after=after)
    seconds = interval.end_timestamp_seconds - interval.counted_from_timestamp_seconds
    for name, tokens in engine_output_increases(previous, current, seconds=seconds).items():
        elsewhere = comparison.overflow_tokens.get(name, 0.0)
        if elsewhere is not None:  # a part would look like less demand
            comparison.increases[Signal.ENGINE_OUTPUT_TOKENS, name] = tokens + elsewhere
    return Increments(
        start_timestamp_seconds=interval.counted_from_timestamp_seconds,
        end_timestamp_seconds=interval.end_timestamp_seconds,
        increases=comparison.increases,
        levels=comparison.levels,
        problems=tuple(comparison.problems),
    )


def is_uncounted(previous: Snapshot, current: Snapshot) -> bool:
    """Whether `current` tells nothing later than `previous`, though it was read: a later one will.

    So it is between two scrapes of a Prometheus; what came since then is to be counted from `previous`.
    """
    told = [each for each in _known(current) if isinstance(each, Fresh)]
    newest = max((each.observed_timestamp_seconds for each in told), default=math.inf)
    before = max((each.observed_timestamp_seconds for each in _known(previous)), default=-math.inf)
    return newest == before


@dataclass(frozen=True, slots=True, kw_only=True)
class _Interval:
    start_timestamp_seconds: float  # of the readings in `previous` that may be compared
    end_timestamp_seconds: float
    counted_from_timestamp_seconds: float  # later than start when the gateway restarted in between
    is_restart: bool | None  # None: the gateway's start is not known; a smaller value then tells
    is_unbroken: bool  # no outage in between, so levels may stand for the whole interval


def _interval(previous: Snapshot, current: Snapshot) -> _Interval | None:
    starts = {reading.observed_timestamp_seconds for reading in _known(previous)}
    ends = {
        reading.observed_timestamp_seconds
        for reading in _known(current)
        if isinstance(reading, Fresh)
    }
    if not starts or not ends:
        return None
    start, end = max(starts), max(ends)
    if not start < end:
        return None
    is_restart, counted_from = _restart(previous, current, start=start, end=end)
    return _Interval(
        start_timestamp_seconds=start,
        end_timestamp_seconds=end,
        counted_from_timestamp_seconds=counted_from,
        is_restart=is_restart,
        is_unbroken=any(isinstance(reading, Fresh) for reading in _known(previous)),
    )


def _restart(
    previous: Snapshot, current: Snapshot, *, start: float, end: float
) -> tuple[bool | None, float]:
    old = previous.gateway_start_timestamp_seconds
    new = current.gateway_start_timestamp_seconds
    if isinstance(old, Missing) or not isinstance(new, Fresh):
        return None, start
    if old.value == new.value:
        return False, start
    # Before its start nobody counted: that part of the interval stays without cover.
    return True, new.value if start < new.value < end else start


def _known(snapshot: Snapshot) -> Iterator[Fresh[float] | Stale[float]]:
    """Every counter reading that has a value."""
    for view in snapshot.services:
        for name in _COUNTERS.values():
            reading: Number = getattr(view.traffic, name)
            if not isinstance(reading, Missing):
                yield reading


@dataclass(slots=True)
class _Comparison:
    """Gathers pairs service by service; lives for one call."""

    interval: _Interval
    increases: dict[Pair, float] = field(default_factory=dict)
    levels: dict[Pair, float] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    overflow_tokens: dict[ServiceName, float | None] = field(default_factory=dict)
    """Output tokens of overflows, by service that has one; None: not known"""

    def add(self, service: Service, *, before: ServiceView, after: ServiceView) -> None:
        for signal, name in _COUNTERS.items():
            increase = self._counter_increase(service, name, before=before, after=after)
            if increase is not None:
                self.increases[signal, service.name] = increase
        if service.overflow is not None:
            completed = self._counter_increase(
                service, "overflow_completed_requests_total", before=before, after=after
            )
            if completed is not None:
                self.increases[Signal.OVERFLOW_COMPLETED_REQUESTS, service.name] = completed
            self.overflow_tokens[service.name] = self._counter_increase(
                service, "overflow_output_tokens_total", before=before, after=after
            )
        pending = self._pending(after.traffic)
        if pending is not None:
            self.levels[Signal.PENDING_REQUESTS, service.name] = pending
        for objective in _one_per_sli(service):
            self._judge(service, objective, before=before, after=after)

    def _counter_increase(
        self, service: Service, name: str, *, before: ServiceView, after: ServiceView
    ) -> float | None:
        old: Number = getattr(before.traffic, name)
        new: Number = getattr(after.traffic, name)
        if isinstance(old, Missing) or not isinstance(new, Fresh) or not self._fits(old, new):
            return None
        if self.interval.is_restart:
            return new.value
        if new.value >= old.value:
            return new.value - old.value
        if self.interval.is_restart is None:
            return new.value
        self._report(service, f"{name} fell from {old.value:g} to {new.value:g} without a restart")
        return None

    def _pending(self, traffic: TrafficView) -> float | None:
        in_flight, held = traffic.in_flight_requests, traffic.held_requests
        if not self.interval.is_unbroken:
            return None
        if not isinstance(in_flight, Fresh) or not isinstance(held, Fresh):
            return None
        return in_flight.value + held.value

    def _judge(
        self, service: Service, objective: Objective, *, before: ServiceView, after: ServiceView
    ) -> None:
        counted = self._counted(service, objective, before=before, after=after)
        if counted is not None:
            good, judged = _EVENTS[objective.sli]
            self.increases[good, service.name] = counted[0]
            self.increases[judged, service.name] = counted[1]

    def _counted(
        self, service: Service, objective: Objective, *, before: ServiceView, after: ServiceView
    ) -> tuple[float, float] | None:
        """(good, judged) events; None when a part of them is not known."""
        refused = self._sum_of(service, Signal.FAILED_REQUESTS, Signal.SHED_REQUESTS)
        if objective.threshold_seconds is None:
            completed = self._sum_of(service, Signal.COMPLETED_REQUESTS)
            if completed is None or refused is None:
                return None
            return completed, completed + refused
        latency = self._latency_increase(objective.sli, before=before, after=after)
        if latency is None:
            return None
        good = good_count(latency, threshold=objective.threshold_seconds)
        if good is None:
            self._report_threshold(service, objective)
            return None
        if objective.sli is not Sli.TIME_TO_FIRST_TOKEN:
            return good, latency.total
        if refused is None and self._is_of_engines(after):
            # Not every engine counts what it refuses; what it does not tell is not judged.
            refused = math.fsum(self._told(service, Signal.FAILED_REQUESTS, Signal.SHED_REQUESTS))
        return None if refused is None else (good, latency.total + refused)

    def _sum_of(self, service: Service, *signals: Signal) -> float | None:
        known = self._told(service, *signals)
        return math.fsum(known) if len(known) == len(signals) else None

    def _told(self, service: Service, *signals: Signal) -> list[float]:
        pairs = [(signal, service.name) for signal in signals]
        return [self.increases[pair] for pair in pairs if pair in self.increases]

    def _is_of_engines(self, view: ServiceView) -> bool:
        reading = view.latency.time_to_first_token
        return not isinstance(reading, Missing) and reading.source == ENGINES

    def _latency_increase(
        self, sli: Sli, *, before: ServiceView, after: ServiceView
    ) -> Histogram | None:
        old: Reading[Histogram] = getattr(before.latency, sli.value)
        new: Reading[Histogram] = getattr(after.latency, sli.value)
        if isinstance(old, Missing) or not isinstance(new, Fresh) or not self._fits(old, new):
            return None
        previous = None if self.interval.is_restart else old.value
        return histogram_increase(new.value, previous=previous)

    def _fits(self, old: Reading[T], new: Fresh[T]) -> bool:
        """Whether both stand for the ends of the interval, and not for some other moments."""
        return (
            not isinstance(old, Missing)
            and old.observed_timestamp_seconds == self.interval.start_timestamp_seconds
            and new.observed_timestamp_seconds == self.interval.end_timestamp_seconds
        )

    def _report_threshold(self, service: Service, objective: Objective) -> None:
        self._report(
            service,
            f"{objective.sli.value} threshold {objective.threshold_seconds:g} s is no bucket edge; "
            "good events cannot be counted",
        )

    def _report(self, service: Service, message: str) -> None:
        self.problems.append(Problem(source=service.name, message=message))


def _one_per_sli(service: Service) -> Iterator[Objective]:
    """The first objective of each SLI; the history has room for one threshold each."""
    seen: set[Sli] = set()
    for objective in service.objectives:
        if objective.sli not in seen:
            seen.add(objective.sli)
            yield objective
