"""A complete list of one kind, page by page. In: a path. Out: objects by name and the version to watch from."""

import http
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from collector.errors import PayloadError
from collector.sources.kubernetes_api.connection import ApiRefused, KubernetesApi
from collector.sources.kubernetes_api.fields import Fields, part, parts, text
from collector.sources.kubernetes_api.resources import Identified, Resource
from collector.sources.kubernetes_api.shelf import Key

_PAGE_OBJECTS: Final = 500
_MAX_PAGES: Final = 2000
"""A million objects; a server that never says that a list ends must not fill the memory."""


@dataclass(slots=True, kw_only=True)
class Listed:
    """What a list gave."""

    version: str = ""  # resourceVersion to watch from
    objects: dict[Key, Identified] = field(default_factory=dict)
    nameless_count: int = 0

    def add(self, found: Identified | None) -> None:
        """Takes one object in."""
        if found is None:
            self.nameless_count += 1
        else:
            self.objects[key_of(found)] = found


def key_of(found: Identified) -> Key:
    """By what an object is found again."""
    reference = found.identity.reference
    return reference.namespace or "", reference.name


def read_all(
    api: KubernetesApi, resource: Resource, *, path: str, is_stopped: Callable[[], bool]
) -> Listed:
    """Everything at that path, as of one moment.

    Asked without a version: a list "at any version" may be older than what was seen already.
    Raises ApiRefused, TransientSourceError, PayloadError.
    """
    try:
        return _collect(_pages(api, resource, path=path, is_stopped=is_stopped), resource)
    except ApiRefused as refusal:
        if refusal.status != http.HTTPStatus.GONE:
            raise
    # The list's moment was forgotten before its last page; in one piece it cannot be.
    return _collect(iter([_page(api, resource, path=path, parameters={})]), resource)


def _collect(pages: Iterator[Fields], resource: Resource) -> Listed:
    listed = Listed()
    for page in pages:
        listed.version = text(part(page, "metadata"), "resourceVersion") or ""
        # A list of metadata that is empty comes as null (kube-apiserver 1.36).
        if not listed.version or not isinstance(page.get("items", 0), list | None):
            raise PayloadError(f"the list of {resource.plural} has no version or no items")
        for raw in parts(page, "items"):
            listed.add(resource.normalise(raw))
    return listed


def _pages(
    api: KubernetesApi, resource: Resource, *, path: str, is_stopped: Callable[[], bool]
) -> Iterator[Fields]:
    parameters = {"limit": str(_PAGE_OBJECTS)}
    for _ in range(_MAX_PAGES):
        page = _page(api, resource, path=path, parameters=parameters)
        yield page
        token = text(part(page, "metadata"), "continue")
        if token is None or is_stopped():
            return
        parameters["continue"] = token
    raise PayloadError(f"the list of {resource.plural} has no end after {_MAX_PAGES} pages")


def _page(
    api: KubernetesApi, resource: Resource, *, path: str, parameters: dict[str, str]
) -> Fields:
    return api.read_list(
        path, parameters=parameters, wants_metadata_only=resource.wants_metadata_only
    )
