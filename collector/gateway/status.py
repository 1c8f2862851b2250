"""What the gateway says about itself to the controller. Pure."""

from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from collector.errors import GatewayError
from collector.gateway.books import Books
from collector.gateway.routing import RoutingTable
from collector.model.ids import ReplicaId, ServiceName


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """One service that is, or was, in the routing table."""

    service: ServiceName
    held_requests: int
    oldest_held_seconds: float  # 0 when none is held
    in_flight_requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaStatus:
    """One replica that is in the routing table or still has requests."""

    replica_id: ReplicaId
    service: ServiceName
    in_flight_requests: int
    is_routed: bool  # False: drains


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayStatus:
    """The whole gateway at one moment."""

    start_timestamp_seconds: float
    routes_epoch: int | None  # None: no routing table yet
    routes_version: int | None
    is_stopping: bool
    services: tuple[ServiceStatus, ...]
    replicas: tuple[ReplicaStatus, ...]

    def in_flight_requests(self, replica_id: ReplicaId) -> int:
        """Requests at one replica; 0 for one the gateway knows nothing of."""
        found = (r for r in self.replicas if r.replica_id == replica_id)
        return sum(replica.in_flight_requests for replica in found)


_CODEC: TypeAdapter[GatewayStatus] = TypeAdapter(GatewayStatus)


def encode_status(status: GatewayStatus) -> bytes:
    """The status as JSON."""
    return _CODEC.dump_json(status)


def decode_status(raw: bytes) -> GatewayStatus:
    """The status in `raw`. Raises GatewayError."""
    try:
        return _CODEC.validate_json(raw)
    except ValidationError as error:
        raise GatewayError(
            "the gateway's status cannot be read; is it of another version?"
        ) from error


def gateway_status(
    books: Books,
    *,
    table: RoutingTable | None,
    is_stopping: bool,
    start_timestamp_seconds: float,
    now_monotonic_seconds: float,
) -> GatewayStatus:
    """The status from what is counted."""
    services = tuple(
        ServiceStatus(
            service=book.service,
            held_requests=len(book.held),
            oldest_held_seconds=book.oldest_held_seconds(now_monotonic_seconds),
            in_flight_requests=book.in_flight_requests,
        )
        for book in books.services.values()
    )
    return GatewayStatus(
        start_timestamp_seconds=start_timestamp_seconds,
        routes_epoch=None if table is None else table.epoch,
        routes_version=None if table is None else table.version,
        is_stopping=is_stopping,
        services=services,
        replicas=_replicas(books, table),
    )


def _replicas(books: Books, table: RoutingTable | None) -> tuple[ReplicaStatus, ...]:
    routed = {
        replica.replica_id: route.service
        for route in (table.services if table else ())
        for replica in route.replicas
    }
    busy = {
        (replica, book.service): count
        for book in books.services.values()
        for replica, count in book.in_flight.items()
    }
    return tuple(
        ReplicaStatus(
            replica_id=replica,
            service=service,
            in_flight_requests=busy.get((replica, service), 0),
            is_routed=routed.get(replica) == service,
        )
        for replica, service in dict.fromkeys([*routed.items(), *busy])
    )
