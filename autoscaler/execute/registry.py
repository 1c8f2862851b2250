"""Which replicas exist, in which state: the executor writes it, everybody else reads it.

In: changes of state by the effects. Out: `Replica`s (adapter of the collector's `ReplicaDirectory`
port) and the processes behind them. Replicas that somebody else runs are listed as the catalogue
declares them. Must not do anything to a replica.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from autoscaler.ports import EngineHandle
from collector.clock import Clock
from collector.model.catalogue import Catalogue, Service, Variant
from collector.model.ids import PoolName, ReplicaId
from collector.model.replica import HOLDING_STATES, Replica, ReplicaState

SHOWN_AFTER_END_SECONDS: Final = 300.0
"""How long failed and stopped replicas stay visible to people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A replica with what only the executor knows of it."""

    replica: Replica
    variant: Variant | None  # as declared when it was last started or found; None: not declared
    handle: EngineHandle | None  # None while there is no process
    changed_timestamp_seconds: float  # when its state changed last


class ReplicaRegistry:
    """All replicas of this controller."""

    def __init__(self, *, clock: Clock, catalogue: Callable[[], Catalogue]) -> None:
        """`catalogue` gives the one in force; asked at every read."""
        self._clock = clock
        self._catalogue = catalogue
        self._held: dict[ReplicaId, Held] = {}
        self._since_timestamp_seconds = clock.timestamp_seconds()

    def replicas(self) -> tuple[Replica, ...]:
        """All replicas that exist or are ordered, and for a while those that have gone."""
        self._forget_old()
        return (*(held.replica for held in self._held.values()), *self._run_by_others())

    def processes(self) -> tuple[tuple[ReplicaId, int], ...]:
        """(replica, pid of its session leader) of everything that has a process."""
        return tuple(
            (held.replica.replica_id, held.handle.pid)
            for held in self.holding()
            if held.handle is not None
        )

    def holding(self) -> tuple[Held, ...]:
        """Replicas of ours that hold memory, or have been promised some."""
        return tuple(held for held in self._held.values() if held.replica.state in HOLDING_STATES)

    def held(self, replica_id: ReplicaId) -> Held | None:
        """One replica of ours; None for one that is not (or no longer) known."""
        return self._held.get(replica_id)

    def pool(self, replica_id: ReplicaId) -> PoolName | None:
        """The pool it was started in; None where its variant is not known."""
        held = self._held.get(replica_id)
        return held.variant.pool if held and held.variant else None

    def state(self, replica_id: ReplicaId) -> ReplicaState | None:
        """Its state; None for a replica that is not ours."""
        held = self._held.get(replica_id)
        return held.replica.state if held else None

    def add(
        self, replica: Replica, *, variant: Variant | None, handle: EngineHandle | None = None
    ) -> None:
        """Makes a replica known, or replaces what was known."""
        self._held[replica.replica_id] = Held(
            replica=replica,
            variant=variant,
            handle=handle,
            changed_timestamp_seconds=self._clock.timestamp_seconds(),
        )

    def change(self, replica_id: ReplicaId, state: ReplicaState) -> None:
        """Gives a known replica another state; the first time it serves is remembered."""
        held = self._held[replica_id]
        now = self._clock.timestamp_seconds()
        serving_since = held.replica.serving_timestamp_seconds
        if state is ReplicaState.SERVING and serving_since is None:
            serving_since = now
        self._held[replica_id] = replace(
            held,
            replica=replace(held.replica, state=state, serving_timestamp_seconds=serving_since),
            changed_timestamp_seconds=now,
        )

    def attach(self, replica_id: ReplicaId, *, handle: EngineHandle) -> None:
        """Tells which process a known replica is."""
        self._held[replica_id] = replace(self._held[replica_id], handle=handle)

    def remove(self, replica_id: ReplicaId) -> None:
        """Forgets a replica that never came to be."""
        self._held.pop(replica_id, None)

    def _forget_old(self) -> None:
        limit = self._clock.timestamp_seconds() - SHOWN_AFTER_END_SECONDS
        gone = (ReplicaState.FAILED, ReplicaState.STOPPED)
        self._held = {
            replica_id: held
            for replica_id, held in self._held.items()
            if held.replica.state not in gone or held.changed_timestamp_seconds > limit
        }

    def _run_by_others(self) -> Iterator[Replica]:
        for service in self._catalogue().services:
            yield from _declared(service, since_timestamp_seconds=self._since_timestamp_seconds)


def _declared(service: Service, *, since_timestamp_seconds: float) -> Iterator[Replica]:
    for variant in service.variants:
        for number, url, role in variant.engine_urls():
            yield Replica(
                # The same name as in the routing table, but for engines of a role: they are not routed to.
                replica_id=ReplicaId(f"{service.name}/{variant.name}/{number}"),
                service=service.name,
                variant=variant.name,
                state=ReplicaState.SERVING,
                ordered_timestamp_seconds=since_timestamp_seconds,
                serving_timestamp_seconds=since_timestamp_seconds,
                base_url=url.rstrip("/"),
                role=role,
            )
