"""Deployments, ReplicaSets, LeaderWorkerSets and leases: JSON of the API server to the model. Does not raise."""

from collector.model.cluster import Lease, ReplicaSet, Workload
from collector.sources.kubernetes_api.fields import Fields, part, text, timestamp_seconds, whole
from collector.sources.kubernetes_api.parts import (
    conditions,
    count_told,
    field_writers,
    identity,
    is_observed,
)


def deployment(raw: Fields) -> Workload | None:
    """The Deployment; None: it has no name."""
    return _workload(raw, group="apps", kind="Deployment", pods_per_replica=1)


def leader_worker_set(raw: Fields) -> Workload | None:
    """The LeaderWorkerSet; None: it has no name."""
    return _workload(
        raw,
        group="leaderworkerset.x-k8s.io",
        kind="LeaderWorkerSet",
        pods_per_replica=whole(part(raw, "spec", "leaderWorkerTemplate"), "size"),
    )


def _workload(
    raw: Fields, *, group: str, kind: str, pods_per_replica: int | None
) -> Workload | None:
    who = identity(raw, group=group, kind=kind)
    if who is None:
        return None
    status = part(raw, "status")
    return Workload(
        identity=who,
        desired_replicas=whole(part(raw, "spec"), "replicas"),
        current_replicas=count_told(status, "replicas"),
        ready_replicas=count_told(status, "readyReplicas"),
        updated_replicas=count_told(status, "updatedReplicas"),
        pods_per_replica=pods_per_replica,
        is_observed=is_observed(raw),
        conditions=conditions(status),
        replica_writers=field_writers(raw, "spec", "replicas"),
    )


def replica_set(raw: Fields) -> ReplicaSet | None:
    """The ReplicaSet; None: it has no name."""
    who = identity(raw, group="apps", kind="ReplicaSet")
    return None if who is None else ReplicaSet(identity=who)


def lease(raw: Fields) -> Lease | None:
    """The lease; None: it has no name."""
    who = identity(raw, group="coordination.k8s.io", kind="Lease")
    if who is None:
        return None
    spec = part(raw, "spec")
    duration = whole(spec, "leaseDurationSeconds")
    return Lease(
        identity=who,
        holder=text(spec, "holderIdentity"),
        duration_seconds=None if duration is None else float(duration),
        acquired_timestamp_seconds=timestamp_seconds(spec, "acquireTime"),
        renewed_timestamp_seconds=timestamp_seconds(spec, "renewTime"),
        transition_count=whole(spec, "leaseTransitions"),
    )
