"""Protocols for what the autoscaler's shell needs from outside."""

from collections.abc import Sequence
from typing import Protocol

from autoscaler.model.decision import Decision
from autoscaler.model.effect import EffectKind, JournalEntry
from autoscaler.model.event import Event
from collector.model.catalogue import CapacityPrior, Variant
from collector.model.ids import ReplicaId, ServiceName
from collector.model.overflow import OverflowGrant
from collector.model.replica import Replica


class EngineHandle(Protocol):
    """One engine process, ours or adopted."""

    @property
    def pid(self) -> int:
        """Process id."""
        ...

    @property
    def process_start_ticks(self) -> int:
        """Start time in clock ticks since boot; with the pid it names the process for ever."""
        ...

    def is_alive(self) -> bool:
        """Whether exactly this process still runs (a zombie does not)."""
        ...

    async def wait_ended(self, *, timeout_seconds: float) -> bool:
        """True once the process has ended, False at the timeout."""
        ...


class EngineRunner(Protocol):
    """Starts, finds and ends engine processes. Adapter: `actuators.process`."""

    def free_port(self) -> int:
        """A loopback port nobody listens on now."""
        ...

    async def spawn(
        self, *, replica_id: ReplicaId, service: ServiceName, variant: Variant, port: int
    ) -> EngineHandle:
        """A started process carrying the replica id in its environment. Raises StartFailed."""
        ...

    def find(self, replica_id: ReplicaId) -> EngineHandle | None:
        """The living process that carries this id, whoever spawned it."""
        ...

    def find_all(self) -> dict[ReplicaId, EngineHandle]:
        """Every living engine process of this state directory."""
        ...

    async def wait_ready(self, *, base_url: str, handle: EngineHandle, variant: Variant) -> None:
        """Returns when the engine is healthy and has given one token. Raises StartFailed."""
        ...

    async def probe(self, *, base_url: str, variant: Variant) -> CapacityPrior | None:
        """Measured cost of work; None when the engine cannot be probed. Takes a few seconds."""
        ...

    async def end(self, *, replica_id: ReplicaId, timeout_seconds: float) -> None:
        """SIGTERM to all that carries this id, SIGKILL at the timeout; returns when it is gone.

        Also ends what a dead engine has left behind. Nothing happens when there is none. Raises
        StopFailed.
        """
        ...

    def log_tail(self, replica_id: ReplicaId) -> str:
        """The last line the engine wrote, for messages."""
        ...


class Router(Protocol):
    """The gateway as the executor needs it. Adapter: `actuators.gateway_router`."""

    async def write_routes(
        self, replicas: Sequence[Replica], *, overflows: Sequence[OverflowGrant] = ()
    ) -> None:
        """Makes the gateway route to exactly the serving ones; the others get nothing new.

        An overflow without a grant is closed.
        """
        ...

    async def read_in_flight(self, replica_id: ReplicaId) -> int | None:
        """Requests the gateway has at that replica; None when the gateway cannot be asked."""
        ...


class Journal(Protocol):
    """The durable record. Adapter: `ledger`."""

    def append_decision(self, decision: Decision, *, entries: Sequence[JournalEntry]) -> None:
        """Decision and first journal entries in one transaction."""
        ...

    def append_entry(self, entry: JournalEntry) -> None:
        """One phase. Raises LedgerError when the edge is not legal."""
        ...

    def append_outcome(self, event: Event) -> None:
        """What became of an effect or a replica."""
        ...

    def latest_entries(self) -> tuple[JournalEntry, ...]:
        """The newest entry of every effect, oldest effect first."""
        ...


class Fence(Protocol):
    """Proof of leadership, asked right before every effect."""

    def check(self) -> None:
        """Returns if this process still leads. Raises NotLeader."""
        ...


__all__ = [
    "EffectKind",
    "EngineHandle",
    "EngineRunner",
    "Fence",
    "Journal",
    "Router",
]
