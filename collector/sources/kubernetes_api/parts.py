"""What objects of several kinds have in common: identity, conditions, writers of a field, references.

In: JSON of the API server. Out: the parts of the model. Does not raise.
"""

from collections.abc import Mapping
from typing import Final

from collector.model.cluster import Condition, FieldWriter, ObjectIdentity, ObjectReference
from collector.sources.kubernetes_api.fields import (
    Fields,
    flag,
    message,
    part,
    parts,
    text,
    texts,
    timestamp_seconds,
    whole,
)

KEPT_ANNOTATIONS: Final = frozenset(
    {
        "serving.kserve.io/autoscalerClass",
        "serving.kserve.io/deploymentMode",
        "serving.kserve.io/stop",
        "autoscaling.keda.sh/paused",
        "autoscaling.keda.sh/paused-replicas",
        "autoscaling.keda.sh/paused-scale-in",
        "autoscaling.keda.sh/paused-scale-out",
        "argocd.argoproj.io/tracking-id",
        "meta.helm.sh/release-name",
        "controller.kubernetes.io/pod-deletion-cost",
    }
)
"""Others hold whole manifests (last-applied-configuration) and would be most of the memory."""


def identity(raw: Fields, *, group: str, kind: str) -> ObjectIdentity | None:
    """Who the object is; None: it has no name, so nothing can be said of it."""
    metadata = part(raw, "metadata")
    name = text(metadata, "name")
    if name is None:
        return None
    namespace = text(metadata, "namespace")
    annotations = texts(metadata, "annotations")
    return ObjectIdentity(
        reference=ObjectReference(group=group, kind=kind, namespace=namespace, name=name),
        uid=text(metadata, "uid"),
        labels=texts(metadata, "labels"),
        annotations={key: annotations[key] for key in KEPT_ANNOTATIONS & annotations.keys()},
        owner=_owner(metadata, namespace=namespace),
        created_timestamp_seconds=timestamp_seconds(metadata, "creationTimestamp"),
        deletion_timestamp_seconds=timestamp_seconds(metadata, "deletionTimestamp"),
    )


def _owner(metadata: Fields, *, namespace: str | None) -> ObjectReference | None:
    for each in parts(metadata, "ownerReferences"):
        if flag(each, "controller"):
            return reference(each, namespace=namespace)
    return None


def reference(
    fields: Fields, *, namespace: str | None, kind: str | None = None, group: str | None = None
) -> ObjectReference | None:
    """What {apiVersion, kind, name} means in that namespace; `kind` and `group` where it is silent."""
    found_kind, name = text(fields, "kind") or kind, text(fields, "name")
    if found_kind is None or name is None:
        return None
    version = text(fields, "apiVersion")
    found_group = group or "" if version is None else version.rpartition("/")[0]
    return ObjectReference(group=found_group, kind=found_kind, namespace=namespace, name=name)


def conditions(status: Fields) -> tuple[Condition, ...]:
    """The conditions that have a name, in the order told."""
    return tuple(
        Condition(
            name=name,
            is_true={"True": True, "False": False}.get(text(each, "status") or ""),
            reason=text(each, "reason"),
            message=message(each, "message"),
            changed_timestamp_seconds=timestamp_seconds(each, "lastTransitionTime"),
        )
        for each in parts(status, "conditions")
        if (name := text(each, "type")) is not None
    )


def condition(found: tuple[Condition, ...], name: str) -> Condition | None:
    """The first one of that name."""
    return next((each for each in found if each.name == name), None)


def field_writers(raw: Fields, *path: str) -> tuple[FieldWriter, ...]:
    """Who wrote the field at the path. Source: metadata.managedFields, fieldsV1."""
    return tuple(
        FieldWriter(
            manager=text(each, "manager") or "unknown",
            subresource=text(each, "subresource"),
            written_timestamp_seconds=timestamp_seconds(each, "time"),
        )
        for each in parts(part(raw, "metadata"), "managedFields")
        if _has_field(part(each, "fieldsV1"), path)
    )


def _has_field(fields: Fields, path: tuple[str, ...]) -> bool:
    *outer, last = (f"f:{key}" for key in path)
    return last in part(fields, *outer)


def is_observed(raw: Fields) -> bool | None:
    """Whether the object's controller has seen its newest desired state; None: it does not tell."""
    generation = whole(part(raw, "metadata"), "generation")
    observed = whole(part(raw, "status"), "observedGeneration")
    return None if generation is None or observed is None else observed >= generation


def count_told(status: Fields, key: str) -> int | None:
    """A count of a status.

    Kubernetes leaves a count of 0 out. So absence is 0 once the controller has written any status, and
    unknown before.
    """
    return (0 if status else None) if key not in status else whole(status, key)


def annotation_is_true(annotations: Mapping[str, str], name: str) -> bool:
    """Whether an annotation says yes."""
    return annotations.get(name, "").lower() == "true"
