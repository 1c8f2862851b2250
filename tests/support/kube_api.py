"""A small Kubernetes API server written by hand: lists in pages, watches with bookmarks, and faults on command.

Plain HTTP on a free loopback port, in a thread of its own, so that clients that block can be tested. Speaks
for the paths of any group; what a kind's objects look like is not checked.
"""

import asyncio
import contextlib
import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

PATH = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/(?P<version>[^/]+)"
    r"(?:/namespaces/(?P<namespace>[^/]+))?/(?P<plural>[^/]+)"
)
Raw = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request as it came."""

    verb: str
    group: str
    version: str
    plural: str
    namespace: str | None
    parameters: dict[str, str]
    accept: str


@dataclass
class Store:
    """The objects of one kind, and what happened to them."""

    objects: dict[tuple[str, str], Raw] = field(default_factory=dict)
    history: list[tuple[int, str, Raw]] = field(default_factory=list)


class KubeApi:
    """The server. Methods may be called from any thread; `url` is where it listens."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Asked] = []
        self.refusals: dict[str, int] = {}  # {plural: status of every answer}
        self.refused_verbs: dict[tuple[str, str], int] = {}  # {(verb, plural): status}
        self.absent_versions: set[tuple[str, str]] = set()  # {(plural, version)} answered 404
        self.page_objects = 500  # at most, whatever is asked
        self.bookmark_seconds = 0.05
        self.is_silent = False  # watches say nothing at all
        self.hangs = False  # requests are taken and not answered
        self.watch_lines: list[bytes] = []  # sent once, as they are, to the next watch
        self.forgets_pages = False  # answers 410 to the second page
        self._version = 100
        self._oldest_version = 0
        self._stores: dict[str, Store] = {}
        self._cuts = 0  # watches of an older count hang up
        self._lock = threading.RLock()
        self._closing = threading.Event()

    # What tests do to the cluster.

    def put(self, plural: str, raw: Raw) -> None:
        """Adds or changes an object."""
        with self._lock:
            store = self._stores.setdefault(plural, Store())
            key = key_of(raw)
            verb = "MODIFIED" if key in store.objects else "ADDED"
            self._remember(store, verb, self._stamped(raw), key=key)

    def delete(self, plural: str, name: str, *, namespace: str = "default") -> None:
        """Removes an object."""
        with self._lock:
            store = self._stores[plural]
            raw = store.objects[namespace, name]
            self._remember(store, "DELETED", self._stamped(raw), key=(namespace, name))

    def compact(self) -> None:
        """Forgets the past: watches from any version known to clients are answered 410."""
        with self._lock:
            self._version += 100
            self._oldest_version = self._version

    def cut_watches(self) -> None:
        """Ends all watches without a word."""
        self._cuts += 1

    def verbs(self) -> set[tuple[str, str, str]]:
        """All (verb, group, plural) that were asked for."""
        return {(each.verb, each.group, each.plural) for each in self.asked}

    def count(self, verb: str, plural: str) -> int:
        """How many such requests came."""
        return sum((each.verb, each.plural) == (verb, plural) for each in self.asked)

    def _remember(self, store: Store, verb: str, raw: Raw, *, key: tuple[str, str]) -> None:
        if verb == "DELETED":
            del store.objects[key]
        else:
            store.objects[key] = raw
        store.history.append((self._version, verb, raw))

    def _stamped(self, raw: Raw) -> Raw:
        self._version += 1
        metadata = {"uid": f"uid-{self._version}"} | raw.get("metadata", {})
        metadata["resourceVersion"] = str(self._version)
        return {**raw, "metadata": metadata}

    # What clients see.

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One request of a client."""
        match = PATH.fullmatch(request.path)
        if match is None or request.method != "GET":
            return status_response(404, "the server could not find the requested resource")
        parameters = dict(request.query)
        verb = "watch" if parameters.get("watch") == "true" else "list"
        asked = Asked(
            verb=verb,
            group=match["group"] or "",
            version=match["version"],
            plural=match["plural"],
            namespace=match["namespace"],
            parameters=parameters,
            accept=request.headers.get("Accept", ""),
        )
        self.asked.append(asked)
        while self.hangs and not self._closing.is_set():  # noqa: ASYNC110  set by another thread
            await asyncio.sleep(0.02)
        refusal = self._refusal(asked)
        if refusal is not None:
            return refusal
        return await self._watch(request, asked) if verb == "watch" else self._list(asked)

    def _refusal(self, asked: Asked) -> web.Response | None:
        status = self.refusals.get(asked.plural)
        status = status or self.refused_verbs.get((asked.verb, asked.plural))
        if (asked.plural, asked.version) in self.absent_versions:
            status = 404
        if status is None:
            return None
        words = f'{asked.plural} is forbidden: cannot {asked.verb} resource "{asked.plural}"'
        return status_response(status, words if status == 403 else f"status {status} on command")

    def _list(self, asked: Asked) -> web.Response:
        start = int(asked.parameters.get("continue", "0"))
        if start and self.forgets_pages:
            return status_response(410, "The provided continue parameter is too old")
        with self._lock:
            found = [
                each
                for (namespace, _), each in self._store(asked).objects.items()
                if asked.namespace in {None, namespace}
            ]
            version = str(self._version)
        limit = min(int(asked.parameters.get("limit", len(found) or 1)), self.page_objects)
        end = start + limit if "limit" in asked.parameters else len(found)
        metadata = {"resourceVersion": version}
        if end < len(found):
            metadata["continue"] = str(end)
        items = found[start:end] or (None if "Partial" in asked.accept else [])  # as the real one
        return web.json_response({"metadata": metadata, "items": items})

    async def _watch(self, request: web.Request, asked: Asked) -> web.StreamResponse:
        version = int(asked.parameters["resourceVersion"])
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        cuts = self._cuts
        with contextlib.suppress(ConnectionError):
            while self._cuts == cuts and not self._closing.is_set():
                lines, version = self._news(asked, since=version)
                if lines and not self.is_silent:
                    await response.write(b"".join(lines))
                if version < 0:
                    break
                await asyncio.sleep(self.bookmark_seconds)
        return response

    def _news(self, asked: Asked, *, since: int) -> tuple[list[bytes], int]:
        """Lines to send, and the version they lead to; -1: the watch has to end."""
        with self._lock:
            raw_lines, self.watch_lines = self.watch_lines, []
            if since < self._oldest_version:
                expired = status_body(410, "too old resource version")
                return [*raw_lines, line({"type": "ERROR", "object": expired})], -1
            news = [
                line({"type": verb, "object": raw})
                for version, verb, raw in self._store(asked).history
                if version > since
                and asked.namespace in {None, raw["metadata"].get("namespace", "")}
            ]
            mark = {
                "type": "BOOKMARK",
                "object": {"metadata": {"resourceVersion": str(self._version)}},
            }
            wants_marks = asked.parameters.get("allowWatchBookmarks") == "true"
            return [*raw_lines, *news, *([line(mark)] if wants_marks else [])], self._version

    def _store(self, asked: Asked) -> Store:
        return self._stores.setdefault(asked.plural, Store())

    def close(self) -> None:
        """Lets all requests end."""
        self._closing.set()


def key_of(raw: Raw) -> tuple[str, str]:
    metadata = raw.get("metadata", {})
    return metadata.get("namespace", ""), metadata.get("name", "")


def line(event: Raw) -> bytes:
    return json.dumps(event).encode() + b"\n"


def status_body(status: int, message: str) -> Raw:
    return {"kind": "Status", "apiVersion": "v1", "code": status, "message": message}


def status_response(status: int, message: str) -> web.Response:
    return web.json_response(status_body(status, message), status=status)


@contextlib.contextmanager
def running_kube_api() -> Iterator[KubeApi]:
    """A server that answers, until the end of the block."""
    api = KubeApi()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="kube api", daemon=True)
    thread.start()

    async def start() -> web.AppRunner:
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", api.answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        api.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    runner = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    try:
        yield api
    finally:
        api.close()
        asyncio.run_coroutine_threadsafe(_end(runner), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _end(runner: web.AppRunner) -> None:
    """Ends the server and the connections it had."""
    await asyncio.sleep(0.05)  # connections that clients opened and left are taken and given up
    await runner.cleanup()
    for _ in range(10):
        await asyncio.sleep(0)  # transports close in later turns of the loop
