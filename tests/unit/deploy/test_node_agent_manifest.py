"""The node agent's manifest: keys that Kubernetes knows, no more rights than it needs, and a command
line that the command itself accepts."""

from pathlib import Path

import pytest
import typer.main
import yaml
from kubernetes import client

from foresail.cli.main import application
from foresail.node_agent import listen_address

MANIFEST = Path(__file__).resolve().parents[3] / "deploy/kubernetes/node-agent/node-agent.yaml"
KINDS = {
    ("v1", "Namespace"): client.V1Namespace,
    ("v1", "ServiceAccount"): client.V1ServiceAccount,
    ("apps/v1", "DaemonSet"): client.V1DaemonSet,
    ("networking.k8s.io/v1", "NetworkPolicy"): client.V1NetworkPolicy,
}


@pytest.fixture(scope="module")
def documents():
    return {each["kind"]: each for each in yaml.safe_load_all(MANIFEST.read_text())}


@pytest.fixture(scope="module")
def pod(documents):
    return documents["DaemonSet"]["spec"]["template"]["spec"]


def test_every_document_is_a_kind_that_is_expected(documents):
    assert {(each["apiVersion"], kind) for kind, each in documents.items()} == set(KINDS)


@pytest.mark.parametrize(("version", "kind"), KINDS)
def test_kubernetes_knows_every_key(documents, version, kind):
    # Keys that the type does not know are lost on the way through it.
    document = documents[kind]
    understood = KINDS[version, kind].from_dict(document)
    assert client.ApiClient().sanitize_for_serialization(understood) == document


def test_the_pod_has_no_rights(documents, pod):
    container = pod["containers"][0]
    assert documents["ServiceAccount"]["automountServiceAccountToken"] is False
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    forbidden = {"hostNetwork", "hostPID", "hostIPC", "volumes"} & set(pod)
    assert forbidden == set()
    assert "volumeMounts" not in container


def test_the_selector_selects_its_own_pods(documents):
    spec = documents["DaemonSet"]["spec"]
    labels = spec["template"]["metadata"]["labels"]
    assert spec["selector"]["matchLabels"].items() <= labels.items()
    policy = documents["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]
    assert policy.items() <= labels.items()


def test_the_command_line_is_one_the_command_takes(pod):
    program, command, *flags = pod["containers"][0]["command"]
    assert program == "foresail"
    known = typer.main.get_command(application()).commands[command]
    parsed = known.make_context("collect", flags).params
    assert parsed["host_memory"] is False
    assert parsed["node_name"] == "$(NODE_NAME)"
    address = listen_address(parsed["listen"], allow_insecure=parsed["allow_insecure_listen"])
    assert address.port == pod["containers"][0]["ports"][0]["containerPort"]
