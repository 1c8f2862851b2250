"""What memory there is to share, now and when all changes under way have ended. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from autoscaler.model.assessment import Fleet
from autoscaler.plan.intent import Intent
from collector.model.catalogue import Catalogue
from collector.model.ids import PoolName, QuotaName, ServiceName, VariantName
from collector.model.reading import fresh_value
from collector.model.replica import HOLDING_STATES, ReplicaState
from collector.model.snapshot import ReplicaView, Snapshot

MAX_PLACES = 10**9
"""Of a variant without a quota: more than any machine has."""
STARTING_STATES = frozenset({ReplicaState.PENDING, ReplicaState.LOADING})


@dataclass(slots=True, kw_only=True)
class Free:
    """What can be started now; it shrinks while actions are chosen."""

    pool_bytes: dict[PoolName, int]
    quota_replicas: dict[QuotaName, int]

    def places(self, fleet: Fleet) -> int:
        """How many more replicas there are places for in its quota, if it has one."""
        quota = fleet.variant.quota
        return MAX_PLACES if quota is None else max(0, self.quota_replicas.get(quota, 0))

    def replicas(self, fleet: Fleet) -> int:
        """How many more replicas can be started."""
        room = max(0, self.pool_bytes.get(fleet.variant.pool, 0)) // fleet.footprint_bytes
        return min(room, self.places(fleet))

    def take(self, fleet: Fleet, *, replicas: int) -> None:
        """Counts what so many of them will use as no longer free."""
        self.pool_bytes[fleet.variant.pool] -= replicas * fleet.footprint_bytes
        if fleet.variant.quota is not None:
            self.quota_replicas[fleet.variant.quota] -= replicas


def free_now(catalogue: Catalogue, *, snapshot: Snapshot, intents: Sequence[Intent]) -> Free:
    """What no replica of any state holds now: what is being given up cannot be used before it is
    free."""
    places = {quota.name: quota.max_replicas for quota in catalogue.quotas}
    for fleet, _ in _holders(snapshot, intents=intents):
        if fleet.variant.quota is not None:
            places[fleet.variant.quota] -= 1
    return Free(
        pool_bytes=free_bytes(catalogue, snapshot=snapshot, intents=intents),
        quota_replicas=places,
    )


def pool_budgets(
    catalogue: Catalogue, *, snapshot: Snapshot, intents: Sequence[Intent]
) -> dict[PoolName, int]:
    """Bytes per pool that replicas may hold in the end.

    The declared budget, or less when others on the machine leave less: what our replicas hold plus
    what is still available, minus the reserve. Others never push out what runs. An unread
    availability leaves the declared budget; admission looks again before every start.
    """
    held = held_bytes(snapshot, intents=intents)
    undeclared = _undeclared_bytes(snapshot, intents=intents)
    read, budgets = _available_bytes(snapshot), dict[PoolName, int]()
    for pool in catalogue.pools:
        available = read.get(pool.name)
        budgets[pool.name] = max(0, pool.budget_bytes - undeclared)
        if available is not None:
            reachable = held.get(pool.name, 0) + max(0, available - pool.reserve_bytes)
            budgets[pool.name] = min(budgets[pool.name], reachable)
    return budgets


def free_bytes(
    catalogue: Catalogue, *, snapshot: Snapshot, intents: Sequence[Intent]
) -> dict[PoolName, int]:
    """Bytes per pool that nobody holds or has been promised now; below 0 when too much is promised.

    What is promised and not yet taken still looks available to the host and is subtracted.
    """
    held = held_bytes(snapshot, intents=intents)
    promised = _promised_bytes(snapshot, intents=intents)
    undeclared = _undeclared_bytes(snapshot, intents=intents)
    read, free = _available_bytes(snapshot), dict[PoolName, int]()
    for pool in catalogue.pools:
        available = read.get(pool.name)
        free[pool.name] = pool.budget_bytes - held.get(pool.name, 0) - undeclared
        if available is not None:
            untaken = available - pool.reserve_bytes - promised.get(pool.name, 0)
            free[pool.name] = min(free[pool.name], untaken)
    return free


def held_bytes(snapshot: Snapshot, *, intents: Sequence[Intent]) -> dict[PoolName, int]:
    """Bytes per pool held by or promised to replicas, draining and starting ones included."""
    held: Counter[PoolName] = Counter()
    for fleet, view in _holders(snapshot, intents=intents):
        held[fleet.variant.pool] += _holds(view, footprint=fleet.footprint_bytes)
    return held


def _promised_bytes(snapshot: Snapshot, *, intents: Sequence[Intent]) -> dict[PoolName, int]:
    """Bytes per pool that starting replicas will still take."""
    promised: Counter[PoolName] = Counter()
    for fleet, view in _holders(snapshot, intents=intents):
        if view.replica.state in STARTING_STATES:
            taken = max(0, int(fresh_value(view.memory_bytes) or 0))
            promised[fleet.variant.pool] += max(0, fleet.footprint_bytes - taken)
    return promised


def _undeclared_bytes(snapshot: Snapshot, *, intents: Sequence[Intent]) -> int:
    """What replicas of no declared variant hold, as measured, until they have been retired.

    Nobody knows their pool any more, so it is kept free in every one.
    """
    fleets = _fleets(intents)
    orphans = {
        view.replica.replica_id: int(fresh_value(view.memory_bytes) or 0)
        for view in snapshot.replicas
        if view.replica.state in HOLDING_STATES
        and (view.replica.service, view.replica.variant) not in fleets
    }
    return max(0, sum(orphans.values()))


def _holders(
    snapshot: Snapshot, *, intents: Sequence[Intent]
) -> Iterator[tuple[Fleet, ReplicaView]]:
    """Every replica of a declared variant that occupies memory, with its fleet.

    Of two views of one replica the first counts, as everywhere: its memory is held once.
    """
    fleets = _fleets(intents)
    first = {view.replica.replica_id: view for view in reversed(snapshot.replicas)}
    for view in reversed(first.values()):
        fleet = fleets.get((view.replica.service, view.replica.variant))
        if fleet is not None and view.replica.state in HOLDING_STATES:
            yield fleet, view


def _fleets(intents: Sequence[Intent]) -> dict[tuple[ServiceName, VariantName], Fleet]:
    return {
        (each.assessment.service.name, fleet.variant.name): fleet
        for each in intents
        for fleet in each.assessment.fleets
    }


def _holds(view: ReplicaView, *, footprint: int) -> int:
    """The larger of measured and expected: a young replica has not grown to its size yet."""
    measured = fresh_value(view.memory_bytes)
    if view.replica.state is ReplicaState.DRAINING and measured is not None:
        return max(0, int(measured))
    return max(footprint, int(measured or 0))


def _available_bytes(snapshot: Snapshot) -> dict[PoolName, int]:
    """What each pool that was read has left; of two views of one pool the first counts."""
    first = {view.pool: fresh_value(view.available_bytes) for view in reversed(snapshot.pools)}
    return {pool: int(value) for pool, value in first.items() if value is not None}
