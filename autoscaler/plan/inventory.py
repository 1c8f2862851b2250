"""What memory there is to share, now and when all changes under way have ended. Pure."""

from autoscaler.plan.choose import Intent
from collector.model.catalogue import Catalogue
from collector.model.ids import PoolName
from collector.model.reading import fresh_value
from collector.model.replica import HOLDING_STATES, ReplicaState
from collector.model.snapshot import ReplicaView, Snapshot


def pool_budgets(
    catalogue: Catalogue, *, snapshot: Snapshot, intents: list[Intent]
) -> dict[PoolName, int]:
    """Bytes per pool that replicas may hold in the end.

    The declared budget, or less when others on the machine leave less: what our replicas hold plus
    what is still available, minus the reserve. An unread availability leaves the declared budget;
    admission looks again before every start.
    """
    held = held_bytes(snapshot, intents=intents)
    budgets: dict[PoolName, int] = {}
    for pool in catalogue.pools:
        available = _available(snapshot, pool=pool.name)
        reachable = (
            pool.budget_bytes
            if available is None
            else held.get(pool.name, 0) + available - pool.reserve_bytes
        )
        budgets[pool.name] = max(0, min(pool.budget_bytes, reachable))
    return budgets


def free_bytes(
    catalogue: Catalogue, *, snapshot: Snapshot, intents: list[Intent]
) -> dict[PoolName, int]:
    """Bytes per pool that nobody holds or has been promised now."""
    held = held_bytes(snapshot, intents=intents)
    budgets = pool_budgets(catalogue, snapshot=snapshot, intents=intents)
    return {pool: budget - held.get(pool, 0) for pool, budget in budgets.items()}


def held_bytes(snapshot: Snapshot, *, intents: list[Intent]) -> dict[PoolName, int]:
    """Bytes per pool held by or promised to replicas, draining and starting ones included."""
    footprints = {
        (each.assessment.service.name, fleet.variant.name): fleet
        for each in intents
        for fleet in each.assessment.fleets
    }
    held: dict[PoolName, int] = {}
    for view in snapshot.replicas:
        fleet = footprints.get((view.replica.service, view.replica.variant))
        if fleet is None or view.replica.state not in HOLDING_STATES:
            continue
        pool = fleet.variant.pool
        held[pool] = held.get(pool, 0) + _holds(view, footprint=fleet.footprint_bytes)
    return held


def _holds(view: ReplicaView, *, footprint: int) -> int:
    """The larger of measured and expected: a young replica has not grown to its size yet."""
    measured = fresh_value(view.memory_bytes)
    if view.replica.state is ReplicaState.DRAINING and measured is not None:
        return int(measured)
    return max(footprint, int(measured or 0))


def _available(snapshot: Snapshot, *, pool: PoolName) -> int | None:
    for view in snapshot.pools:
        if view.pool == pool:
            value = fresh_value(view.available_bytes)
            return None if value is None else int(value)
    return None
