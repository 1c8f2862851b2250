"""Clusters that a `ClusterReader` can look at, faked and real, with the same handles for the contract suite."""

import copy
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import yaml

from collector.clock import SystemClock
from collector.model.cluster import ClusterView
from collector.sources.kubernetes_api import (
    KubernetesAccess,
    KubernetesClusterReader,
    WatchPace,
    open_api,
)
from support.control_plane import OBSERVE_ROLE, ControlPlane, wait_for
from support.kube_api import KubeApi
from support.kube_objects import Raw, write_kubeconfig

QUICK = WatchPace(
    silence_seconds=3.0,
    first_pause_seconds=0.05,
    longest_pause_seconds=0.2,
    second_look_seconds=0.2,
)
PLURALS = {
    "Pod": "pods",
    "Node": "nodes",
    "ReplicaSet": "replicasets",
    "Deployment": "deployments",
    "LeaderWorkerSet": "leaderworkersets",
    "InferenceService": "inferenceservices",
    "LLMInferenceService": "llminferenceservices",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers",
    "ScaledObject": "scaledobjects",
    "Lease": "leases",
}


class World(Protocol):
    """A cluster and a way to look at it."""

    kubeconfig: Path

    def put(self, raw: Raw) -> None: ...
    def delete(self, raw: Raw) -> None: ...
    def forbid(self, plural: str) -> None: ...
    def allow_all(self) -> None: ...


class FakeWorld:
    """The hand-written server; KEDA is not installed there."""

    def __init__(self, api: KubeApi, folder: Path) -> None:
        self.api = api
        self.kubeconfig = write_kubeconfig(folder / "fake.kubeconfig", server=api.url)
        self.allow_all()

    def put(self, raw: Raw) -> None:
        self.api.put(PLURALS[raw["kind"]], raw)

    def delete(self, raw: Raw) -> None:
        metadata = raw["metadata"]
        self.api.delete(
            PLURALS[raw["kind"]], metadata["name"], namespace=metadata.get("namespace", "")
        )

    def forbid(self, plural: str) -> None:
        self.api.refusals[plural] = 403
        self.api.cut_watches()

    def allow_all(self) -> None:
        self.api.refusals = {"scaledobjects": 404}


class RealWorld:
    """A real API server; the reader is a user with exactly the rights of `observe.yaml`."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self.kubeconfig = plane.observer_kubeconfig
        self._role, self._binding = _observe_role()
        self.allow_all()

    def put(self, raw: Raw) -> None:
        self._plane.put(raw)

    def delete(self, raw: Raw) -> None:
        metadata = raw["metadata"]
        namespace = metadata.get("namespace")
        self._plane.delete(raw["apiVersion"], raw["kind"], metadata["name"], namespace=namespace)

    def forbid(self, plural: str) -> None:
        role = copy.deepcopy(self._role)
        for rule in role["rules"]:
            rule["resources"] = [each for each in rule["resources"] if each != plural]
        role["rules"] = [rule for rule in role["rules"] if rule["resources"]]
        self._plane.put(role)

    def allow_all(self) -> None:
        self._plane.put(self._role)
        self._plane.put(self._binding)


def _observe_role() -> tuple[Raw, Raw]:
    """The role as shipped, and its binding with the tests' user in place of the account."""
    documents = {each["kind"]: each for each in yaml.safe_load_all(OBSERVE_ROLE.read_text())}
    binding: Raw = documents["ClusterRoleBinding"]
    user = {"kind": "User", "name": "observer", "apiGroup": "rbac.authorization.k8s.io"}
    return documents["ClusterRole"], {**binding, "subjects": [user]}


@contextmanager
def reading(
    kubeconfig: Path, *, pace: WatchPace = QUICK, namespace: str | None = None
) -> Iterator[KubernetesClusterReader]:
    """A reader that has looked once, closed at the end; its threads are gone then."""
    clock = SystemClock()
    api = open_api(KubernetesAccess(kubeconfig_path=kubeconfig), clock=clock)
    reader = KubernetesClusterReader(api, clock=clock, namespace=namespace, pace=pace)
    with ExitStack() as stack:
        stack.callback(reader.close)
        reader.start()
        assert reader.wait_for_first_look(timeout_seconds=20.0)
        yield reader
    left = [each.name for each in threading.enumerate() if each.name.startswith("watch ")]
    assert left == []


def until(reader: KubernetesClusterReader, holds: Any, *, what: str) -> ClusterView:
    """The first view of which `holds(view)` is true."""
    wait_for(lambda: holds(reader.read_cluster()), what=what)
    return reader.read_cluster()
