"""Fakes of the autoscaler's ports, held to them by tests/contracts."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from autoscaler.errors import LedgerError, NotLeader, StartFailed, StopFailed
from autoscaler.model.decision import Decision
from autoscaler.model.effect import NEXT, JournalEntry, Phase
from autoscaler.model.event import Event
from autoscaler.ports import EngineHandle
from collector.errors import GatewayError
from collector.model.catalogue import CapacityPrior, Variant
from collector.model.ids import PoolName, ReplicaId, ServiceName
from collector.model.overflow import OverflowGrant
from collector.model.reading import Number
from collector.model.replica import Replica, ReplicaState


class FakeHandle:
    """A process that ends when it is told to."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._ended = asyncio.Event()

    @property
    def pid(self) -> int:
        return self._pid

    @property
    def process_start_ticks(self) -> int:
        return 10 * self._pid

    def is_alive(self) -> bool:
        return not self._ended.is_set()

    async def wait_ended(self, *, timeout_seconds: float) -> bool:
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._ended.wait()
        except TimeoutError:
            return False
        return True

    def die(self) -> None:
        self._ended.set()


class FakeRunner:
    """Engines in memory. What is set on it decides how the next ones behave."""

    def __init__(self) -> None:
        self.handles: dict[ReplicaId, FakeHandle] = {}
        self.spawned: list[ReplicaId] = []
        self.ended: list[ReplicaId] = []
        self.spawn_error: str | None = None
        self.ready_error: str | None = None
        self.stop_error: str | None = None
        self.probed: CapacityPrior | None = None
        self.may_be_ready = asyncio.Event()
        self.may_be_ready.set()
        self._ports = iter(range(20_000, 30_000))
        self._pids = iter(range(1_000, 9_000))

    def free_port(self) -> int:
        return next(self._ports)

    async def spawn(
        self, *, replica_id: ReplicaId, service: ServiceName, variant: Variant, port: int
    ) -> EngineHandle:
        if self.spawn_error is not None:
            raise StartFailed(self.spawn_error)
        self.spawned.append(replica_id)
        return self.put(replica_id)

    def put(self, replica_id: ReplicaId) -> FakeHandle:
        """An engine that is there already."""
        handle = self.handles[replica_id] = FakeHandle(next(self._pids))
        return handle

    def find(self, replica_id: ReplicaId) -> EngineHandle | None:
        return self.find_all().get(replica_id)

    def find_all(self) -> dict[ReplicaId, EngineHandle]:
        return {name: handle for name, handle in self.handles.items() if handle.is_alive()}

    async def wait_ready(self, *, base_url: str, handle: EngineHandle, variant: Variant) -> None:
        ended = asyncio.create_task(handle.wait_ended(timeout_seconds=60))
        ready = asyncio.create_task(self.may_be_ready.wait())
        try:
            await asyncio.wait({ended, ready}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
            ready.cancel()
        if self.ready_error is not None or not handle.is_alive():
            raise StartFailed(
                self.ready_error or "the engine ended before it was ready: last words"
            )

    async def probe(self, *, base_url: str, variant: Variant) -> CapacityPrior | None:
        return self.probed

    async def end(self, *, replica_id: ReplicaId, timeout_seconds: float) -> None:
        if self.stop_error is not None:
            raise StopFailed(self.stop_error)
        self.ended.append(replica_id)
        if replica_id in self.handles:
            self.handles[replica_id].die()

    def log_tail(self, replica_id: ReplicaId) -> str:
        return "last words"


class FakeRouter:
    """A gateway that remembers its routes; `in_flight` is what it would answer."""

    def __init__(self) -> None:
        self.is_reachable = True
        self.written: list[tuple[Replica, ...]] = []
        self.overflows: tuple[OverflowGrant, ...] = ()
        self.in_flight: dict[ReplicaId, int | None] = {}

    async def write_routes(
        self, replicas: Sequence[Replica], *, overflows: Sequence[OverflowGrant] = ()
    ) -> None:
        if not self.is_reachable:
            raise GatewayError("the gateway cannot be reached")
        self.written.append(tuple(replicas))
        self.overflows = tuple(overflows)

    async def read_in_flight(self, replica_id: ReplicaId) -> int | None:
        return self.in_flight.get(replica_id, 0) if self.is_reachable else None

    @property
    def routed(self) -> set[ReplicaId]:
        """Who gets requests now."""
        last = self.written[-1] if self.written else ()
        return {each.replica_id for each in last if each.state is ReplicaState.SERVING}


class MemoryJournal:
    """The journal without a disk. `refuses` makes one phase fail, as a full disk would."""

    def __init__(self) -> None:
        self.entries: list[JournalEntry] = []
        self.decisions: list[Decision] = []
        self.outcomes: list[Event] = []
        self.refuses: set[Phase] = set()

    def append_decision(self, decision: Decision, *, entries: Sequence[JournalEntry]) -> None:
        before = list(self.entries)
        try:
            for entry in entries:
                self.append_entry(entry)
        except LedgerError:
            self.entries = before
            raise
        self.decisions.append(decision)

    def append_entry(self, entry: JournalEntry) -> None:
        if entry.phase in self.refuses:
            raise LedgerError("ledger: the disk is full")
        previous = self._latest().get(entry.effect_id)
        is_legal = (
            entry.phase is Phase.PREPARED
            if previous is None
            else entry.phase in NEXT[entry.kind].get(previous.phase, ())
            and previous.replica_id == entry.replica_id
            and previous.kind is entry.kind
        )
        if not is_legal:
            raise LedgerError(f"ledger: effect {entry.effect_id} cannot go to {entry.phase}")
        self.entries.append(entry)

    def append_outcome(self, event: Event) -> None:
        self.outcomes.append(event)

    def latest_entries(self) -> tuple[JournalEntry, ...]:
        return tuple(self._latest().values())

    def phases(self, effect_id: str) -> list[str]:
        """What one effect went through."""
        return [entry.phase.value for entry in self.entries if entry.effect_id == effect_id]

    def _latest(self) -> dict[str, JournalEntry]:
        return {entry.effect_id: entry for entry in self.entries}


class FakeFence:
    """Leadership as a switch."""

    def __init__(self) -> None:
        self.leads = True

    def check(self) -> None:
        if not self.leads:
            raise NotLeader("another controller leads")


@dataclass
class FakeMemory:
    """Memory as it is said to be; nothing is known unless it is set."""

    replicas: Mapping[ReplicaId, Number] = field(default_factory=dict)
    pools: Mapping[PoolName, Number] = field(default_factory=dict)

    def replica_memory_bytes(self) -> Mapping[ReplicaId, Number]:
        return self.replicas

    def pool_available_bytes(self) -> Mapping[PoolName, Number]:
        return self.pools
