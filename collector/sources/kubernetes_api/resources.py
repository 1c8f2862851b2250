"""What is asked of the API server: one row per kind, which is also what the rights must allow.

`deploy/kubernetes/rbac/observe.yaml` grants exactly these rows, list and watch, and a test holds the two
together.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from collector.model.cluster import ClusterKind, ObjectIdentity
from collector.sources.kubernetes_api.fields import Fields
from collector.sources.kubernetes_api.pods import node, pod
from collector.sources.kubernetes_api.scalers import autoscaler, scaled_object
from collector.sources.kubernetes_api.serving import inference_service, llm_inference_service
from collector.sources.kubernetes_api.workloads import (
    deployment,
    leader_worker_set,
    lease,
    replica_set,
)

VERBS: Final = ("list", "watch")


class Identified(Protocol):
    """Any object of the model."""

    @property
    def identity(self) -> ObjectIdentity:
        """Who it is."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One kind of object: where it is, and how it is read."""

    kind: ClusterKind
    group: str  # "" is the core group
    versions: tuple[str, ...]  # newest first; the first one that is served is read
    plural: str
    normalise: Callable[[Fields], Identified | None]  # None: the object has no name
    has_namespaces: bool = True
    wants_metadata_only: bool = False  # spares reading what nobody looks at

    def path(self, *, version: str, namespace: str | None) -> str:
        """Where the API server has it; namespace None: all of them."""
        root = f"/apis/{self.group}/{version}" if self.group else f"/api/{version}"
        where = f"/namespaces/{namespace}" if namespace and self.has_namespaces else ""
        return f"{root}{where}/{self.plural}"

    def lacking_rule(self, *, namespace: str | None) -> str:
        """The rule of RBAC that would allow to read it, as one line."""
        binding = "a Role there" if namespace and self.has_namespaces else "a ClusterRole"
        verbs = ", ".join(VERBS)
        return f'{binding} with apiGroups: ["{self.group}"], resources: [{self.plural}], verbs: [{verbs}]'


RESOURCES: Final = (
    Resource(kind=ClusterKind.POD, group="", versions=("v1",), plural="pods", normalise=pod),
    Resource(
        kind=ClusterKind.NODE,
        group="",
        versions=("v1",),
        plural="nodes",
        normalise=node,
        has_namespaces=False,
    ),
    Resource(
        kind=ClusterKind.REPLICA_SET,
        group="apps",
        versions=("v1",),
        plural="replicasets",
        normalise=replica_set,
        wants_metadata_only=True,
    ),
    Resource(
        kind=ClusterKind.DEPLOYMENT,
        group="apps",
        versions=("v1",),
        plural="deployments",
        normalise=deployment,
    ),
    Resource(
        kind=ClusterKind.LEADER_WORKER_SET,
        group="leaderworkerset.x-k8s.io",
        versions=("v1",),
        plural="leaderworkersets",
        normalise=leader_worker_set,
    ),
    Resource(
        kind=ClusterKind.INFERENCE_SERVICE,
        group="serving.kserve.io",
        versions=("v1beta1",),
        plural="inferenceservices",
        normalise=inference_service,
    ),
    Resource(
        kind=ClusterKind.LLM_INFERENCE_SERVICE,
        group="serving.kserve.io",
        versions=("v1alpha2", "v1alpha1"),
        plural="llminferenceservices",
        normalise=llm_inference_service,
    ),
    Resource(
        kind=ClusterKind.AUTOSCALER,
        group="autoscaling",
        versions=("v2",),
        plural="horizontalpodautoscalers",
        normalise=autoscaler,
    ),
    Resource(
        kind=ClusterKind.SCALED_OBJECT,
        group="keda.sh",
        versions=("v1alpha1",),
        plural="scaledobjects",
        normalise=scaled_object,
    ),
    Resource(
        kind=ClusterKind.LEASE,
        group="coordination.k8s.io",
        versions=("v1",),
        plural="leases",
        normalise=lease,
    ),
)
