"""Pods and nodes: JSON of the API server to the model. Does not raise."""

from collections import Counter
from collections.abc import Iterator, Mapping

from collector.model.cluster import ContainerView, Node, Pod, PodPhase, Taint
from collector.sources.kubernetes_api.fields import (
    Fields,
    devices,
    flag,
    message,
    part,
    parts,
    text,
    timestamp_seconds,
    whole,
)
from collector.sources.kubernetes_api.parts import condition, conditions, identity

_PHASES = {each.value: each for each in PodPhase}


def pod(raw: Fields) -> Pod | None:
    """The pod; None: it has no name."""
    who = identity(raw, group="", kind="Pod")
    if who is None:
        return None
    spec, status = part(raw, "spec"), part(raw, "status")
    told = conditions(status)
    ready, scheduled = condition(told, "Ready"), condition(told, "PodScheduled")
    grace = whole(spec, "terminationGracePeriodSeconds")
    return Pod(
        identity=who,
        phase=_PHASES.get(text(status, "phase") or ""),
        node_name=text(spec, "nodeName"),
        address=text(status, "podIP"),
        is_ready=ready.is_true if ready else None,
        scheduled_timestamp_seconds=(
            scheduled.changed_timestamp_seconds if scheduled and scheduled.is_true else None
        ),
        started_timestamp_seconds=timestamp_seconds(status, "startTime"),
        ready_timestamp_seconds=ready.changed_timestamp_seconds
        if ready and ready.is_true
        else None,
        unschedulable_message=(
            scheduled.message or scheduled.reason
            if scheduled and scheduled.is_true is False
            else None
        ),
        grace_seconds=None if grace is None else float(grace),
        requested_devices=_requested_devices(spec),
        containers=tuple(_containers(status)),
    )


def _containers(status: Fields) -> Iterator[ContainerView]:
    for key, is_init in (("initContainerStatuses", True), ("containerStatuses", False)):
        for each in parts(status, key):
            name = text(each, "name")
            if name is not None:
                yield _container(each, name=name, is_init=is_init)


def _container(status: Fields, *, name: str, is_init: bool) -> ContainerView:
    waiting = part(status, "state", "waiting")
    ended = part(status, "state", "terminated") or part(status, "lastState", "terminated")
    return ContainerView(
        name=name,
        is_init=is_init,
        is_ready=flag(status, "ready"),
        started_timestamp_seconds=timestamp_seconds(part(status, "state", "running"), "startedAt"),
        restart_count=whole(status, "restartCount"),
        waiting_reason=text(waiting, "reason"),
        waiting_message=message(waiting, "message"),
        last_end_reason=text(ended, "reason"),
        last_exit_code=whole(ended, "exitCode"),
        last_end_timestamp_seconds=timestamp_seconds(ended, "finishedAt"),
    )


def _requested_devices(spec: Fields) -> Mapping[str, int]:
    """What the scheduler sets aside for the pod.

    Containers that run together add up; an init container that ends before they start shares its
    devices with them. Source: Kubernetes documentation, "Sidecar containers", resource sharing.
    """
    together: Counter[str] = Counter()
    most: Counter[str] = Counter()
    for each in parts(spec, "initContainers"):
        if text(each, "restartPolicy") == "Always":
            together += _container_devices(each)
            most |= together
        else:
            most |= together + _container_devices(each)
    for each in parts(spec, "containers"):
        together += _container_devices(each)
    return dict(most | together)


def _container_devices(container: Fields) -> Counter[str]:
    """Limits where there are no requests: for devices the two are equal, and one may be left out."""
    resources = part(container, "resources")
    return Counter(devices(resources, "limits") | devices(resources, "requests"))


def node(raw: Fields) -> Node | None:
    """The node; None: it has no name."""
    who = identity(raw, group="", kind="Node")
    if who is None:
        return None
    spec, status = part(raw, "spec"), part(raw, "status")
    told = conditions(status)
    ready = condition(told, "Ready")
    return Node(
        identity=who,
        is_ready=ready.is_true if ready else None,
        is_cordoned=flag(spec, "unschedulable") is True,
        allocatable_devices=devices(status, "allocatable"),
        installed_devices=devices(status, "capacity"),
        taints=tuple(_taints(spec)),
        conditions=told,
    )


def _taints(spec: Fields) -> Iterator[Taint]:
    for each in parts(spec, "taints"):
        key, effect = text(each, "key"), text(each, "effect")
        if key is not None and effect is not None:
            yield Taint(key=key, value=text(each, "value") or "", effect=effect)
