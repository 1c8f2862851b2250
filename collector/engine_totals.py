"""One service as its engines see it, for installations without a gateway. Pure; a part of `assemble`.

In: the replicas of the service now and before, and the service's last view. Out: its traffic and
latencies as totals since Foresail looks. An engine's own totals begin anew with each start and go
with the replica; these only grow. Arrivals are what ended and what is in flight, so that demand is
never the completions alone. Without a replica that answers nothing is claimed.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from collector.engine_outcomes import TOTALS
from collector.model.histogram import Histogram, histogram_increase, merged
from collector.model.ids import ReplicaId, ServiceName
from collector.model.reading import (
    Fresh,
    Missing,
    MissingReason,
    Number,
    Reading,
    Stale,
    fresh_value,
    known_value,
)
from collector.model.replica import ANSWERING_STATES, ReplicaState
from collector.model.snapshot import (
    LatencyView,
    Problem,
    ReplicaView,
    ServiceView,
    TrafficView,
)
from collector.role_counts import HandOvers, tells

SOURCE: Final = "engines"

T = TypeVar("T")
Told = Callable[[ReplicaView], Number]

_NOTHING: Final = Histogram(upper_bounds=(), counts=(0.0,), sum=0.0)
_OUTCOMES: Final = ("failed_requests_total", "aborted_requests_total", "shed_requests_total")
_ENDED: Final = ("completed_requests_total", *_OUTCOMES)
_STRUCTURAL: Final = frozenset({MissingReason.CANNOT_SEE, MissingReason.SERIES_ABSENT})
"""Reasons that no later answer of the same engine takes away."""


@dataclass(slots=True, kw_only=True)
class EngineTotals:
    """Makes the view of one service; lives for one call."""

    service: ServiceName
    counted_timestamp_seconds: float  # of all sums, see `counted_timestamp_seconds`
    replicas: Sequence[ReplicaView]
    before: Mapping[ReplicaId, ReplicaView]  # of this service
    last: ServiceView | None
    hand_overs: HandOvers = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def view(self) -> ServiceView:
        """Traffic and latency; `problems` says afterwards what did not fit together."""
        latency = LatencyView(
            time_to_first_token=self._latency(
                "time_to_first_token", told=lambda view: view.engine.time_to_first_token
            ),
            inter_token_latency=self._latency(
                "inter_token_latency", told=lambda view: view.engine.inter_token_latency
            ),
            end_to_end_latency=self._latency(
                "end_to_end_latency", told=lambda view: view.engine.end_to_end_latency
            ),
        )
        return ServiceView(service=self.service, traffic=self._traffic(), latency=latency)

    # Traffic

    def _traffic(self) -> TrafficView:
        totals = {name: self._total(name, told=told) for name, told in TOTALS.items()}
        in_flight = self._in_flight()
        nobody = self._settled(0.0, parts=[in_flight], last=self._last("held_requests"))
        return TrafficView(
            arrived_requests_total=self._arrived(totals, in_flight=in_flight),
            completed_requests_total=totals["completed_requests_total"],
            failed_requests_total=totals["failed_requests_total"],
            aborted_requests_total=totals["aborted_requests_total"],
            shed_requests_total=totals["shed_requests_total"],
            admitted_prompt_tokens_total=self._admitted(totals),
            output_tokens_total=totals["output_tokens_total"],
            in_flight_requests=in_flight,
            held_requests=nobody,  # where no gateway is, nobody holds
            oldest_held_seconds=nobody,
        )

    def _total(self, name: str, *, told: Told) -> Number:
        last = self._last(name)
        increase = math.fsum([*self._increases(name, told=told), *self._lost(name)])
        return self._settled(
            (last.value if last else 0.0) + increase,
            parts=[told(view) for view in self._answering(name)],
            last=last,
        )

    def _increases(self, name: str, *, told: Told) -> Iterator[float]:
        """What each replica counted since it was read last; its first reading is where it begins."""
        for view in self._answering(name):
            old = self.before.get(view.replica.replica_id)
            now, then = fresh_value(told(view)), known_value(told(old)) if old else None
            if now is not None and then is not None:
                yield now - then if now >= then else now

    def _lost(self, name: str) -> Iterator[float]:
        """Requests that were in flight on a replica which went or started anew.

        One that was draining was let finish what it had; on another one they failed.
        """
        now = {view.replica.replica_id: view for view in self._answering(name)}
        for key, old in self.before.items():
            was_drained = old.replica.state is ReplicaState.DRAINING
            if name != ("completed_requests_total" if was_drained else "failed_requests_total"):
                continue
            if not tells(old, name, hand_overs=self.hand_overs):
                continue
            if old.replica.state in ANSWERING_STATES and _began_anew(old, now.get(key)):
                yield known_value(old.in_flight_requests) or 0.0

    def _in_flight(self) -> Number:
        parts = [view.in_flight_requests for view in self._answering("in_flight_requests")]
        known = [value for part in parts if (value := fresh_value(part)) is not None]
        last = self._last("in_flight_requests")
        is_part = len(known) < len(parts) or not parts
        value = last.value if last and is_part else math.fsum(known)
        return self._settled(value, parts=parts, last=last)

    def _arrived(self, totals: Mapping[str, Number], *, in_flight: Number) -> Number:
        """What ended and what is in flight; it never falls, for a request does not un-arrive."""
        outcomes = [totals[name] for name in _OUTCOMES if not _is_never_told(totals[name])]
        parts = [totals["completed_requests_total"], *outcomes, in_flight]
        known = _known_sum(parts)
        last = self._last("arrived_requests_total")
        return self._settled(max(known, last.value if last else 0.0), parts=parts, last=last)

    def _admitted(self, totals: Mapping[str, Number]) -> Number:
        """Prompt tokens computed, and those of queued requests at the mean length; never falls.

        Missing where completions are, for then nobody knows the mean length.
        """
        computed, ended = totals["admitted_prompt_tokens_total"], totals["completed_requests_total"]
        queues = self._answering("admitted_prompt_tokens_total")
        waiting = [view.waiting_requests for view in queues]
        mean = self._mean_prompt_tokens()
        queued = _known_sum(waiting) * mean
        last = self._last("admitted_prompt_tokens_total")
        value = max((known_value(computed) or 0.0) + queued, last.value if last else 0.0)
        return self._settled(value, parts=[computed, ended, *waiting], last=last)

    def _mean_prompt_tokens(self) -> float:
        """Of all requests the engines have begun since they started; 0 before the first one."""
        tokens, requests = 0.0, 0.0
        for view in self._answering("admitted_prompt_tokens_total"):
            begun = [TOTALS[name](view) for name in _ENDED] + [view.running_requests]
            tokens += _known_sum([view.prompt_tokens_total])
            requests += _known_sum(begun)
        return tokens / requests if requests else 0.0

    # Latency

    def _latency(
        self, name: str, *, told: Callable[[ReplicaView], Reading[Histogram]]
    ) -> Reading[Histogram]:
        parts = [told(view) for view in self._answering(name)]
        reading: Reading[Histogram] | None = getattr(self.last.latency, name) if self.last else None
        last = _ours(reading)
        increases = list(self._histogram_increases(name, told=told))
        if not increases:
            nothing = last.value if last else _NOTHING
            return self._settled(nothing, parts=parts, last=last)
        increase = merged(increases)
        self._report_edges(name, increases=increases, common=increase)
        return self._settled(_grown(increase, last=last), parts=parts, last=last)

    def _histogram_increases(
        self, name: str, *, told: Callable[[ReplicaView], Reading[Histogram]]
    ) -> Iterator[Histogram]:
        for view in self._answering(name):
            now = fresh_value(told(view))
            old = self.before.get(view.replica.replica_id)
            if now is not None:
                # The first reading is where a replica begins: it gives the edges and no count.
                then = known_value(told(old)) if old else None
                yield histogram_increase(now, previous=then or now)

    def _report_edges(
        self, name: str, *, increases: Sequence[Histogram], common: Histogram
    ) -> None:
        if all(each.upper_bounds == common.upper_bounds for each in increases):
            return
        count = len(common.upper_bounds)
        message = (
            f"its engines disagree in the bucket edges of {name}; counted on the {count} they have in "
            "common"
        )
        self.problems.append(Problem(source=self.service, message=message))

    # Both

    def _answering(self, name: str) -> tuple[ReplicaView, ...]:
        """The replicas that can be asked, and tell what goes by this name."""
        return tuple(
            view
            for view in self.replicas
            if view.replica.state in ANSWERING_STATES
            and tells(view, name, hand_overs=self.hand_overs)
        )

    def _last(self, name: str) -> Fresh[float] | Stale[float] | None:
        """The service's last total, if engines told it; a gateway's is of another count."""
        reading: Number | None = getattr(self.last.traffic, name) if self.last else None
        return _ours(reading)

    def _settled(
        self,
        value: T,
        *,
        parts: Sequence[Reading[T]],
        last: Fresh[T] | Stale[T] | None,
    ) -> Reading[T]:
        """`value`, as good as its parts; missing where one of them can never be told."""
        missing = [part for part in parts if isinstance(part, Missing)]
        never = [part for part in missing if _is_never_told(part)]
        if never:
            return Missing(reason=never[0].reason, source=SOURCE)
        if parts and all(isinstance(part, Fresh) for part in parts):
            at = self.counted_timestamp_seconds
            return Fresh(value=value, observed_timestamp_seconds=at, source=SOURCE)
        if last is None:
            reason = missing[0].reason if missing else MissingReason.NOT_READ_YET
            return Missing(reason=reason, source=SOURCE)
        age = last.observed_timestamp_seconds
        return Stale(value=value, observed_timestamp_seconds=age, source=SOURCE)


def counted_timestamp_seconds(
    page_timestamps_seconds: Sequence[float],
    *,
    last: Iterable[ServiceView],
    limit_seconds: float,
) -> float:
    """The moment that the totals of a round stand for: when its newest page was made.

    While some page is no newer than the last round's moment, as between two scrapes of a Prometheus,
    that moment stays: what such a page tells is no lack of demand, it is not known yet. Pages that
    are all older by more than `limit_seconds` say that the clock was set back. -inf: nothing is known.
    """
    before = max((at for view in last for at in _told_at(view.traffic)), default=-math.inf)
    newest = max(page_timestamps_seconds, default=before)
    is_whole = all(at > before for at in page_timestamps_seconds)
    return newest if is_whole or newest < before - limit_seconds else before


def _told_at(traffic: TrafficView) -> Iterator[float]:
    for name in TOTALS:
        reading = _ours(getattr(traffic, name))
        if reading is not None:
            yield reading.observed_timestamp_seconds


def _ours(reading: Reading[T] | None) -> Fresh[T] | Stale[T] | None:
    if reading is None or isinstance(reading, Missing) or reading.source != SOURCE:
        return None
    return reading


def _known_sum(parts: Iterable[Number]) -> float:
    """Of the parts that are known; who uses it says elsewhere how good the parts are."""
    known = [known_value(part) for part in parts]
    return math.fsum(value for value in known if value is not None)


def _is_never_told(reading: Reading[T]) -> bool:
    return isinstance(reading, Missing) and reading.reason in _STRUCTURAL


def _began_anew(old: ReplicaView, now: ReplicaView | None) -> bool:
    """Whether what was in flight then cannot be there any more."""
    if now is None:
        return True
    counts = [
        (known_value(told(old)), fresh_value(told(now)))
        for told in (TOTALS["completed_requests_total"], TOTALS["output_tokens_total"])
    ]
    return any(then is not None and now is not None and now < then for then, now in counts)


def _grown(increase: Histogram, *, last: Fresh[Histogram] | Stale[Histogram] | None) -> Histogram:
    """The total with the increase; a total that lacks some of its edges begins anew."""
    if last is None or not set(increase.upper_bounds) <= set(last.value.upper_bounds):
        return increase
    return merged([last.value, increase])
