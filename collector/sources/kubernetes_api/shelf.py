"""The newest of one kind of object, and how sure we are of it. Written by one watcher, read by anybody.

All shelves of a reader share one lock, so that a view of them is of one moment. Objects are kept
normalised: what nobody looks at is not kept.
"""

import threading
from collections.abc import Mapping
from typing import Any, Final

from collector.clock import Clock
from collector.model.cluster import ClusterKind
from collector.model.reading import Fresh, Missing, MissingReason, Reading, aged
from collector.model.snapshot import Problem

SOURCE: Final = "kubernetes"
Key = tuple[str, str]
"""(namespace, name); the namespace is empty where the kind has none."""


class Shelf:
    """Objects of one kind by name."""

    def __init__(self, kind: ClusterKind, *, lock: threading.RLock, clock: Clock) -> None:
        self._source = f"{SOURCE}:{kind}"
        self._lock = lock
        self._clock = clock
        self._objects: dict[Key, object] = {}
        self._heard_timestamp_seconds: float | None = None  # None: there is no list to trust
        self._missing = MissingReason.NOT_READ_YET
        self._trouble: str | None = None
        self._nameless_count = 0  # since the last list
        self.was_tried = threading.Event()

    def replace(self, objects: Mapping[Key, object], *, nameless_count: int) -> None:
        """A complete list, just read."""
        with self._lock:
            self._objects = dict(objects)
            self._nameless_count = nameless_count
            self._hear()
        self.was_tried.set()

    def put(self, key: Key, value: object) -> None:
        """One object that was added or changed."""
        with self._lock:
            self._objects[key] = value
            self._hear()

    def remove(self, key: Key) -> None:
        """One object that is gone."""
        with self._lock:
            self._objects.pop(key, None)
            self._hear()

    def pass_over(self) -> None:
        """One object without a name."""
        with self._lock:
            self._nameless_count += 1
            self._hear()

    def hear(self) -> None:
        """The server said that nothing else has changed."""
        with self._lock:
            self._hear()

    def lose(self, trouble: str) -> None:
        """The server does not answer: what is known stays and ages."""
        with self._lock:
            self._trouble = trouble
            if self._heard_timestamp_seconds is None:
                self._missing = MissingReason.SOURCE_UNREACHABLE
        self.was_tried.set()

    def empty(self, reason: MissingReason, *, trouble: str | None) -> None:
        """The server says that we get none of this kind, and why."""
        with self._lock:
            self._objects = {}
            self._nameless_count = 0
            self._heard_timestamp_seconds = None
            self._missing = reason
            self._trouble = trouble
        self.was_tried.set()

    def reading(self, *, stale_after_seconds: float) -> Reading[tuple[Any, ...]]:
        """All objects, in the order of their names. Any: the kind says what they are."""
        with self._lock:
            if self._heard_timestamp_seconds is None:
                return Missing(reason=self._missing, source=self._source)
            objects = tuple(self._objects[key] for key in sorted(self._objects))
            heard = self._heard_timestamp_seconds
        now = self._clock.timestamp_seconds()
        fresh = Fresh(value=objects, observed_timestamp_seconds=heard, source=self._source)
        return aged(fresh, now_timestamp_seconds=now, limit_seconds=stale_after_seconds)

    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with this kind, a line each."""
        with self._lock:
            told = [self._trouble] if self._trouble else []
            if self._nameless_count:
                told.append(f"{self._nameless_count} objects without a name are left out")
        return tuple(Problem(source=self._source, message=each) for each in told)

    def _hear(self) -> None:
        self._heard_timestamp_seconds = self._clock.timestamp_seconds()
        self._trouble = None
