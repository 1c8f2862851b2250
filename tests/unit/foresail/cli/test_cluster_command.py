"""`foresail cluster`: what it prints of a cluster, what it says of what it cannot see, and its exit codes."""

import json

import pytest

from foresail.cli.main import main
from support.kube_api import running_kube_api
from support.kube_objects import named, owned_by, write_kubeconfig


@pytest.fixture
def api():
    with running_kube_api() as server:
        yield server


@pytest.fixture
def kubeconfig(api, tmp_path):
    return write_kubeconfig(tmp_path / "kubeconfig", server=api.url)


def fill(api):
    api.put(
        "nodes",
        named(
            "gpu-1",
            namespace=None,
            status={
                "allocatable": {"nvidia.com/gpu": "8"},
                "conditions": [{"type": "Ready", "status": "True"}],
            },
        ),
    )
    api.put("deployments", named("chat", spec={"replicas": 2}, status={"readyReplicas": 1}))
    api.put(
        "replicasets", named("chat-1", metadata=owned_by("Deployment", "chat", version="apps/v1"))
    )
    engine = {"name": "c", "resources": {"limits": {"nvidia.com/gpu": "2"}}}
    waiting = {"name": "c", "state": {"waiting": {"reason": "ImagePullBackOff"}}}
    api.put(
        "pods",
        named(
            "chat-1-a",
            metadata=owned_by("ReplicaSet", "chat-1", version="apps/v1"),
            spec={"nodeName": "gpu-1", "containers": [engine]},
            status={"phase": "Pending", "containerStatuses": [waiting]},
        ),
    )
    api.put("horizontalpodautoscalers", named("by-hand", spec={"scaleTargetRef": CHAT}))
    not_ready = {"type": "Ready", "status": "False", "reason": "PredictorNotReady"}
    runs = {"type": "Stopped", "status": "False"}
    api.put("inferenceservices", named("llm", status={"conditions": [not_ready, runs]}))


CHAT = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "chat"}


def test_the_tables_say_what_is_there_and_who_else_scales(api, kubeconfig, capsys):
    fill(api)
    api.refusals["scaledobjects"] = 404
    assert main(["cluster", "--kubeconfig", str(kubeconfig)], environ={}) == 0
    lines = [" ".join(each.split()) for each in capsys.readouterr().out.splitlines()]
    assert "scaled objects not installed who else scales (KEDA)" in lines
    assert "gpu-1 ready 8 nvidia.com/gpu 2 nvidia.com/gpu" in lines
    assert "default/chat-1-a ImagePullBackOff 2 nvidia.com/gpu gpu-1 0 Deployment chat" in lines
    assert "Deployment default/chat 2 1 autoscaler by-hand" in lines
    assert "InferenceService default/llm: Ready is false (PredictorNotReady)" in lines


def test_what_is_forbidden_is_named_and_found(api, kubeconfig, capsys):
    api.refusals["nodes"] = 403
    assert main(["cluster"], environ={"KUBECONFIG": str(kubeconfig)}) == 1
    out = capsys.readouterr().out
    assert 'lacking is a ClusterRole with apiGroups: [""], resources: [nodes]' in out


def test_json_carries_readings_with_their_kind(api, kubeconfig, capsys):
    fill(api)
    assert main(["cluster", "--kubeconfig", str(kubeconfig), "--json"], environ={}) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["pods"]["kind"] == "fresh"
    assert document["pods"]["value"][0]["requested_devices"] == {"nvidia.com/gpu": 2}


def test_one_namespace_is_asked_for_alone(api, kubeconfig, capsys):
    fill(api)
    arguments = ["cluster", "--kubeconfig", str(kubeconfig), "--namespace", "other", "--json"]
    assert main(arguments, environ={}) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["pods"]["value"] == []
    assert len(document["nodes"]["value"]) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(None, "no cluster can be reached with it", id="no-file"),
        pytest.param("[", "no cluster can be reached with it", id="no-yaml"),
        pytest.param("{}", "no cluster can be reached with it", id="empty"),
    ],
)
def test_a_file_that_names_no_cluster_is_wrong_use(tmp_path, capsys, content, said):
    path = tmp_path / "kubeconfig"
    if content is not None:
        path.write_text(content)
    assert main(["cluster", "--kubeconfig", str(path)], environ={}) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert error.startswith(f"foresail: {path}: {said}")


def test_outside_a_pod_the_account_of_one_is_wrong_use(capsys):
    assert main(["cluster"], environ={"KUBERNETES_SERVICE_HOST": "10.0.0.1"}) == 2
    assert capsys.readouterr().err.startswith("foresail: the account of this pod: ")


def test_a_server_that_is_not_there_is_told_once(tmp_path, capsys):
    dead = write_kubeconfig(tmp_path / "dead", server="http://127.0.0.1:9")
    assert main(["cluster", "--kubeconfig", str(dead)], environ={}) == 1
    told = capsys.readouterr().out.splitlines()
    (line,) = [each for each in told if each.startswith("kubernetes")]
    assert line.startswith("kubernetes: 10 kinds cannot be read: the API server cannot be reached")
