"""Objects of the API server become facts: what each field means, and what hostile ones may not do."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.model.cluster import FieldWriter, ObjectReference, TrafficShare
from collector.sources.kubernetes_api.fields import quantity, timestamp_seconds
from collector.sources.kubernetes_api.pods import node, pod
from collector.sources.kubernetes_api.resources import RESOURCES
from collector.sources.kubernetes_api.scalers import autoscaler, scaled_object
from collector.sources.kubernetes_api.serving import inference_service, llm_inference_service
from collector.sources.kubernetes_api.workloads import deployment, lease
from support.kube_objects import named, owned_by

GPU = "nvidia.com/gpu"


def container(name="c", *, gpus=None, **more):
    limits = {} if gpus is None else {"limits": {GPU: gpus, "memory": "4Gi"}}
    return {"name": name, "resources": limits, **more}


def test_a_pod_tells_the_parts_of_its_lead_time():
    found = pod(
        named(
            "p",
            metadata={"creationTimestamp": "1970-01-01T00:01:40Z"},
            spec={"nodeName": "n1", "terminationGracePeriodSeconds": 60},
            status={
                "phase": "Running",
                "podIP": "10.0.0.1",
                "startTime": "1970-01-01T00:01:42Z",
                "conditions": [
                    {
                        "type": "PodScheduled",
                        "status": "True",
                        "lastTransitionTime": "1970-01-01T00:01:41Z",
                    },
                    {
                        "type": "Ready",
                        "status": "True",
                        "lastTransitionTime": "1970-01-01T00:03:20Z",
                    },
                ],
            },
        )
    )
    assert found.identity.created_timestamp_seconds == 100.0
    assert found.scheduled_timestamp_seconds == 101.0
    assert found.started_timestamp_seconds == 102.0
    assert found.ready_timestamp_seconds == 200.0
    assert (found.phase, found.is_ready, found.node_name) == ("Running", True, "n1")
    assert found.grace_seconds == 60.0


def test_a_pod_that_is_not_ready_has_no_time_of_readiness():
    ready = {"type": "Ready", "status": "False", "lastTransitionTime": "1970-01-01T00:03:20Z"}
    found = pod(named("p", status={"conditions": [ready]}))
    assert (found.is_ready, found.ready_timestamp_seconds) == (False, None)


def test_an_unschedulable_pod_says_why_in_one_line():
    told = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/1 nodes are available:\n1 Insufficient nvidia.com/gpu.",
    }
    found = pod(named("p", status={"phase": "Pending", "conditions": [told]}))
    assert found.unschedulable_message == "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    assert found.scheduled_timestamp_seconds is None


def test_a_container_tells_why_it_waits_and_how_it_ended():
    status = {
        "name": "engine",
        "ready": False,
        "restartCount": 3,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}},
        "lastState": {
            "terminated": {
                "reason": "OOMKilled",
                "exitCode": 137,
                "finishedAt": "1970-01-01T00:00:10Z",
            }
        },
    }
    [found] = pod(named("p", status={"containerStatuses": [status]})).containers
    assert (found.waiting_reason, found.waiting_message) == ("CrashLoopBackOff", "back-off 5m0s")
    assert (found.last_end_reason, found.last_exit_code) == ("OOMKilled", 137)
    assert (found.restart_count, found.last_end_timestamp_seconds) == (3, 10.0)
    assert found.started_timestamp_seconds is None


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param({"containers": [container(gpus="2")]}, {GPU: 2}, id="limits-alone"),
        pytest.param({"containers": [container(gpus=2), container(gpus=1)]}, {GPU: 3}, id="sum"),
        pytest.param(
            {"initContainers": [container(gpus="4")], "containers": [container(gpus="2")]},
            {GPU: 4},
            id="init-before",
        ),
        pytest.param(
            {
                "initContainers": [container(gpus="1", restartPolicy="Always")],
                "containers": [container(gpus="2")],
            },
            {GPU: 3},
            id="sidecar-beside",
        ),
        pytest.param({"containers": [container()]}, {}, id="none"),
        pytest.param({"containers": [container(gpus="0")]}, {}, id="zero"),
    ],
)
def test_devices_are_counted_as_the_scheduler_does(spec, expected):
    assert pod(named("p", spec=spec)).requested_devices == expected


def test_a_node_tells_devices_and_not_cpu_or_memory():
    found = node(
        named(
            "n",
            namespace=None,
            spec={
                "unschedulable": True,
                "taints": [{"key": "gpu", "value": "yes", "effect": "NoSchedule"}],
            },
            status={
                "allocatable": {
                    "cpu": "8",
                    "memory": "32Gi",
                    GPU: "7",
                    "nvidia.com/mig-1g.10gb": "2",
                    "attachable-volumes.kubernetes.io/x": "3",
                },
                "capacity": {GPU: "8"},
                "conditions": [{"type": "Ready", "status": "Unknown"}],
            },
        )
    )
    assert found.allocatable_devices == {GPU: 7, "nvidia.com/mig-1g.10gb": 2}
    assert found.installed_devices == {GPU: 8}
    assert found.is_cordoned
    assert found.is_ready is None
    assert [(each.key, each.effect) for each in found.taints] == [("gpu", "NoSchedule")]


def test_a_count_that_is_left_out_is_zero_only_once_the_controller_has_spoken():
    silent = deployment(named("d", spec={"replicas": 3}))
    spoken = deployment(named("d", spec={"replicas": 3}, status={"observedGeneration": 1}))
    assert (silent.ready_replicas, spoken.ready_replicas) == (None, 0)


def test_who_wrote_the_number_of_replicas_is_told_with_the_door():
    fields = [
        {
            "manager": "kube-controller-manager",
            "subresource": "scale",
            "time": "1970-01-01T00:00:05Z",
            "fieldsV1": {"f:spec": {"f:replicas": {}}},
        },
        {"manager": "helm", "fieldsV1": {"f:spec": {"f:template": {}}}},
    ]
    found = deployment(named("d", metadata={"managedFields": fields}))
    assert found.replica_writers == (
        FieldWriter(
            manager="kube-controller-manager", subresource="scale", written_timestamp_seconds=5.0
        ),
    )


def test_only_the_controlling_owner_is_the_owner():
    metadata = owned_by("ReplicaSet", "d-1", version="apps/v1")
    metadata["ownerReferences"].insert(0, {"apiVersion": "v1", "kind": "Node", "name": "n"})
    found = pod(named("p", metadata=metadata))
    assert found.identity.owner == ObjectReference(
        group="apps", kind="ReplicaSet", namespace="default", name="d-1"
    )


def test_traffic_is_read_from_either_form_of_the_status():
    old = {
        "components": {
            "predictor": {
                "traffic": [{"revisionName": "r2", "percent": 10, "latestRevision": True}]
            }
        }
    }
    new = {"canaryStatuses": [{"name": "canary", "trafficPercent": 25}]}
    assert inference_service(named("s", status=old)).traffic == (
        TrafficShare(revision="r2", share_ratio=0.1, is_latest=True),
    )
    assert inference_service(named("s", status=new)).traffic == (
        TrafficShare(revision="canary", share_ratio=0.25, is_latest=None),
    )


def test_a_service_whose_workload_is_autoscaled_has_no_number_of_its_own():
    found = llm_inference_service(
        named(
            "s",
            spec={"scaling": {"minReplicas": 1}},
            status={"workloads": {"primary": {"readyReplicas": 2}}},
        )
    )
    assert (found.desired_replicas, found.is_autoscaled, found.ready_replicas) == (None, True, 2)


def test_a_scaled_object_means_a_deployment_unless_it_says_otherwise():
    found = scaled_object(named("s", spec={"scaleTargetRef": {"name": "d"}}))
    assert found.target == ObjectReference(
        group="apps", kind="Deployment", namespace="default", name="d"
    )


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param(
            {"metadata": {"annotations": {"autoscaling.keda.sh/paused": "true"}}}, id="paused"
        ),
        pytest.param(
            {"metadata": {"annotations": {"autoscaling.keda.sh/paused-replicas": "2"}}},
            id="paused-at",
        ),
        pytest.param(
            {"status": {"conditions": [{"type": "Paused", "status": "True"}]}}, id="condition"
        ),
    ],
)
def test_a_scaled_object_that_is_paused_says_so(parts):
    assert scaled_object(named("s", **parts)).is_paused


def test_an_autoscaler_tells_bounds_and_numbers():
    found = autoscaler(
        named(
            "h",
            spec={"minReplicas": 1, "maxReplicas": 9},
            status={"currentReplicas": 2, "desiredReplicas": 3},
        )
    )
    assert (found.min_replicas, found.max_replicas) == (1, 9)
    assert (found.current_replicas, found.desired_replicas, found.target) == (2, 3, None)


def test_a_lease_that_was_released_has_no_holder():
    spec = {"holderIdentity": "", "renewTime": "1970-01-01T00:00:01.500000Z"}
    found = lease(named("l", spec=spec))
    assert (found.holder, found.renewed_timestamp_seconds) == (None, 1.5)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("8", 8),
        (8, 8),
        ("2k", 2000),
        ("1Ki", 1024),
        ("500m", None),
        ("-1", None),
        (-1, None),
        (True, None),
        (1.5, None),
        ("", None),
        ("٣", None),
        ("9" * 30, None),
        (None, None),
    ],
)
def test_a_quantity_of_devices_is_whole_or_nothing(value, expected):
    assert quantity(value) == expected


@pytest.mark.parametrize("value", ["", "yesterday", "9999-99-99T00:00:00Z", 7, None])
def test_a_time_that_is_none_is_none(value):
    assert timestamp_seconds({"t": value}, "t") is None


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
KEYS = st.sampled_from(
    [
        "metadata",
        "name",
        "namespace",
        "annotations",
        "labels",
        "managedFields",
        "ownerReferences",
        "fieldsV1",
        "f:spec",
        "f:replicas",
        "controller",
        "kind",
        "apiVersion",
        "scaleTargetRef",
        "spec",
        "replicas",
        "containers",
        "initContainers",
        "resources",
        "limits",
        "nvidia.com/gpu",
        "status",
        "conditions",
        "type",
        "containerStatuses",
        "state",
        "lastState",
        "terminated",
        "waiting",
        "components",
        "predictor",
        "traffic",
        "percent",
        "workloads",
        "primary",
        "readyReplicas",
        "allocatable",
        "taints",
        "leaseDurationSeconds",
    ]
)
HOSTILE = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=40,
)


@given(st.dictionaries(KEYS, HOSTILE, max_size=8), st.sampled_from(RESOURCES))
def test_no_object_can_end_its_reader(raw, resource):
    resource.normalise(raw)


@given(st.dictionaries(KEYS, HOSTILE, max_size=8), st.sampled_from(RESOURCES))
def test_an_object_with_a_name_is_kept_and_never_counts_below_zero(raw, resource):
    found = resource.normalise({**raw, "metadata": {"name": "x", "namespace": "y"}})
    assert found.identity.reference.name == "x"
    for field in dataclasses.fields(found):
        value = getattr(found, field.name)
        if field.name.endswith("_replicas") and value is not None:
            assert isinstance(value, int)
            assert value >= 0
