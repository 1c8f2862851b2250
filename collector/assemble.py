"""Joins what was declared, ordered and read into one `Snapshot`. Pure; after `normalise`, before history.

Every declared service, every declared pool and every replica gets exactly one view, whatever the
sources did. A source that did not answer leaves its last readings behind as `Stale`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from collector.engine_totals import EngineTotals, counted_timestamp_seconds
from collector.engine_view import engine_view, page_version
from collector.model.catalogue import Catalogue, Service
from collector.model.contract import Contract, Contracts, EngineSignal, GatewaySignal
from collector.model.histogram import Histogram
from collector.model.ids import PoolName, ReplicaId, ServiceName
from collector.model.page import PageIdentity, PageReadings
from collector.model.reading import (
    Missing,
    MissingReason,
    Number,
    Reading,
    Stale,
    aged,
    known_value,
)
from collector.model.replica import ANSWERING_STATES, EngineKind, Replica
from collector.model.snapshot import (
    LatencyView,
    PoolView,
    Problem,
    ReplicaView,
    ServiceView,
    Snapshot,
    TrafficView,
)
from collector.normalise.page import ReadPage, read_page
from collector.ports import Exposition
from collector.replica_view import ABSENCE, together, view_without_readings

GATEWAY_KEY = "gateway"

T = TypeVar("T")

_TRAFFIC: Mapping[str, tuple[GatewaySignal, tuple[str, ...]]] = {
    "arrived_requests_total": (GatewaySignal.ARRIVED_REQUESTS_TOTAL, ()),
    "completed_requests_total": (GatewaySignal.FINISHED_REQUESTS_TOTAL, ("completed",)),
    "failed_requests_total": (GatewaySignal.FINISHED_REQUESTS_TOTAL, ("failed",)),
    "aborted_requests_total": (GatewaySignal.FINISHED_REQUESTS_TOTAL, ("aborted",)),
    "shed_requests_total": (GatewaySignal.FINISHED_REQUESTS_TOTAL, ("shed",)),
    "admitted_prompt_tokens_total": (GatewaySignal.ADMITTED_PROMPT_TOKENS_TOTAL, ()),
    "output_tokens_total": (GatewaySignal.OUTPUT_TOKENS_TOTAL, ()),
    "in_flight_requests": (GatewaySignal.IN_FLIGHT_REQUESTS, ()),
    "held_requests": (GatewaySignal.HELD_REQUESTS, ()),
    "oldest_held_seconds": (GatewaySignal.OLDEST_HELD_SECONDS, ()),
    "overflow_completed_requests_total": (GatewaySignal.OVERFLOW_COMPLETED_REQUESTS_TOTAL, ()),
    "overflow_prompt_tokens_total": (GatewaySignal.OVERFLOW_PROMPT_TOKENS_TOTAL, ()),
    "overflow_output_tokens_total": (GatewaySignal.OVERFLOW_OUTPUT_TOKENS_TOTAL, ()),
    "overflow_in_flight_requests": (GatewaySignal.OVERFLOW_IN_FLIGHT_REQUESTS, ()),
}
"""{field of TrafficView: (signal, labels after the service)}"""

_LATENCY: Mapping[str, GatewaySignal] = {
    "time_to_first_token": GatewaySignal.TIME_TO_FIRST_TOKEN,
    "inter_token_latency": GatewaySignal.INTER_TOKEN_LATENCY,
    "end_to_end_latency": GatewaySignal.END_TO_END_LATENCY,
}

_ENGINE: Mapping[str, EngineSignal] = {
    "running_requests": EngineSignal.RUNNING_REQUESTS,
    "waiting_requests": EngineSignal.WAITING_REQUESTS,
    "prompt_tokens_total": EngineSignal.PROMPT_TOKENS_TOTAL,
    "output_tokens_total": EngineSignal.OUTPUT_TOKENS_TOTAL,
}

_PASSING = frozenset({MissingReason.NOT_A_NUMBER, MissingReason.CONTRADICTED})
"""What a source that told a value before is expected to get over: that value stays, as stale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Everything that was read for one snapshot."""

    now_timestamp_seconds: float
    catalogue: Catalogue
    replicas: tuple[Replica, ...]
    expositions: Mapping[str, Exposition]  # {replica id or "gateway": answer}
    replica_memory_bytes: Mapping[ReplicaId, Number]
    pool_available_bytes: Mapping[PoolName, Number]
    engine_versions: Mapping[ReplicaId, Reading[str]] = field(default_factory=dict)
    unread_pages: Mapping[ReplicaId, str] = field(default_factory=dict)
    """Why a page was left alone on purpose, a line each"""


def assemble(
    observed: Observed,
    *,
    contracts: Contracts,
    previous: Snapshot | None,
    read_page: ReadPage = read_page,
) -> Snapshot:
    """The world as far as it is known now. Raises nothing; what did not fit is in `problems`.

    `read_page` may be a `PageReader`, which gives the same readings in less time.
    """
    builder = _Builder(observed, contracts, previous, read_page)
    replicas = tuple(builder.replica_view(each) for each in builder.distinct_replicas())
    services = builder.service_views(replicas)
    pools = tuple(builder.pool_view(each.name) for each in observed.catalogue.pools)
    return Snapshot(
        taken_timestamp_seconds=observed.now_timestamp_seconds,
        services=services,
        replicas=replicas,
        pools=pools,
        problems=tuple(dict.fromkeys(builder.problems)),
        gateway_start_timestamp_seconds=builder.gateway_start(),
    )


class _Builder:
    """One snapshot in the making; lives for one call."""

    def __init__(
        self,
        observed: Observed,
        contracts: Contracts,
        previous: Snapshot | None,
        read_page: ReadPage,
    ) -> None:
        self.problems: list[Problem] = []
        self._read_page = read_page
        self._observed = observed
        self._contracts = contracts
        self._previous = previous
        self._stale_after_seconds = observed.catalogue.control.stale_after_seconds
        self._old_replicas = {view.replica.replica_id: view for view in _replicas(previous)}
        self._old_services = {view.service: view for view in _services(previous)}
        self._contradicted_ids: set[ReplicaId] = set()
        identity = PageIdentity(key=GATEWAY_KEY, source=GATEWAY_KEY)
        self._gateway = self._page(identity, contracts.gateway)

    def service_views(self, replicas: Sequence[ReplicaView]) -> tuple[ServiceView, ...]:
        """Every declared service as the gateway saw it, or its engines where there is no gateway."""
        services = self._observed.catalogue.services
        if GATEWAY_KEY in self._observed.expositions:
            return tuple(self._as_gateway_told(each.name) for each in services)
        counted_at = counted_timestamp_seconds(
            [page.observed_timestamp_seconds for page in self._fresh_pages()],
            last=_services(self._previous),
            limit_seconds=self._stale_after_seconds,
        )
        now, before = _by_service(replicas), _by_service(self._old_replicas.values())
        return tuple(
            self._as_engines_told(
                each,
                now=now.get(each.name, ()),
                before=before.get(each.name, ()),
                counted_at=counted_at,
            )
            for each in services
        )

    def _fresh_pages(self) -> Iterator[Exposition]:
        """The pages of this round that are young enough to decide on."""
        oldest = self._observed.now_timestamp_seconds - self._stale_after_seconds
        for page in self._observed.expositions.values():
            if page.text is not None and page.observed_timestamp_seconds >= oldest:
                yield page

    def _as_engines_told(
        self,
        service: Service,
        *,
        now: Sequence[ReplicaView],
        before: Sequence[ReplicaView],
        counted_at: float,
    ) -> ServiceView:
        totals = EngineTotals(
            service=service.name,
            counted_timestamp_seconds=counted_at,
            replicas=now,
            before={view.replica.replica_id: view for view in before},
            last=self._old_services.get(service.name),
            hand_overs=service.hand_overs,
        )
        view = totals.view()
        self.problems.extend(totals.problems)
        return view

    def _as_gateway_told(self, name: ServiceName) -> ServiceView:
        old = self._old_services.get(name)
        traffic: dict[str, Number] = {}
        for key, (signal, labels) in _TRAFFIC.items():
            now = self._gateway.number(signal, name, *labels) if self._gateway else None
            before: Number | None = getattr(old.traffic, key) if old else None
            traffic[key] = self._settled(now, before=before, source=GATEWAY_KEY)
        latency: dict[str, Reading[Histogram]] = {}
        for key, signal in _LATENCY.items():
            told = self._gateway.histogram(signal, name) if self._gateway else None
            then: Reading[Histogram] | None = getattr(old.latency, key) if old else None
            latency[key] = self._settled(told, before=then, source=GATEWAY_KEY)
        return ServiceView(
            service=name, traffic=TrafficView(**traffic), latency=LatencyView(**latency)
        )

    def gateway_start(self) -> Number:
        """Since when the gateway counts."""
        signal = GatewaySignal.START_TIMESTAMP_SECONDS
        now = self._gateway.number(signal) if self._gateway else None
        before = self._previous.gateway_start_timestamp_seconds if self._previous else None
        return self._settled(now, before=before, source=GATEWAY_KEY)

    def distinct_replicas(self) -> Iterable[Replica]:
        """Each replica once; an id that stands for two different replicas is reported."""
        first: dict[ReplicaId, Replica] = {}
        for replica in self._observed.replicas:
            known = first.setdefault(replica.replica_id, replica)
            if known != replica:
                self._contradicted_ids.add(replica.replica_id)
                self._report(replica.replica_id, "the directory tells two different replicas of it")
        return first.values()

    def replica_view(self, replica: Replica) -> ReplicaView:
        """One replica: its engine, the gateway's count for it, its memory."""
        if replica.replica_id in self._contradicted_ids:
            return view_without_readings(replica, MissingReason.CONTRADICTED, source="replica")
        old = self._old_replicas.get(replica.replica_id)
        view = self._engine_readings(replica, old=old)
        return replace(
            view,
            in_flight_requests=self._in_flight(view, old=old),
            memory_bytes=self._memory(replica, old=old),
        )

    def pool_view(self, name: PoolName) -> PoolView:
        """One pool; its last reading stays as stale when the host could not be asked."""
        old = next((view for view in _pools(self._previous) if view.pool == name), None)
        now = self._observed.pool_available_bytes.get(name)
        before = old.available_bytes if old else None
        return PoolView(pool=name, available_bytes=self._probed(now, before=before, source="host"))

    def _engine_readings(self, replica: Replica, *, old: ReplicaView | None) -> ReplicaView:
        """What the engine tells; the rest of the view is still missing."""
        if replica.state not in ANSWERING_STATES:
            return view_without_readings(replica, ABSENCE[replica.state], source="replica")
        kind = self._engine_kind(replica)
        contract = self._contracts.engines.get(kind) if kind else None
        if kind is None or contract is None:
            self._report(replica.replica_id, f"variant {replica.variant} is not declared")
            return view_without_readings(replica, MissingReason.CANNOT_SEE, source="replica")
        source = f"engine:{kind.value}"
        if replica.replica_id in self._observed.unread_pages:
            return self._view_of_unread(replica, old=old, source=source)
        if replica.replica_id not in self._observed.expositions:
            return view_without_readings(replica, MissingReason.NOT_READ_YET, source=source)
        page = self._engine_page(replica, contract, source=source)
        readings: dict[str, Number] = {}
        for name, signal in _ENGINE.items():
            before: Number | None = getattr(old, name) if old else None
            now = page.number(signal) if page else None
            readings[name] = self._settled(now, before=before, source=source)
        engine = engine_view(
            page,
            version=self._version(replica),
            before=old.engine if old else None,
            source=source,
            settle=self._settled,
        )
        missing = Missing(reason=MissingReason.NOT_READ_YET, source=source)
        return ReplicaView(
            replica=replica,
            in_flight_requests=missing,
            memory_bytes=missing,
            engine=engine,
            **readings,
        )

    def _view_of_unread(
        self, replica: Replica, *, old: ReplicaView | None, source: str
    ) -> ReplicaView:
        """Nothing but the version: reading the page would change the engine."""
        self._report(replica.replica_id, self._observed.unread_pages[replica.replica_id])
        view = view_without_readings(replica, MissingReason.CANNOT_SEE, source=source)
        told = self._settled(
            self._version(replica), before=old.engine.version if old else None, source=source
        )
        return replace(view, engine=replace(view.engine, version=told))

    def _engine_page(
        self, replica: Replica, contract: Contract, *, source: str
    ) -> PageReadings | None:
        key = replica.replica_id
        version = page_version(
            known_value(self._version(replica)),
            contract=contract,
            report=lambda message: self._report(key, message),
        )
        return self._page(PageIdentity(key=key, source=source, engine_version=version), contract)

    def _version(self, replica: Replica) -> Reading[str]:
        nobody = Missing(reason=MissingReason.CANNOT_SEE, source="engine")
        return self._observed.engine_versions.get(replica.replica_id, nobody)

    def _engine_kind(self, replica: Replica) -> EngineKind | None:
        variant = self._observed.catalogue.variant(replica.service, replica.variant)
        return variant.engine if variant else None

    def _in_flight(self, view: ReplicaView, *, old: ReplicaView | None) -> Number:
        """The gateway's count; what the engine has where there is no gateway, or it counts units only."""
        replica = view.replica
        if GATEWAY_KEY not in self._observed.expositions or replica.role is not None:
            return together(view.running_requests, view.waiting_requests)
        signal = GatewaySignal.REPLICA_IN_FLIGHT_REQUESTS
        now = self._gateway.number(signal, replica.replica_id) if self._gateway else None
        if isinstance(now, Missing) and replica.state not in ANSWERING_STATES:
            return Missing(reason=ABSENCE[replica.state], source=GATEWAY_KEY)
        before = old.in_flight_requests if old else None
        return self._settled(now, before=before, source=GATEWAY_KEY)

    def _memory(self, replica: Replica, *, old: ReplicaView | None) -> Number:
        now = self._observed.replica_memory_bytes.get(replica.replica_id)
        if now is None and replica.state not in ANSWERING_STATES:
            return Missing(reason=ABSENCE[replica.state], source="host")
        before = old.memory_bytes if old else None
        return self._probed(now, before=before, source="host")

    def _page(self, identity: PageIdentity, contract: Contract) -> PageReadings | None:
        """The page's readings; None when the target was not asked or gave no usable answer."""
        exposition = self._observed.expositions.get(identity.key)
        if exposition is None:
            return None
        if exposition.text is None:
            self._report(identity.key, exposition.error or "no answer")
            return None
        for problem in exposition.problems:
            self._report(identity.key, problem)
        page = self._read_page(
            exposition.text,
            contract=contract,
            identity=identity,
            observed_timestamp_seconds=exposition.observed_timestamp_seconds,
        )
        self.problems.extend(page.problems)
        return page

    def _probed(self, now: Number | None, *, before: Number | None, source: str) -> Number:
        """Like `_settled`; a probe says itself when it got no answer."""
        if isinstance(now, Missing) and now.reason is MissingReason.SOURCE_UNREACHABLE:
            return self._settled(None, before=before, source=now.source)
        if now is None and (before is None or isinstance(before, Missing)):
            return Missing(reason=MissingReason.NOT_READ_YET, source=source)
        return self._settled(now, before=before, source=source)

    def _settled(
        self, now: Reading[T] | None, *, before: Reading[T] | None, source: str
    ) -> Reading[T]:
        """What was told now, else what was told before as `Stale`, else why there is nothing."""
        is_lost = isinstance(now, Missing) and now.reason in _PASSING
        if now is not None and (not is_lost or before is None or isinstance(before, Missing)):
            return aged(
                now,
                now_timestamp_seconds=self._observed.now_timestamp_seconds,
                limit_seconds=self._stale_after_seconds,
            )
        if before is None or isinstance(before, Missing):
            return Missing(reason=self._silence(source), source=source)
        return Stale(
            value=before.value,
            observed_timestamp_seconds=before.observed_timestamp_seconds,
            source=before.source,
        )

    def _silence(self, source: str) -> MissingReason:
        was_asked = source != GATEWAY_KEY or GATEWAY_KEY in self._observed.expositions
        return MissingReason.SOURCE_UNREACHABLE if was_asked else MissingReason.NOT_READ_YET

    def _report(self, source: str, message: str) -> None:
        self.problems.append(Problem(source=source, message=message))


def _replicas(snapshot: Snapshot | None) -> tuple[ReplicaView, ...]:
    return snapshot.replicas if snapshot else ()


def _pools(snapshot: Snapshot | None) -> tuple[PoolView, ...]:
    return snapshot.pools if snapshot else ()


def _services(snapshot: Snapshot | None) -> tuple[ServiceView, ...]:
    return snapshot.services if snapshot else ()


def _by_service(views: Iterable[ReplicaView]) -> dict[ServiceName, list[ReplicaView]]:
    found: dict[ServiceName, list[ReplicaView]] = {}
    for view in views:
        found.setdefault(view.replica.service, []).append(view)
    return found
