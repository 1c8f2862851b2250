"""A view of a cluster as rows for people: what is seen of each kind, what is not and why, and what serves.

In: a `ClusterView`. Out: texts. Pure; the command prints them.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeVar

from collector.contract.conditions import ConditionFacts
from collector.model.cluster import (
    ClusterView,
    InferenceService,
    LlmInferenceService,
    Node,
    ObjectIdentity,
    Pod,
    Workload,
)
from collector.model.cluster_relations import owner_chain, owners, replica_claims
from collector.model.reading import Missing, MissingReason, Reading, Stale, known_value

Row = tuple[str, ...]
T = TypeVar("T")
UNKNOWN: Final = "?"
CANNOT_BE_READ: Final = "cannot be read: "
"""As the reader of a cluster words it, after the kind and before the reason."""
_VALUES: Final = {True: "true", False: "false", None: "unknown"}
KIND_COLUMNS: Final = ("kind", "seen", "what it tells")
NODE_COLUMNS: Final = ("node", "state", "devices", "requested")
POD_COLUMNS: Final = ("pod", "state", "devices", "node", "restarts", "belongs to")
TARGET_COLUMNS: Final = ("scales", "desired", "ready", "who else writes its replicas")
_REASONS: Final = {
    MissingReason.NO_PERMISSION: "no permission",
    MissingReason.NOT_SUPPORTED: "not installed",
    MissingReason.SOURCE_UNREACHABLE: "unreachable",
    MissingReason.NOT_READ_YET: "not read yet",
}


def kind_rows(view: ClusterView) -> list[Row]:
    """One row per kind: how many, or why not."""
    return [
        ("pods", _seen(view.pods), "replicas, lead times, why one does not start"),
        ("nodes", _seen(view.nodes), "accelerators that are there and free"),
        ("replica sets", _seen(view.replica_sets), "whose a pod is"),
        ("deployments", _seen(view.deployments), "desired and ready replicas"),
        ("leader-worker sets", _seen(view.leader_worker_sets), "replicas of several pods"),
        ("inference services", _seen(view.inference_services), "services of KServe"),
        ("LLM inference services", _seen(view.llm_inference_services), "services of KServe"),
        ("autoscalers", _seen(view.autoscalers), "who else scales"),
        ("scaled objects", _seen(view.scaled_objects), "who else scales (KEDA)"),
        ("leases", _seen(view.leases), "who leads"),
    ]


def _seen(reading: Reading[tuple[T, ...]]) -> str:
    match reading:
        case Missing(reason=reason):
            return _REASONS.get(reason, reason.value)
        case Stale(value=value):
            return f"{len(value)}, not heard of lately"
        case _:
            return str(len(reading.value))


def node_rows(view: ClusterView) -> list[Row]:
    """Nodes that have devices, with what pods have asked of them."""
    pods = known_value(view.pods)
    return [
        (
            node.identity.reference.name,
            _node_state(node),
            _counts(node.allocatable_devices.items()),
            UNKNOWN if pods is None else _counts(_requested(node, pods=pods)),
        )
        for node in known_value(view.nodes) or ()
        if node.installed_devices or node.allocatable_devices
    ]


def _node_state(node: Node) -> str:
    ready = {True: "ready", False: "not ready", None: UNKNOWN}[node.is_ready]
    return f"{ready}, cordoned" if node.is_cordoned else ready


def _requested(node: Node, *, pods: Sequence[Pod]) -> Iterator[tuple[str, int]]:
    here = [each for each in pods if each.node_name == node.identity.reference.name]
    for device in sorted(node.allocatable_devices):
        running = (each for each in here if each.phase not in {"Succeeded", "Failed"})
        yield device, sum(each.requested_devices.get(device, 0) for each in running)


def pod_rows(view: ClusterView) -> list[Row]:
    """Pods that ask for devices or belong to a service, with what keeps them from being ready."""
    known = owners(view)
    rows: list[Row] = []
    for pod in known_value(view.pods) or ():
        chain = owner_chain(pod, known=known)
        top = chain[-1] if chain else None
        if pod.requested_devices or (top and top.kind in {"InferenceService", "LeaderWorkerSet"}):
            belongs = f"{top.kind} {top.name}" if top else "nobody"
            restarts = sum(each.restart_count or 0 for each in pod.containers)
            devices = _counts(pod.requested_devices.items())
            node = pod.node_name or ""
            rows.append(
                (_name(pod.identity), _pod_state(pod), devices, node, str(restarts), belongs)
            )
    return rows


def _pod_state(pod: Pod) -> str:
    if pod.identity.deletion_timestamp_seconds is not None:
        return "ending"
    if pod.unschedulable_message is not None:
        return f"unschedulable: {pod.unschedulable_message}"
    for each in pod.containers:
        if each.waiting_reason is not None:
            ended = f" after {each.last_end_reason}" if each.last_end_reason else ""
            return f"{each.waiting_reason}{ended}"
    phase = (pod.phase or UNKNOWN).lower()
    return "ready" if pod.is_ready else phase


def target_rows(view: ClusterView) -> list[Row]:
    """What has replicas to set, and who else does."""
    rows: list[Row] = []
    for each in _targets(view):
        reference = each.identity.reference
        found = replica_claims(view, reference)
        claims = [
            f"{claim.kind} {claim.name}{' (paused)' if claim.is_paused else ''}"
            for claim in found.claims
        ]
        claims += [f"{kind} cannot be seen" for kind in found.unseen]
        desired, ready = _number(each.desired_replicas), _number(each.ready_replicas)
        name = f"{reference.kind} {_name(each.identity)}"
        rows.append((name, desired, ready, ", ".join(claims) or "nobody"))
    return rows


def _targets(view: ClusterView) -> Iterable[Workload]:
    yield from known_value(view.deployments) or ()
    yield from known_value(view.leader_worker_sets) or ()


def service_lines(view: ClusterView, *, facts: ConditionFacts) -> list[str]:
    """KServe's services, a line each, with the conditions that are not as they should be."""
    services: tuple[InferenceService | LlmInferenceService, ...] = (
        *(known_value(view.inference_services) or ()),
        *(known_value(view.llm_inference_services) or ()),
    )
    return [
        f"{each.identity.reference.kind} {_name(each.identity)}: {_conditions(each, facts)}"
        f"{f', at {each.url}' if each.url else ''}"
        for each in services
    ]


def problem_lines(view: ClusterView) -> list[str]:
    """What went wrong, a line each; what several kinds tell with the same words once, with the count."""
    by_reason: dict[str, list[str]] = {}
    for problem in view.problems:
        line = f"{problem.source}: {problem.message}"
        _, is_unread, reason = problem.message.partition(CANNOT_BE_READ)
        by_reason.setdefault(reason if is_unread else line, []).append(line)
    return [
        lines[0] if len(lines) == 1 else f"kubernetes: {len(lines)} kinds {CANNOT_BE_READ}{reason}"
        for reason, lines in by_reason.items()
    ]


def _conditions(service: InferenceService | LlmInferenceService, facts: ConditionFacts) -> str:
    kind, found = service.identity.reference.kind, service.conditions
    failing = [
        f"{each.name} is {_VALUES[each.is_true]} ({each.reason or UNKNOWN})"
        for each in found
        if not facts.is_good(each, kind=kind)
    ]
    if failing:
        return ", ".join(failing)
    return "ready" if found else "no state told yet"


def _name(who: ObjectIdentity) -> str:
    reference = who.reference
    return f"{reference.namespace}/{reference.name}" if reference.namespace else reference.name


def _number(value: int | None) -> str:
    return UNKNOWN if value is None else str(value)


def _counts(pairs: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{count} {name}" for name, count in pairs) or "none"
