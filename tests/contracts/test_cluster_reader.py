"""What every cluster must look like to its reader: the hand-written API server, and a real one (marked)."""

import pytest

from collector.model.cluster import ObjectReference
from collector.model.cluster_relations import ClaimKind, replica_claims
from collector.model.reading import Fresh, Missing, MissingReason, known_value
from support.cluster_worlds import FakeWorld, RealWorld, reading, until
from support.control_plane import BINARIES, running_control_plane
from support.kube_api import running_kube_api
from support.kube_objects import named

LEASE = "coordination.k8s.io/v1"


@pytest.fixture(scope="module")
def real_plane(tmp_path_factory):
    if not (BINARIES / "kube-apiserver").exists():
        pytest.skip("no control plane was built: make test-kubernetes")
    with running_control_plane(tmp_path_factory.mktemp("plane")) as plane:
        plane.install("serving.kserve.io_inferenceservices.yaml")
        plane.install("serving.kserve.io_llminferenceservices.yaml")
        plane.install("leaderworkerset.x-k8s.io_leaderworkersets.yaml")
        yield plane


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.kubernetes)])
def world(request, tmp_path):
    if request.param == "real":
        yield RealWorld(request.getfixturevalue("real_plane"))
        return
    with running_kube_api() as api:
        yield FakeWorld(api, tmp_path)


def lease(name, *, holder="a"):
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 15}
    return named(name, apiVersion=LEASE, kind="Lease", spec=spec)


def inference_service(name):
    return named(
        name,
        apiVersion="serving.kserve.io/v1beta1",
        kind="InferenceService",
        spec={"predictor": {"minReplicas": 1, "maxReplicas": 4}},
        status={
            "url": "http://chat.example",
            "conditions": [{"type": "Ready", "status": "False", "reason": "PredictorNotReady"}],
            "modelStatus": {
                "states": {"activeModelState": "Loading", "targetModelState": "Loaded"},
                "transitionStatus": "InProgress",
            },
        },
    )


def by_name(reading_, name):
    found = known_value(reading_) or ()
    return next((each for each in found if each.identity.reference.name == name), None)


def test_what_was_there_before_is_seen_at_the_first_look(world):
    world.put(lease("before"))
    with reading(world.kubeconfig) as reader:
        view = reader.read_cluster()
    assert isinstance(view.leases, Fresh)
    found = by_name(view.leases, "before")
    assert (found.holder, found.duration_seconds) == ("a", 15.0)


def test_what_comes_changes_and_goes_is_followed(world):
    with reading(world.kubeconfig) as reader:
        world.put(lease("moving"))
        until(reader, lambda view: by_name(view.leases, "moving"), what="the lease")
        world.put(lease("moving", holder="b"))
        until(reader, lambda view: by_name(view.leases, "moving").holder == "b", what="its change")
        world.delete(lease("moving"))
        until(reader, lambda view: not by_name(view.leases, "moving"), what="its end")


def test_an_inference_service_tells_its_bounds_and_its_state(world):
    world.put(inference_service("chat"))
    with reading(world.kubeconfig) as reader:
        found = until(
            reader,
            lambda view: getattr(by_name(view.inference_services, "chat"), "conditions", ()),
            what="the service's status",
        ).inference_services
    chat = by_name(found, "chat")
    assert (chat.min_replicas, chat.max_replicas) == (1, 4)
    assert chat.url == "http://chat.example"
    assert chat.model_state == "Loading"
    [ready] = chat.conditions
    assert (ready.name, ready.is_true, ready.reason) == ("Ready", False, "PredictorNotReady")


def test_a_group_of_pods_tells_its_size_and_its_count(world):
    world.put(
        named(
            "llama",
            apiVersion="leaderworkerset.x-k8s.io/v1",
            kind="LeaderWorkerSet",
            spec={"replicas": 2, "leaderWorkerTemplate": {"size": 4, "workerTemplate": {}}},
            status={"replicas": 2, "observedGeneration": 1},
        )
    )
    with reading(world.kubeconfig) as reader:
        found = by_name(reader.read_cluster().leader_worker_sets, "llama")
    assert (found.desired_replicas, found.pods_per_replica) == (2, 4)
    assert (found.current_replicas, found.ready_replicas) == (2, 0)


def test_what_is_not_installed_is_missing_and_hides_nothing_else(world):
    with reading(world.kubeconfig) as reader:
        view = reader.read_cluster()
    assert view.scaled_objects == Missing(
        reason=MissingReason.NOT_SUPPORTED, source="kubernetes:ScaledObject"
    )
    assert isinstance(view.pods, Fresh)
    assert view.problems == ()


def test_what_is_forbidden_is_missing_and_names_the_right_until_it_is_given(world):
    world.forbid("leases")
    with reading(world.kubeconfig) as reader:
        view = until(reader, lambda view: isinstance(view.leases, Missing), what="the refusal")
        assert view.leases.reason is MissingReason.NO_PERMISSION
        assert isinstance(view.pods, Fresh)
        [problem] = view.problems
        assert problem.source == "kubernetes:Lease"
        assert (
            'a ClusterRole with apiGroups: ["coordination.k8s.io"], resources: [leases], '
            "verbs: [list, watch]" in problem.message
        )
        world.allow_all()
        view = until(reader, lambda view: isinstance(view.leases, Fresh), what="the right")
        assert view.problems == ()


def test_one_namespace_shows_its_own_and_the_nodes(world):
    world.put(named("elsewhere", namespace=None, apiVersion="v1", kind="Node"))
    world.put(lease("here"))
    with reading(world.kubeconfig, namespace="kube-public") as reader:
        view = reader.read_cluster()
    assert by_name(view.leases, "here") is None
    assert isinstance(view.leases, Fresh)
    assert by_name(view.nodes, "elsewhere")


def test_an_autoscaler_is_found_to_claim_its_target(world):
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"}
    world.put(
        named(
            "chat-scaler",
            apiVersion="autoscaling/v2",
            kind="HorizontalPodAutoscaler",
            spec={"scaleTargetRef": target, "minReplicas": 1, "maxReplicas": 3},
        )
    )
    with reading(world.kubeconfig) as reader:
        view = reader.read_cluster()
    deployment = ObjectReference(group="apps", kind="Deployment", namespace="default", name="chat")
    claims = replica_claims(view, deployment)
    assert [(each.kind, each.name) for each in claims.claims] == [
        (ClaimKind.AUTOSCALER, "chat-scaler")
    ]
    # The Deployment itself is not there, so who wrote its field is not known.
    assert claims.unseen == ("Deployment",)
