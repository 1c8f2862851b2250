"""What a Kubernetes cluster says of itself: pods, nodes, what serves, what scales, who holds which lease.

Made by a `ClusterReader`; read by whoever asks what runs where, how long it took to start, and who else
writes a number of replicas. Each kind of object is a reading of its own: one that is forbidden or not
installed hides nothing else. Facts only; what follows from them is in `cluster_relations`.

None in a field: the object does not say. Words that Kubernetes leaves open (reasons, messages, phases
of others' controllers) stay text.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from collector.model.reading import Reading
from collector.model.snapshot import Problem


class ClusterKind(StrEnum):
    """The kinds of objects that are looked at, by Kubernetes' names for one of them."""

    POD = "Pod"
    NODE = "Node"
    REPLICA_SET = "ReplicaSet"
    DEPLOYMENT = "Deployment"
    LEADER_WORKER_SET = "LeaderWorkerSet"
    INFERENCE_SERVICE = "InferenceService"
    LLM_INFERENCE_SERVICE = "LLMInferenceService"
    AUTOSCALER = "HorizontalPodAutoscaler"
    SCALED_OBJECT = "ScaledObject"
    LEASE = "Lease"


class PodPhase(StrEnum):
    """Where a pod is in its life. Source: core/v1 PodStatus.phase."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectReference:
    """Which object is meant."""

    group: str  # of the API, without version; "" is the core group
    kind: str
    namespace: str | None  # None: the kind has no namespaces
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectIdentity:
    """What every object has."""

    reference: ObjectReference
    uid: str | None  # another uid under the same name is another object
    labels: Mapping[str, str]
    annotations: Mapping[str, str]  # the few that say who scales or deploys the object
    owner: ObjectReference | None  # the controller that made it
    created_timestamp_seconds: float | None
    deletion_timestamp_seconds: float | None  # when its grace ends or ended; None: it is to stay


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition of an object, in the words of whoever set it."""

    name: str  # Ready, PredictorReady, MemoryPressure, ...
    is_true: bool | None  # None: Unknown
    reason: str | None
    message: str | None
    changed_timestamp_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldWriter:
    """Who wrote a field last. Source: metadata.managedFields."""

    manager: str
    subresource: str | None  # "scale": through the scale door
    written_timestamp_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerView:
    """One container of a pod, now and before its last restart."""

    name: str
    is_init: bool  # runs before the others, or beside them from the start
    is_ready: bool | None
    started_timestamp_seconds: float | None  # of the run that runs now
    restart_count: int | None
    waiting_reason: str | None  # ImagePullBackOff, CrashLoopBackOff, ...; None: it does not wait
    waiting_message: str | None
    last_end_reason: str | None  # OOMKilled, Error, ...; None: it has not ended yet
    last_exit_code: int | None
    last_end_timestamp_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One pod. The times are the parts of a lead time: created, scheduled, started, ready."""

    identity: ObjectIdentity
    phase: PodPhase | None
    node_name: str | None  # None: not scheduled
    address: str | None  # its IP
    is_ready: bool | None
    scheduled_timestamp_seconds: float | None
    started_timestamp_seconds: float | None  # the node has taken it; images come after that
    ready_timestamp_seconds: float | None  # since when it is ready; None while it is not
    unschedulable_message: str | None  # the scheduler's words; None: it does not complain
    grace_seconds: float | None  # between SIGTERM and SIGKILL
    requested_devices: Mapping[str, int]  # {nvidia.com/gpu: 2}, nvidia.com/mig-1g.10gb, ...
    containers: tuple[ContainerView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taint:
    """Keeps pods that do not tolerate it off a node."""

    key: str
    value: str
    effect: str  # NoSchedule, PreferNoSchedule, NoExecute


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One machine of the cluster."""

    identity: ObjectIdentity
    is_ready: bool | None
    is_cordoned: bool
    allocatable_devices: Mapping[str, int]  # {nvidia.com/gpu: 8}; what pods may have together
    installed_devices: Mapping[str, int]  # more than allocatable: some are unhealthy
    taints: tuple[Taint, ...]
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaSet:
    """Between a Deployment and its pods; only whose it is matters."""

    identity: ObjectIdentity


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A Deployment or a LeaderWorkerSet, whose replica is a group of pods."""

    identity: ObjectIdentity
    desired_replicas: int | None
    current_replicas: int | None
    ready_replicas: int | None
    updated_replicas: int | None
    pods_per_replica: int | None  # 1 for a Deployment, the group's size for a LeaderWorkerSet
    is_observed: bool | None  # its controller has seen the newest desired state
    conditions: tuple[Condition, ...]
    replica_writers: tuple[FieldWriter, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficShare:
    """A part of the requests, and which revision gets it."""

    revision: str | None
    share_ratio: float
    is_latest: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceService:
    """KServe's InferenceService: the predictor, which is what serves the model."""

    identity: ObjectIdentity
    deployment_mode: str | None  # Standard (older: RawDeployment), Knative (older: Serverless)
    min_replicas: int | None
    max_replicas: int | None
    url: str | None
    model_state: str | None  # Loaded, Loading, FailedToLoad, ...
    failure_message: str | None  # of the last model that did not load
    traffic: tuple[TrafficShare, ...]  # empty: it is not split, or the mode does not tell
    is_observed: bool | None
    conditions: tuple[Condition, ...]
    replica_writers: tuple[FieldWriter, ...]  # of min_replicas


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmInferenceService:
    """KServe's LLMInferenceService."""

    identity: ObjectIdentity
    desired_replicas: int | None  # None: whoever scales the workload below it decides
    desired_prefill_replicas: int | None
    is_autoscaled: bool  # has `scaling`, which excludes a number of replicas
    ready_replicas: int | None  # v1alpha2 only
    ready_prefill_replicas: int | None
    url: str | None
    is_observed: bool | None
    conditions: tuple[Condition, ...]
    replica_writers: tuple[FieldWriter, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaleRule:
    """A HorizontalPodAutoscaler or KEDA's ScaledObject: somebody who writes a number of replicas."""

    identity: ObjectIdentity
    target: ObjectReference | None
    min_replicas: int | None
    max_replicas: int | None
    current_replicas: int | None
    desired_replicas: int | None
    is_paused: bool  # told to leave the number alone
    last_scale_timestamp_seconds: float | None
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who holds a lock, and until when."""

    identity: ObjectIdentity
    holder: str | None  # None: nobody
    duration_seconds: float | None
    acquired_timestamp_seconds: float | None
    renewed_timestamp_seconds: float | None
    transition_count: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterView:
    """All of it at one moment; empty is a fact, Missing is not.

    The moments of the kinds differ by what the API server has told since: a pod may be there before
    the ReplicaSet that owns it.
    """

    pods: Reading[tuple[Pod, ...]]
    nodes: Reading[tuple[Node, ...]]
    replica_sets: Reading[tuple[ReplicaSet, ...]]
    deployments: Reading[tuple[Workload, ...]]
    leader_worker_sets: Reading[tuple[Workload, ...]]
    inference_services: Reading[tuple[InferenceService, ...]]
    llm_inference_services: Reading[tuple[LlmInferenceService, ...]]
    autoscalers: Reading[tuple[ScaleRule, ...]]
    scaled_objects: Reading[tuple[ScaleRule, ...]]
    leases: Reading[tuple[Lease, ...]]
    problems: tuple[Problem, ...] = ()
