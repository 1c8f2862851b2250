"""Who else writes numbers of replicas: HorizontalPodAutoscalers and KEDA's ScaledObjects. Does not raise.

In: JSON of the API server. Out: `ScaleRule`.
"""

from collector.model.cluster import ObjectIdentity, ScaleRule
from collector.sources.kubernetes_api.fields import (
    Fields,
    part,
    timestamp_seconds,
    whole,
)
from collector.sources.kubernetes_api.parts import (
    annotation_is_true,
    condition,
    conditions,
    count_told,
    identity,
    reference,
)

_PAUSED = "autoscaling.keda.sh/paused"
_PAUSED_AT = "autoscaling.keda.sh/paused-replicas"


def autoscaler(raw: Fields) -> ScaleRule | None:
    """The HorizontalPodAutoscaler; None: it has no name."""
    who = identity(raw, group="autoscaling", kind="HorizontalPodAutoscaler")
    if who is None:
        return None
    spec, status = part(raw, "spec"), part(raw, "status")
    return ScaleRule(
        identity=who,
        target=reference(part(spec, "scaleTargetRef"), namespace=who.reference.namespace),
        min_replicas=whole(spec, "minReplicas"),
        max_replicas=whole(spec, "maxReplicas"),
        current_replicas=count_told(status, "currentReplicas"),
        desired_replicas=count_told(status, "desiredReplicas"),
        is_paused=False,  # one whose target is at 0 does nothing, but wakes with it
        last_scale_timestamp_seconds=timestamp_seconds(status, "lastScaleTime"),
        conditions=conditions(status),
    )


def scaled_object(raw: Fields) -> ScaleRule | None:
    """The ScaledObject; None: it has no name."""
    who = identity(raw, group="keda.sh", kind="ScaledObject")
    if who is None:
        return None
    spec, status = part(raw, "spec"), part(raw, "status")
    told = conditions(status)
    paused = condition(told, "Paused")
    return ScaleRule(
        identity=who,
        target=reference(
            part(spec, "scaleTargetRef"),
            namespace=who.reference.namespace,
            kind="Deployment",
            group="apps",
        ),
        min_replicas=whole(spec, "minReplicaCount"),
        max_replicas=whole(spec, "maxReplicaCount"),
        current_replicas=None,  # the autoscaler that it makes tells
        desired_replicas=None,
        is_paused=_is_paused(who) or bool(paused and paused.is_true),
        last_scale_timestamp_seconds=None,  # lastActiveTime is about its trigger, not about replicas
        conditions=told,
    )


def _is_paused(who: ObjectIdentity) -> bool:
    return annotation_is_true(who.annotations, _PAUSED) or _PAUSED_AT in who.annotations
