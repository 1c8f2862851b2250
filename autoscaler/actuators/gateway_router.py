"""The gateway as the executor's `Router`: writes routing tables, reads what is in flight.

In: replicas, the catalogue in force, the fence's epoch. Out: tables whose version rises with every
write of this controller, so that the gateway refuses whatever comes late. Must not decide who
serves.
"""

from collections.abc import Callable, Sequence

from collector.errors import GatewayError
from collector.gateway.client import GatewayClient
from collector.gateway.routing import RoutingTable, routing_table
from collector.gateway.status import GatewayStatus
from collector.model.catalogue import Catalogue
from collector.model.ids import ReplicaId
from collector.model.overflow import OverflowGrant
from collector.model.replica import Replica


class GatewayRouter:
    """Routes of one gateway, written by one controller."""

    def __init__(
        self, client: GatewayClient, *, catalogue: Callable[[], Catalogue], epoch: int
    ) -> None:
        """`epoch` is the fence's: it is higher than that of any controller before."""
        self._client = client
        self._catalogue = catalogue
        self._epoch = epoch
        self._version = 0
        self._written: RoutingTable | None = None

    @property
    def written(self) -> RoutingTable | None:
        """The last table the gateway has taken; None before the first."""
        return self._written

    async def write_routes(
        self, replicas: Sequence[Replica], *, overflows: Sequence[OverflowGrant] = ()
    ) -> None:
        """Returns when the gateway routes to exactly the serving ones. Raises GatewayError."""
        self._version += 1
        table = routing_table(
            self._catalogue(),
            replicas,
            epoch=self._epoch,
            version=self._version,
            overflows=overflows,
        )
        await self._client.write_routes(table)
        self._written = table

    async def read_in_flight(self, replica_id: ReplicaId) -> int | None:
        """Requests the gateway has at that replica; None when nobody can tell.

        A gateway that was restarted may obey an older table, under which the replica still gets
        requests: it is given ours again, and its count is not believed yet. Grants are not given
        again: what was spent under them it does not know.
        """
        try:
            status = await self._client.read_status()
            if status is None:
                return None
            if self._written is not None and not _obeys(status, self._written):
                await self._client.write_routes(self._written.without_overflows())
                return None
        except GatewayError:
            return None
        return status.in_flight_requests(replica_id)


def _obeys(status: GatewayStatus, table: RoutingTable) -> bool:
    """Whether the gateway's table is ours, or newer."""
    if status.routes_epoch is None or status.routes_version is None:
        return False
    return (status.routes_epoch, status.routes_version) >= (table.epoch, table.version)
