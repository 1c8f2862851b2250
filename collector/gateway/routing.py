"""The routing table: which models exist, who serves them, and how long to wait for them. Pure.

The controller makes it with `routing_table`, the gateway obeys it. Epoch and version fence it: a
controller that lost its leadership has a lower epoch and is refused.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import TypeAdapter, ValidationError

from collector.errors import GatewayError
from collector.model.catalogue import (
    ActionKind,
    Catalogue,
    Overflow,
    Service,
    Sli,
    UrlTarget,
    Variant,
)
from collector.model.ids import ReplicaId, ServiceName, TierName
from collector.model.overflow import OverflowGrant
from collector.model.replica import Replica, ReplicaState


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaRoute:
    """One replica that may get requests."""

    replica_id: ReplicaId
    base_url: str  # http://host:port; the request's own path is appended
    upstream_model: str | None  # the model's name at the engine; None: as the client said
    keep_alive: bool  # False: a connection per request
    api_key_file: str | None = None  # of an overflow: where the key for this very address is


@dataclass(frozen=True, slots=True, kw_only=True)
class OverflowRoute:
    """The overflow of one service, and the grant under which it may be used."""

    grant: OverflowGrant
    target: Overflow

    @property
    def replica(self) -> ReplicaRoute:
        """It as one more that may get requests."""
        return ReplicaRoute(
            replica_id=overflow_id(self.grant.service),
            base_url=self.target.base_url,
            upstream_model=self.target.model,
            keep_alive=True,
            api_key_file=self.target.api_key_file,
        )


def overflow_id(service: ServiceName) -> ReplicaId:
    """The name under which requests at the overflow are counted; no replica has it."""
    return ReplicaId(f"{service}/overflow")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRoute:
    """One service, whether anybody serves it now or not."""

    service: ServiceName
    models: tuple[str, ...]  # names clients may use
    tier: TierName
    hold_timeout_seconds: float  # from receipt of a request; 0: never hold
    max_held_requests: int  # further ones are shed; 0: never hold
    max_in_flight_per_replica: int | None  # None: no limit
    thresholds_seconds: Mapping[Sli, tuple[float, ...]]  # objectives' thresholds, rising
    replicas: tuple[ReplicaRoute, ...]
    overflow: OverflowRoute | None = None  # None: closed, or there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingTable:
    """All that the gateway needs to serve without the controller."""

    epoch: int  # rises with every change of leadership
    version: int  # rises with every table of one epoch
    services: tuple[ServiceRoute, ...]

    def supersedes(self, other: "RoutingTable | None") -> bool:
        """Whether this one is newer; every table is newer than none."""
        return other is None or (self.epoch, self.version) > (other.epoch, other.version)

    def without_overflows(self) -> "RoutingTable":
        """The same with every overflow closed: a grant is for the gateway that was told of it."""
        closed = tuple(replace(each, overflow=None) for each in self.services)
        return replace(self, services=closed)


_CODEC: TypeAdapter[RoutingTable] = TypeAdapter(RoutingTable)


def encode_table(table: RoutingTable) -> bytes:
    """The table as JSON."""
    return _CODEC.dump_json(table)


def decode_table(raw: bytes) -> RoutingTable:
    """The table in `raw`. Raises GatewayError naming the first key that is wrong."""
    try:
        return _CODEC.validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"]) or "body"
        raise GatewayError(f"routing table: {key}: {first['msg']}") from error


def routing_table(
    catalogue: Catalogue,
    replicas: Sequence[Replica],
    *,
    epoch: int,
    version: int,
    overflows: Sequence[OverflowGrant] = (),
) -> RoutingTable:
    """Every service of the catalogue with its serving replicas; sleeping ones have none.

    Replicas of services that are not declared, and those without an address, are left out. So are
    grants that the authority in force does not allow: it may have changed since they were given.
    """
    may_act = catalogue.authority.may_act(ActionKind.OVERFLOW)
    grants = {each.service: each for each in overflows if may_act}
    services = tuple(
        _service_route(service, replicas, grant=grants.get(service.name))
        for service in catalogue.services
    )
    return RoutingTable(epoch=epoch, version=version, services=services)


def _service_route(
    service: Service, replicas: Sequence[Replica], *, grant: OverflowGrant | None
) -> ServiceRoute:
    return ServiceRoute(
        service=service.name,
        models=service.models,
        tier=service.tier,
        hold_timeout_seconds=service.hold_timeout_seconds,
        max_held_requests=service.max_held_requests,
        max_in_flight_per_replica=service.max_in_flight_per_replica,
        thresholds_seconds=_thresholds_seconds(service),
        replicas=tuple(_replica_routes(service, replicas)),
        overflow=OverflowRoute(grant=grant, target=service.overflow)
        if grant and service.overflow
        else None,
    )


def _thresholds_seconds(service: Service) -> dict[Sli, tuple[float, ...]]:
    found: dict[Sli, set[float]] = {}
    for objective in service.objectives:
        if objective.threshold_seconds is not None:
            found.setdefault(objective.sli, set()).add(objective.threshold_seconds)
    return {sli: tuple(sorted(values)) for sli, values in found.items()}


def _replica_routes(service: Service, replicas: Sequence[Replica]) -> Iterator[ReplicaRoute]:
    for variant in service.variants:
        if isinstance(variant.target, UrlTarget):
            for number, url in enumerate(variant.target.urls):
                name = ReplicaId(f"{service.name}/{variant.name}/{number}")
                yield _replica_route(name, url, variant)
            continue
        for replica in replicas:
            if (replica.service, replica.variant) != (service.name, variant.name):
                continue
            if replica.state is ReplicaState.SERVING and replica.base_url is not None:
                yield _replica_route(replica.replica_id, replica.base_url, variant)
    yield from _undeclared_routes(service, replicas)


def _undeclared_routes(service: Service, replicas: Sequence[Replica]) -> Iterator[ReplicaRoute]:
    """Replicas of a variant that was renamed or removed serve on until they are drained."""
    declared = {variant.name for variant in service.variants}
    for replica in replicas:
        is_ours = replica.service == service.name and replica.variant not in declared
        if is_ours and replica.state is ReplicaState.SERVING and replica.base_url is not None:
            yield ReplicaRoute(
                replica_id=replica.replica_id,
                base_url=replica.base_url.rstrip("/"),
                upstream_model=None,
                keep_alive=False,  # how its engine likes it is not known any more; this always works
            )


def _replica_route(replica_id: ReplicaId, url: str, variant: Variant) -> ReplicaRoute:
    return ReplicaRoute(
        replica_id=replica_id,
        base_url=url.rstrip("/"),
        upstream_model=variant.upstream_model,
        keep_alive=variant.keep_alive,
    )


def choose_replica(
    candidates: Sequence[ReplicaRoute],
    *,
    in_flight: Mapping[ReplicaId, int],
    last_chosen: Mapping[ReplicaId, int],
    limit: int | None,
) -> ReplicaRoute | None:
    """The one with the fewest requests in flight, of equals the one chosen longest ago.

    None when there is none, or all have `limit` requests. Absent keys of the mappings count as 0.
    """
    best: ReplicaRoute | None = None
    best_rank = (0, 0)
    for replica in candidates:
        load = in_flight.get(replica.replica_id, 0)
        if limit is not None and load >= limit:
            continue
        rank = (load, last_chosen.get(replica.replica_id, 0))
        if best is None or rank < best_rank:
            best, best_rank = replica, rank
    return best
