"""The `ClusterReader`: a watcher per kind of object, and a view of what they have gathered.

In: an open connection. Out: `ClusterView`s. `read_cluster` never waits for the cluster; the threads do.
"""

import threading

from collector.clock import Clock
from collector.model.cluster import ClusterKind, ClusterView
from collector.sources.kubernetes_api.connection import KubernetesApi
from collector.sources.kubernetes_api.resources import RESOURCES
from collector.sources.kubernetes_api.shelf import Shelf
from collector.sources.kubernetes_api.watcher import Watcher, WatchPace, WatchTools

_CLOSE_SECONDS = 2.0


class KubernetesClusterReader:
    """Watches one cluster, or one namespace of it and the nodes."""

    def __init__(
        self,
        api: KubernetesApi,
        *,
        clock: Clock,
        namespace: str | None = None,
        pace: WatchPace | None = None,
    ) -> None:
        self._api = api
        self._clock = clock
        self._pace = pace or WatchPace()
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._tools = WatchTools(api=api, namespace=namespace, pace=self._pace, stop=self._stop)
        self._shelves = {
            each.kind: Shelf(each.kind, lock=self._lock, clock=clock) for each in RESOURCES
        }
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begins to watch; a second call changes nothing."""
        if self._threads or self._stop.is_set():
            return
        for position, resource in enumerate(RESOURCES):
            shelf = self._shelves[resource.kind]
            watcher = Watcher(resource, tools=self._tools, shelf=shelf, position=position)
            # Daemons: a name server that hangs must not keep the process alive.
            thread = threading.Thread(
                target=watcher.run, name=f"watch {resource.plural}", daemon=True
            )
            self._threads.append(thread)
            thread.start()

    def wait_for_first_look(self, *, timeout_seconds: float) -> bool:
        """Whether every kind was listed, refused or found unreachable within that time. Blocks."""
        deadline = self._clock.monotonic_seconds() + timeout_seconds
        return all(
            shelf.was_tried.wait(max(0.0, deadline - self._clock.monotonic_seconds()))
            for shelf in self._shelves.values()
        )

    def read_cluster(self) -> ClusterView:
        """What is known now."""
        with self._lock:
            limit = self._pace.stale_after_seconds
            readings = {
                kind: shelf.reading(stale_after_seconds=limit)
                for kind, shelf in self._shelves.items()
            }
            problems = tuple(each for shelf in self._shelves.values() for each in shelf.problems())
        return ClusterView(
            pods=readings[ClusterKind.POD],
            nodes=readings[ClusterKind.NODE],
            replica_sets=readings[ClusterKind.REPLICA_SET],
            deployments=readings[ClusterKind.DEPLOYMENT],
            leader_worker_sets=readings[ClusterKind.LEADER_WORKER_SET],
            inference_services=readings[ClusterKind.INFERENCE_SERVICE],
            llm_inference_services=readings[ClusterKind.LLM_INFERENCE_SERVICE],
            autoscalers=readings[ClusterKind.AUTOSCALER],
            scaled_objects=readings[ClusterKind.SCALED_OBJECT],
            leases=readings[ClusterKind.LEASE],
            problems=problems,
        )

    def close(self) -> None:
        """Ends the watches; returns within two seconds. The view stays what it was."""
        self._stop.set()
        self._api.close()
        deadline = self._clock.monotonic_seconds() + _CLOSE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - self._clock.monotonic_seconds()))
