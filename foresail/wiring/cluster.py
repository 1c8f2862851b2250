"""A reader of a Kubernetes cluster. In: where its credentials are. Out: a `ClusterReader`, not started."""

from pathlib import Path

from collector.clock import SystemClock
from collector.ports import ClusterReader
from collector.sources.kubernetes_api import (
    KubernetesAccess,
    KubernetesClusterReader,
    open_api,
)


def cluster_reader(
    *, kubeconfig_path: Path | None, context: str | None, namespace: str | None
) -> ClusterReader:
    """A reader for one namespace, or for all where it is None.

    Without a kubeconfig: with the account of the pod that we run in. Raises ConfigurationError.
    """
    clock = SystemClock()
    access = KubernetesAccess(kubeconfig_path=kubeconfig_path, context=context)
    return KubernetesClusterReader(open_api(access, clock=clock), clock=clock, namespace=namespace)
