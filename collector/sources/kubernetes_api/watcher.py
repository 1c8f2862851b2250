"""One thread per kind of object: list, then watch from there, for ever, whatever the server does.

In: the API server. Out: a `Shelf` that is kept up to date. What it does when:
  the watch ends or breaks      goes on from the last version it heard of
  410 Gone                      that version is forgotten over there: lists anew
  silence                       goes on from the last version; a second time: lists anew
  403, 404                      says so, and looks again now and then: rights and definitions come later
  anything else                 tries again, ever more slowly
Must not end before it is told to.
"""

import http
import threading
from dataclasses import dataclass
from typing import Final

from collector.errors import PayloadError, SourceError
from collector.model.reading import MissingReason
from collector.sources.kubernetes_api.connection import ApiRefused, KubernetesApi
from collector.sources.kubernetes_api.fields import Fields, message, part, text, whole
from collector.sources.kubernetes_api.listing import key_of, read_all
from collector.sources.kubernetes_api.resources import Resource
from collector.sources.kubernetes_api.shelf import Shelf


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchPace:
    """How patient the watchers are."""

    silence_seconds: float = 90.0  # API servers send a bookmark about every minute
    stale_after_seconds: float = 150.0  # a silent watch and its successor's first list
    watch_seconds: int = 300  # then the server ends a watch, and the next may reach another server
    first_pause_seconds: float = 0.5  # after a failure; doubled each time
    longest_pause_seconds: float = 30.0
    second_look_seconds: float = 60.0  # at what was refused or is not installed


_SPREAD_SECONDS: Final = 7
"""Watches of different kinds end at different times."""
_FAILURES_BEFORE_LIST: Final = 2
_CHANGES: Final = frozenset({"ADDED", "MODIFIED", "DELETED"})
_BUILT_IN: Final = frozenset({"", "apps"})
"""Groups that every cluster has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchTools:
    """What all watchers of a reader share."""

    api: KubernetesApi
    namespace: str | None  # None: all
    pace: WatchPace
    stop: threading.Event


class Watcher:
    """Keeps one shelf up to date. `position` is its place among the watchers."""

    def __init__(
        self, resource: Resource, *, tools: WatchTools, shelf: Shelf, position: int
    ) -> None:
        self._resource = resource
        self._api = tools.api
        self._namespace = tools.namespace
        self._shelf = shelf
        self._pace = tools.pace
        self._stop = tools.stop
        self._watch_seconds = tools.pace.watch_seconds + position * _SPREAD_SECONDS
        self._path: str | None = None  # of the version of the API that is served; None: list first
        self._version = ""  # the newest resourceVersion heard of
        self._failures = 0
        self._has_heard = False  # anything, in this watch

    def run(self) -> None:
        """Returns once `stop` is set."""
        while not self._stop.is_set():
            pause_seconds = self._round()
            if pause_seconds:
                self._stop.wait(pause_seconds)

    def _round(self) -> float:
        """One list if it is due and one watch; how many seconds to wait before the next."""
        self._has_heard = False
        try:
            if self._path is None:
                self._path = self._list()
            self._watch(self._path)
        except ApiRefused as refusal:
            return self._refused(refusal)
        except SourceError as error:
            return self._failed(error)
        except Exception as error:  # noqa: BLE001  the edge of the thread: one that died would be blind for ever
            return self._failed(SourceError(f"unexpected {type(error).__name__}: {error}"))
        return 0.0 if self._has_heard else self._pace.first_pause_seconds

    def _list(self) -> str:
        """Fills the shelf; the path that is served. Raises what `read_all` raises."""
        *newer, oldest = (
            self._resource.path(version=version, namespace=self._namespace)
            for version in self._resource.versions
        )
        for path in newer:
            try:
                return self._list_at(path)
            except ApiRefused as refusal:
                if refusal.status != http.HTTPStatus.NOT_FOUND:
                    raise
        return self._list_at(oldest)

    def _list_at(self, path: str) -> str:
        listed = read_all(self._api, self._resource, path=path, is_stopped=self._stop.is_set)
        if not self._stop.is_set():
            self._version = listed.version
            self._shelf.replace(listed.objects, nameless_count=listed.nameless_count)
            self._failures = 0
        return path

    def _watch(self, path: str) -> None:
        """Follows the changes until the server ends the watch."""
        events = self._api.read_watch(
            path,
            parameters={
                "resourceVersion": self._version,
                "allowWatchBookmarks": "true",
                "timeoutSeconds": str(self._watch_seconds),
            },
            wants_metadata_only=self._resource.wants_metadata_only,
            silence_timeout_seconds=self._pace.silence_seconds,
        )
        for event in events:
            if self._stop.is_set():
                return
            self._take(event)
            self._has_heard = True
            self._failures = 0

    def _take(self, event: Fields) -> None:
        kind, raw = text(event, "type"), part(event, "object")
        if kind == "ERROR":
            words = message(raw, "message") or "no reason"
            raise ApiRefused(status=whole(raw, "code") or 0, words=words)
        if kind in _CHANGES:
            self._change(raw, is_gone=kind == "DELETED")
        elif kind == "BOOKMARK":
            self._shelf.hear()
        version = text(part(raw, "metadata"), "resourceVersion")
        if version is None:
            raise PayloadError(f"an event of {self._resource.plural} has no version")
        self._version = version

    def _change(self, raw: Fields, *, is_gone: bool) -> None:
        found = self._resource.normalise(raw)
        if found is None:
            self._shelf.pass_over()
        elif is_gone:
            self._shelf.remove(key_of(found))
        else:
            self._shelf.put(key_of(found), found)

    def _refused(self, refusal: ApiRefused) -> float:
        self._path = None
        match refusal.status:
            case http.HTTPStatus.GONE:
                return self._pace.first_pause_seconds
            case http.HTTPStatus.FORBIDDEN:
                rule = self._resource.lacking_rule(namespace=self._namespace)
                trouble = f"{refusal.words}; lacking is {rule}"
                self._shelf.empty(MissingReason.NO_PERMISSION, trouble=trouble)
                return self._pace.second_look_seconds
            case http.HTTPStatus.NOT_FOUND if self._resource.group not in _BUILT_IN:
                self._shelf.empty(MissingReason.NOT_SUPPORTED, trouble=None)
                return self._pace.second_look_seconds
        return self._failed(refusal)

    def _failed(self, error: SourceError) -> float:
        """What to do after anything else: a cut watch is taken up again, twice nothing is a list."""
        if self._stop.is_set():
            return 0.0
        self._failures += 1
        is_lost = self._failures >= _FAILURES_BEFORE_LIST or isinstance(error, PayloadError)
        if self._path is None or is_lost:
            self._path = None
            self._shelf.lose(f"{self._resource.plural} cannot be read: {error}")
        longest = self._pace.longest_pause_seconds
        doublings = min(self._failures - 1, 16)
        return float(min(longest, self._pace.first_pause_seconds * 2**doublings))
