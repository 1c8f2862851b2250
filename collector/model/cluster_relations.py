"""What follows from a view of the cluster: whose a pod is, and who else writes a number of replicas.

In: a `ClusterView`. Out: chains and claims. Nothing is concluded from kinds that could not be read:
they are named instead, for "nobody else" may only be said by who has looked everywhere.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeAlias

from collector.model.cluster import (
    ClusterKind,
    ClusterView,
    FieldWriter,
    InferenceService,
    LlmInferenceService,
    ObjectIdentity,
    ObjectReference,
    Pod,
    ReplicaSet,
    ScaleRule,
    Workload,
)
from collector.model.reading import Fresh, Missing, MissingReason, Reading, known_value

_MAX_CHAIN: Final = 8
"""Pod, ReplicaSet, Deployment, Revision, ..., InferenceService; longer ones go in circles."""
_CLAIMED_BY_LABEL: Final = (
    ("serving.kserve.io/inferenceservice", "serving.kserve.io", ClusterKind.INFERENCE_SERVICE),
    ("leaderworkerset.sigs.k8s.io/name", "leaderworkerset.x-k8s.io", ClusterKind.LEADER_WORKER_SET),
)
"""Where kinds that are not looked at (StatefulSet, Revision) stand in between, pods tell by a label."""

_Target: TypeAlias = Workload | InferenceService | LlmInferenceService
Owners: TypeAlias = Mapping[ObjectReference, ObjectIdentity]
"""{object: who it is} of all that may stand between a pod and what its owner wrote."""


def owners(view: ClusterView) -> Owners:
    """Everything that can own pods, for `owner_chain`; made once per view."""
    found: tuple[ReplicaSet | _Target, ...] = (
        *(known_value(view.replica_sets) or ()),
        *_targets(view),
    )
    return {each.identity.reference: each.identity for each in found}


def _targets(view: ClusterView) -> tuple[_Target, ...]:
    """Everything that has a number of replicas of its own."""
    return (
        *(known_value(view.deployments) or ()),
        *(known_value(view.leader_worker_sets) or ()),
        *(known_value(view.inference_services) or ()),
        *(known_value(view.llm_inference_services) or ()),
    )


def owner_chain(pod: Pod, *, known: Owners) -> tuple[ObjectReference, ...]:
    """From the pod's owner up to the last one that is known of; empty for a pod of nobody.

    Ends with the object that a label names where the references lead through kinds nobody reads.
    """
    chain: list[ObjectReference] = []
    owner = pod.identity.owner
    while owner is not None and owner not in chain and len(chain) < _MAX_CHAIN:
        chain.append(owner)
        above = known.get(owner)
        owner = above.owner if above is not None else None
    claimed = _claimed(pod.identity)
    if claimed is not None and claimed not in chain:
        chain.append(claimed)
    return tuple(chain)


def _claimed(who: ObjectIdentity) -> ObjectReference | None:
    for label, group, kind in _CLAIMED_BY_LABEL:
        if name := who.labels.get(label):
            namespace = who.reference.namespace
            return ObjectReference(group=group, kind=kind, namespace=namespace, name=name)
    return None


class ClaimKind(StrEnum):
    """In which way somebody writes a number of replicas."""

    AUTOSCALER = "autoscaler"  # a HorizontalPodAutoscaler that targets the object
    SCALED_OBJECT = "scaled_object"  # KEDA; it takes the number to and from 0
    OWNER = "owner"  # the controller that made the object may put its own number back
    FIELD = "field"  # a manager that has written the field before


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaClaim:
    """One who writes the number."""

    kind: ClaimKind
    name: str  # of the object, or of the field's manager
    is_paused: bool = False
    written_timestamp_seconds: float | None = None  # of a FIELD


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaClaims:
    """All who are known to write an object's number of replicas."""

    claims: tuple[ReplicaClaim, ...]
    unseen: tuple[
        ClusterKind, ...
    ]  # kinds that could not be read, or not lately: there may be more


def replica_claims(view: ClusterView, target: ObjectReference) -> ReplicaClaims:
    """Who else writes the replicas of `target`; a definition that is not installed has no objects."""
    rules = (
        (ClusterKind.AUTOSCALER, ClaimKind.AUTOSCALER, view.autoscalers),
        (ClusterKind.SCALED_OBJECT, ClaimKind.SCALED_OBJECT, view.scaled_objects),
    )
    claims = [
        claim for _, kind, reading in rules for claim in _rule_claims(kind, reading, target=target)
    ]
    unseen = [kind for kind, _, reading in rules if not _is_complete(reading)]
    found = _find(view, target)
    if found is None:
        unseen += [kind for kind in ClusterKind if kind == target.kind]
    else:
        claims += _own_claims(found.identity, found.replica_writers)
    return ReplicaClaims(claims=tuple(claims), unseen=tuple(unseen))


def _is_complete(reading: Reading[tuple[ScaleRule, ...]]) -> bool:
    match reading:
        case Missing(reason=reason):
            return reason is MissingReason.NOT_SUPPORTED
        case _:
            return isinstance(reading, Fresh)


def _rule_claims(
    kind: ClaimKind, reading: Reading[tuple[ScaleRule, ...]], *, target: ObjectReference
) -> Iterator[ReplicaClaim]:
    for rule in known_value(reading) or ():
        if rule.target == target:
            name = rule.identity.reference.name
            yield ReplicaClaim(kind=kind, name=name, is_paused=rule.is_paused)


def _own_claims(who: ObjectIdentity, writers: tuple[FieldWriter, ...]) -> Iterator[ReplicaClaim]:
    if who.owner is not None:
        yield ReplicaClaim(kind=ClaimKind.OWNER, name=f"{who.owner.kind} {who.owner.name}")
    for each in writers:
        written = each.written_timestamp_seconds
        yield ReplicaClaim(
            kind=ClaimKind.FIELD, name=each.manager, written_timestamp_seconds=written
        )


def _find(view: ClusterView, target: ObjectReference) -> _Target | None:
    return next((each for each in _targets(view) if each.identity.reference == target), None)
