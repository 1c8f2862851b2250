"""A real Kubernetes control plane for tests: started once, with the definitions of `tests/data/crds` in it.

Runs what `deploy/testing/controlplane/build.sh` built; `make test-kubernetes` does that first.
"""

import contextlib
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config, dynamic

from support.engines import free_port, stop

ROOT = Path(__file__).resolve().parents[2]
BINARIES = ROOT / ".controlplane"
SCRIPTS = ROOT / "deploy/testing/controlplane"
DEFINITIONS = ROOT / "tests/data/crds"
OBSERVE_ROLE = ROOT / "deploy/kubernetes/rbac/observe.yaml"
_START_SECONDS = 60.0
_PORT_COUNT = 5


@dataclass(frozen=True, kw_only=True)
class ControlPlane:
    """A cluster without machines."""

    folder: Path
    admin: dynamic.DynamicClient

    @property
    def admin_kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def observer_kubeconfig(self) -> Path:
        return self.folder / "observer.kubeconfig"

    def put(self, raw: dict[str, Any]) -> None:
        """Creates the object, or changes it; its status goes through the door for that."""
        api = self.admin.resources.get(api_version=raw["apiVersion"], kind=raw["kind"])
        name, namespace = raw["metadata"]["name"], raw["metadata"].get("namespace")
        body = {key: value for key, value in raw.items() if key != "status"}
        merge = {"content_type": "application/merge-patch+json"}
        try:
            api.create(body=body, namespace=namespace)
        except client.ApiException as error:
            if error.status != 409:
                raise
            api.patch(name=name, body=body, namespace=namespace, **merge)
        if "status" in raw:
            status = {"metadata": {"name": name}, "status": raw["status"]}
            api.status.patch(name=name, body=status, namespace=namespace, **merge)

    def delete(self, version: str, kind: str, name: str, *, namespace: str | None) -> None:
        """Removes it at once."""
        api = self.admin.resources.get(api_version=version, kind=kind)
        with contextlib.suppress(client.ApiException):
            api.delete(name=name, namespace=namespace, body={"gracePeriodSeconds": 0})

    def install(self, definition: str) -> None:
        """Makes a file of `tests/data/crds` known and waits until its objects are taken."""
        raw = yaml.safe_load((DEFINITIONS / definition).read_text())
        self.put(raw)
        api = self.admin.resources.get(
            api_version="apiextensions.k8s.io/v1", kind="CustomResourceDefinition"
        )
        wait_for(lambda: _is_established(api.get(name=raw["metadata"]["name"])), what=definition)
        self.admin.resources.invalidate_cache()

    def apply_file(self, path: Path) -> None:
        """Puts every document of a manifest."""
        for each in yaml.safe_load_all(path.read_text()):
            self.put(each)


def _is_established(definition: Any) -> bool:
    found = definition.to_dict().get("status", {}).get("conditions") or []
    return any(each["type"] == "Established" and each["status"] == "True" for each in found)


def wait_for(condition: Any, *, what: str, seconds: float = 20.0) -> None:
    """Returns once `condition()` holds; fails at the deadline."""
    pause = threading.Event()
    for _ in range(int(seconds / 0.05)):
        if condition():
            return
        pause.wait(0.05)
    raise AssertionError(f"not within {seconds:g} s: {what}")


@contextlib.contextmanager
def running_control_plane(folder: Path) -> Iterator[ControlPlane]:
    """A control plane of its own, gone at the end of the block."""
    ports = [str(free_port()) for _ in range(_PORT_COUNT)]
    log_path = folder / "start.log"
    with log_path.open("wb") as log:
        command = [str(SCRIPTS / "start.sh"), str(BINARIES), str(folder), *ports]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for(
            lambda: (folder / "ready").exists() or process.poll() is not None,
            what="a control plane",
            seconds=_START_SECONDS,
        )
        assert process.poll() is None, log_path.read_text()[-1000:]
        path = str(folder / "kubeconfig")
        with config.new_client_from_config(path) as opened:  # type: ignore[no-untyped-call]  # theirs
            admin = dynamic.DynamicClient(opened)  # type: ignore[no-untyped-call]  # theirs
            yield ControlPlane(folder=folder, admin=admin)
    finally:
        stop(process)
