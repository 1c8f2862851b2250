"""A `Router` where clients come through a gateway of the owner's, which Foresail does not write to.

Nothing is sent anywhere. What is in flight at a replica is not known here, so a drain that depends on
it ends without the replica being stopped.
"""

from collections.abc import Sequence

from collector.gateway.routing import RoutingTable
from collector.model.ids import ReplicaId
from collector.model.overflow import OverflowGrant
from collector.model.replica import Replica


class ForeignGateway:
    """Routes that somebody else writes."""

    @property
    def written(self) -> RoutingTable | None:
        """None: no table is ours."""
        return None

    async def write_routes(
        self, replicas: Sequence[Replica], *, overflows: Sequence[OverflowGrant] = ()
    ) -> None:
        """Nothing to do; its owner's gateway finds the replicas by itself."""

    async def read_in_flight(self, replica_id: ReplicaId) -> int | None:
        """None: it is not asked."""
        return None
