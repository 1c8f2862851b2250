"""A real control plane, seen: pods that cannot be scheduled until a machine comes, and whose they are."""

import pytest

from collector.model.cluster_relations import ClaimKind, owner_chain, owners, replica_claims
from collector.model.reading import Missing, MissingReason, known_value
from support.cluster_worlds import RealWorld, reading, until
from support.control_plane import BINARIES, OBSERVE_ROLE, running_control_plane
from support.kube_objects import named

pytestmark = pytest.mark.kubernetes
GPU = "nvidia.com/gpu"


@pytest.fixture(scope="module")
def plane(tmp_path_factory):
    if not (BINARIES / "kube-apiserver").exists():
        pytest.skip("no control plane was built: make test-kubernetes")
    with running_control_plane(tmp_path_factory.mktemp("plane")) as started:
        yield started


@pytest.fixture
def world(plane):
    return RealWorld(plane)


def gpu_deployment(name, *, gpus):
    engine = {"name": "engine", "image": "engine", "resources": {"limits": {GPU: str(gpus)}}}
    return named(
        name,
        apiVersion="apps/v1",
        kind="Deployment",
        spec={
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [engine]}},
        },
    )


def gpu_node(name, *, gpus):
    devices = {GPU: str(gpus), "pods": "10", "cpu": "8", "memory": "64Gi"}
    ready = {"type": "Ready", "status": "True", "reason": "Test", "message": "ready"}
    return named(
        name,
        namespace=None,
        apiVersion="v1",
        kind="Node",
        status={"allocatable": devices, "capacity": devices, "conditions": [ready]},
    )


def pods_of(view, name):
    found = known_value(view.pods) or ()
    return [each for each in found if each.identity.labels.get("app") == name]


def test_a_pod_waits_for_accelerators_says_so_and_is_placed_when_they_come(world):
    world.put(gpu_deployment("waiting", gpus=16))
    with reading(world.kubeconfig) as reader:
        view = until(
            reader,
            lambda view: [e for e in pods_of(view, "waiting") if e.unschedulable_message],
            what="the scheduler's complaint",
        )
        [pod] = pods_of(view, "waiting")
        assert "available" in pod.unschedulable_message
        assert (pod.phase, pod.node_name, pod.requested_devices) == ("Pending", None, {GPU: 16})
        world.put(gpu_node("big", gpus=32))
        view = until(
            reader,
            lambda view: [each for each in pods_of(view, "waiting") if each.node_name],
            what="a place for the pod",
        )
        [pod] = pods_of(view, "waiting")
        assert (pod.node_name, pod.unschedulable_message) == ("big", None)
        assert pod.scheduled_timestamp_seconds >= pod.identity.created_timestamp_seconds
        [node] = known_value(view.nodes)
        assert (node.allocatable_devices, node.is_ready) == ({GPU: 32}, True)
        chain = owner_chain(pod, known=owners(view))
        assert [each.kind for each in chain] == ["ReplicaSet", "Deployment"]


def test_who_scaled_a_deployment_through_the_scale_door_is_told(world, plane):
    world.put(gpu_deployment("scaled", gpus=1))
    api = plane.admin.resources.get(api_version="apps/v1", kind="Deployment")
    api.scale.patch(
        name="scaled",
        namespace="default",
        body={"spec": {"replicas": 2}},
        content_type="application/merge-patch+json",
        field_manager="somebody",
    )
    with reading(world.kubeconfig) as reader:
        view = reader.read_cluster()
    [target] = [
        each for each in known_value(view.deployments) if each.identity.reference.name == "scaled"
    ]
    assert target.desired_replicas == 2
    [writer] = [each for each in target.replica_writers if each.manager == "somebody"]
    assert writer.subresource == "scale"
    claims = replica_claims(view, target.identity.reference)
    assert ("somebody", ClaimKind.FIELD) in {(each.name, each.kind) for each in claims.claims}


def test_a_definition_that_comes_while_we_watch_is_followed(world, plane):
    with reading(world.kubeconfig) as reader:
        before = reader.read_cluster().scaled_objects
        assert isinstance(before, Missing)
        assert before.reason is MissingReason.NOT_SUPPORTED
        plane.install("keda.sh_scaledobjects.yaml")
        scaled = named(
            "by-keda",
            apiVersion="keda.sh/v1alpha1",
            kind="ScaledObject",
            spec={"scaleTargetRef": {"name": "chat"}, "triggers": [], "maxReplicaCount": 5},
        )
        world.put(scaled)
        view = until(reader, lambda view: known_value(view.scaled_objects), what="the object")
    [found] = view.scaled_objects.value
    assert (found.max_replicas, found.target.kind, found.target.name) == (5, "Deployment", "chat")


def test_the_account_of_the_manifest_is_made_as_it_stands(plane):
    plane.apply_file(OBSERVE_ROLE)
    api = plane.admin.resources.get(api_version="v1", kind="ServiceAccount")
    assert api.get(name="foresail-observe", namespace="foresail")
