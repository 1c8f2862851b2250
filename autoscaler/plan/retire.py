"""Replicas of services or variants that the catalogue does not (any longer) declare. Pure.

Nobody assesses them, so nobody else would ever stop them. The owner's file is the authority for that:
no forecast and no hold is asked, and the executor drains them like any other.
"""

from collections.abc import Iterable

from autoscaler.model.action import Direction, Scale
from collector.model.catalogue import Catalogue
from collector.model.ids import ServiceName, VariantName
from collector.model.replica import SUPPLY_STATES, ReplicaState
from collector.model.snapshot import ReplicaView, Snapshot


def retirements(
    snapshot: Snapshot, *, catalogue: Catalogue
) -> tuple[tuple[ServiceName, Scale], ...]:
    """(service, scale-in to zero) per undeclared variant that still serves; one per service.

    A replica that still starts is left to finish, as everywhere.
    """
    declared = {(each.name, kind.name) for each in catalogue.services for kind in each.variants}
    orphans: dict[ServiceName, dict[VariantName, list[ReplicaView]]] = {}
    for view in snapshot.replicas:
        replica = view.replica
        if replica.state not in SUPPLY_STATES:
            continue
        if (replica.service, replica.variant) not in declared:
            variants = orphans.setdefault(replica.service, {})
            variants.setdefault(replica.variant, []).append(view)
    found = [
        (service, scale)
        for service, variants in orphans.items()
        for scale in _scale_ins(variants.items())
    ]
    return tuple(found)


def _scale_ins(
    variants: Iterable[tuple[VariantName, list[ReplicaView]]],
) -> tuple[Scale, ...]:
    """The first variant of a service that has something to stop; the others have their turn next."""
    for variant, views in variants:
        serving = {
            view.replica.replica_id for view in views if view.replica.state is ReplicaState.SERVING
        }
        if serving:
            supply = len({view.replica.replica_id for view in views})
            action = Scale(
                variant=variant,
                direction=Direction.IN,
                from_replicas=supply,
                to_replicas=supply - len(serving),
                stop_replicas=tuple(sorted(serving)),
            )
            return (action,)
    return ()
