"""Kubernetes: lists what is there, watches what changes, and keeps the newest of it at hand.

`KubernetesClusterReader` is the `ClusterReader`; `KubernetesApi` is the one door to the client library,
which is an extra and is imported when a connection is opened.
"""

from collector.sources.kubernetes_api.connection import KubernetesAccess, open_api
from collector.sources.kubernetes_api.reader import KubernetesClusterReader
from collector.sources.kubernetes_api.resources import RESOURCES, Resource
from collector.sources.kubernetes_api.watcher import WatchPace

__all__ = [
    "RESOURCES",
    "KubernetesAccess",
    "KubernetesClusterReader",
    "Resource",
    "WatchPace",
    "open_api",
]
