"""Keeps the gateway's routes equal to the registry, one writer at a time.

In: the registry as it is at the moment of writing. Out: routes at the gateway, at once where an
effect depends on it, else as soon as the gateway can be reached. Must not decide who serves.
"""

import asyncio
from typing import Final

from structlog.typing import FilteringBoundLogger

from autoscaler.execute.registry import ReplicaRegistry
from autoscaler.execute.tasks import Tasks
from autoscaler.ports import Router
from collector.clock import Clock
from collector.errors import GatewayError
from collector.model.overflow import OverflowGrant

_RETRY_SECONDS: Final = 0.5


class Routes:
    """The only caller of `Router.write_routes`."""

    def __init__(
        self,
        *,
        router: Router,
        registry: ReplicaRegistry,
        clock: Clock,
        tasks: Tasks,
        log: FilteringBoundLogger,
    ) -> None:
        """`tasks` runs the retries."""
        self._router = router
        self._registry = registry
        self._clock = clock
        self._tasks = tasks
        self._log = log
        self._writing = asyncio.Lock()
        self._is_retrying = False
        self._overflows: tuple[OverflowGrant, ...] = ()

    async def grant(self, overflows: tuple[OverflowGrant, ...]) -> None:
        """Opens exactly these overflows, until their leases end; all others are closed.

        Nothing is written when none is open and none was. What is written again for another reason
        renews no lease.
        """
        if not overflows and not self._overflows:
            return
        self._overflows = overflows
        await self.publish_eventually()

    async def publish(self) -> bool:
        """Whether the gateway now routes as the registry says."""
        async with self._writing:
            try:
                await self._router.write_routes(
                    self._registry.replicas(), overflows=self._overflows
                )
            except GatewayError as error:
                self._log.warning("routes_not_written", error=str(error))
                return False
        return True

    async def publish_eventually(self) -> None:
        """Tries now; if the gateway cannot be reached, goes on trying behind the caller's back."""
        if await self.publish() or self._is_retrying:
            return
        self._is_retrying = True
        self._tasks.start(self._retry(), name="routes")

    async def _retry(self) -> None:
        try:
            while not await self.publish():
                await self._clock.sleep(_RETRY_SECONDS)
        finally:
            self._is_retrying = False
