"""The role for observing grants what the reader asks for, and nothing more."""

from pathlib import Path

import pytest
import yaml
from kubernetes import client

from collector.sources.kubernetes_api.resources import RESOURCES, VERBS
from support.cluster_worlds import reading
from support.control_plane import OBSERVE_ROLE, wait_for
from support.kube_api import running_kube_api
from support.kube_objects import write_kubeconfig

KINDS = {
    "Namespace": client.V1Namespace,
    "ServiceAccount": client.V1ServiceAccount,
    "ClusterRole": client.V1ClusterRole,
    "ClusterRoleBinding": client.V1ClusterRoleBinding,
}


@pytest.fixture(scope="module")
def documents():
    return {each["kind"]: each for each in yaml.safe_load_all(OBSERVE_ROLE.read_text())}


@pytest.fixture(scope="module")
def granted(documents):
    return {
        (verb, group, resource)
        for rule in documents["ClusterRole"]["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }


def test_the_role_is_the_table_of_what_is_read(granted):
    table = {(verb, each.group, each.plural) for each in RESOURCES for verb in VERBS}
    assert granted == table


def test_the_role_is_what_a_server_is_asked_for(granted, tmp_path: Path):
    with running_kube_api() as api:
        kubeconfig = write_kubeconfig(tmp_path / "kubeconfig", server=api.url)
        with reading(kubeconfig):
            wait_for(
                lambda: all(api.count("watch", each.plural) for each in RESOURCES),
                what="a watch of every kind",
            )
        assert api.verbs() == granted


def test_kubernetes_knows_every_key(documents):
    assert set(documents) == set(KINDS)
    for kind, document in documents.items():
        understood = KINDS[kind].from_dict(document)
        assert client.ApiClient().sanitize_for_serialization(understood) == document


def test_the_role_is_bound_to_the_account_of_the_file(documents):
    binding, account = documents["ClusterRoleBinding"], documents["ServiceAccount"]["metadata"]
    assert binding["roleRef"]["name"] == documents["ClusterRole"]["metadata"]["name"]
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}
    ]
