"""An `EngineRunner` that looks and never touches: the last line behind governance.

In: the real runner and whether the mode is active right now. Out: what the real runner sees; every
change is refused, and what it would have been goes to the log. Governance never lets a dry-run
decision get here; this adapter makes sure that nothing else (a recovery, a bug) does either.
"""

from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from autoscaler.errors import StartFailed, StopFailed
from autoscaler.ports import EngineHandle, EngineRunner
from collector.model.catalogue import CapacityPrior, Variant
from collector.model.ids import ReplicaId, ServiceName

_NEXT = "set authority.mode to active in catalogue.yaml to have it done"


class DryRunRunner:
    """The real runner while `is_active()`, a spectator otherwise."""

    def __init__(
        self, runner: EngineRunner, *, is_active: Callable[[], bool], log: FilteringBoundLogger
    ) -> None:
        """`is_active` is asked at each effect, so a reload of the catalogue takes hold at once."""
        self._runner = runner
        self._is_active = is_active
        self._log = log

    def free_port(self) -> int:
        """A port nobody listens on."""
        return self._runner.free_port()

    async def spawn(
        self, *, replica_id: ReplicaId, service: ServiceName, variant: Variant, port: int
    ) -> EngineHandle:
        """A process, when active. Raises StartFailed in dry run."""
        if self._is_active():
            return await self._runner.spawn(
                replica_id=replica_id, service=service, variant=variant, port=port
            )
        self._log.info("dry_run_start", replica_id=replica_id, service=service, port=port)
        raise StartFailed(f"{replica_id}: not started, this is a dry run; {_NEXT}")

    def find(self, replica_id: ReplicaId) -> EngineHandle | None:
        """The living process that carries this id."""
        return self._runner.find(replica_id)

    def find_all(self) -> dict[ReplicaId, EngineHandle]:
        """Every living engine."""
        return self._runner.find_all()

    async def wait_ready(self, *, base_url: str, handle: EngineHandle, variant: Variant) -> None:
        """Returns when the engine serves. Raises StartFailed."""
        await self._runner.wait_ready(base_url=base_url, handle=handle, variant=variant)

    async def probe(self, *, base_url: str, variant: Variant) -> CapacityPrior | None:
        """Measured cost of work; None in dry run: a probe is load."""
        if not self._is_active():
            return None
        return await self._runner.probe(base_url=base_url, variant=variant)

    async def end(self, *, replica_id: ReplicaId, timeout_seconds: float) -> None:
        """Ends it, when active. Raises StopFailed in dry run if there is an engine to end.

        What a dead engine has left behind stays in dry run, too.
        """
        if self._is_active():
            await self._runner.end(replica_id=replica_id, timeout_seconds=timeout_seconds)
            return
        if self._runner.find(replica_id) is None:
            return
        self._log.info("dry_run_stop", replica_id=replica_id)
        raise StopFailed(f"{replica_id}: not stopped, this is a dry run; {_NEXT}")

    def log_tail(self, replica_id: ReplicaId) -> str:
        """The last line the engine wrote."""
        return self._runner.log_tail(replica_id)
