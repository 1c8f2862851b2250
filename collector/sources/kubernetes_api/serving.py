"""KServe's objects: JSON of the API server to the model. Does not raise.

Read over versions: what one version of KServe has and another has not is None, or empty.
"""

from collections.abc import Iterator

from collector.model.cluster import InferenceService, LlmInferenceService, TrafficShare
from collector.sources.kubernetes_api.fields import (
    Fields,
    flag,
    message,
    part,
    parts,
    text,
    whole,
)
from collector.sources.kubernetes_api.parts import (
    conditions,
    field_writers,
    identity,
    is_observed,
)

_GROUP = "serving.kserve.io"


def inference_service(raw: Fields) -> InferenceService | None:
    """The InferenceService; None: it has no name."""
    who = identity(raw, group=_GROUP, kind="InferenceService")
    if who is None:
        return None
    predictor, status = part(raw, "spec", "predictor"), part(raw, "status")
    model = part(status, "modelStatus")
    annotated_mode = who.annotations.get("serving.kserve.io/deploymentMode")
    return InferenceService(
        identity=who,
        deployment_mode=text(status, "deploymentMode") or annotated_mode,
        min_replicas=whole(predictor, "minReplicas"),
        max_replicas=whole(predictor, "maxReplicas"),
        url=text(status, "url"),
        model_state=text(part(model, "states"), "activeModelState"),
        failure_message=message(part(model, "lastFailureInfo"), "message"),
        traffic=tuple(_traffic(status)),
        is_observed=is_observed(raw),
        conditions=conditions(status),
        replica_writers=field_writers(raw, "spec", "predictor", "minReplicas"),
    )


def _traffic(status: Fields) -> Iterator[TrafficShare]:
    """Knative tells revisions of the predictor; newer versions tell canaries by name."""
    for each in parts(part(status, "components", "predictor"), "traffic"):
        yield from _share(each, revision="revisionName", percent="percent")
    for each in parts(status, "canaryStatuses"):
        yield from _share(each, revision="name", percent="trafficPercent")


def _share(fields: Fields, *, revision: str, percent: str) -> Iterator[TrafficShare]:
    value = whole(fields, percent)
    if value is not None and value <= 100:
        yield TrafficShare(
            revision=text(fields, revision),
            share_ratio=value / 100,
            is_latest=flag(fields, "latestRevision"),
        )


def llm_inference_service(raw: Fields) -> LlmInferenceService | None:
    """The LLMInferenceService; None: it has no name."""
    who = identity(raw, group=_GROUP, kind="LLMInferenceService")
    if who is None:
        return None
    spec, status = part(raw, "spec"), part(raw, "status")
    workloads = part(status, "workloads")
    return LlmInferenceService(
        identity=who,
        desired_replicas=whole(spec, "replicas"),
        desired_prefill_replicas=whole(part(spec, "prefill"), "replicas"),
        is_autoscaled=bool(part(spec, "scaling")),
        ready_replicas=_ready(workloads, "primary"),
        ready_prefill_replicas=_ready(workloads, "prefill"),
        url=text(status, "url"),
        is_observed=is_observed(raw),
        conditions=conditions(status),
        replica_writers=field_writers(raw, "spec", "replicas"),
    )


def _ready(workloads: Fields, role: str) -> int | None:
    """Absent is unknown here: v1alpha1 has no such field, and v1alpha2 may not have filled it in."""
    return whole(part(workloads, role), "readyReplicas")
