"""Ollama: what is stored, what is loaded and until when.

`/api/tags` lists what is stored, `/api/ps` what is loaded; neither touches a model's expiry.
`/api/show` would tell more and nothing this needs; `/api/generate`, `/api/chat` and `/api/embed` load.
"""

from collections.abc import Mapping, Set
from dataclasses import replace

from collector.model.engine_admin import AdminApi, EngineAdminState, EngineModel, ModelState
from collector.model.reading import Missing, fresh_value
from collector.sources.engine_admin.http import AdminHttp
from collector.sources.engine_admin.look import (
    Fields,
    Look,
    Seen,
    as_text,
    as_timestamp_seconds,
)

_NOTHING: Fields = {}


class OllamaAdminReader:
    """Reads Ollama's list of models. Adapter of `EngineAdminReader`."""

    def __init__(self, http: AdminHttp) -> None:
        self._http = http

    async def read_admin_state(self, base_url: str) -> EngineAdminState:
        """Models stored and loaded, and the version; sleep and load it cannot tell."""
        version, tags, running = await self._http.read_all(
            base_url, "/api/version", "/api/tags", "/api/ps"
        )
        look = Look(AdminApi.OLLAMA, base_url=base_url, clock=self._http.clock)
        stored = look.listed(look.heard(tags), "models", key="name")
        loaded = look.listed(look.heard(running), "models", key="name")
        told_version = look.field(look.heard(version), "version", as_text)
        models = _models(look, stored=stored, loaded=loaded)
        return replace(look.unseen_state(), version=told_version, models=models)


def _models(
    look: Look, *, stored: Seen[dict[str, Fields]], loaded: Seen[dict[str, Fields]]
) -> Seen[tuple[EngineModel, ...]]:
    """Every model that either list names; Missing when neither could be read."""
    if isinstance(stored, Missing) and isinstance(loaded, Missing):
        return loaded
    on_disk, in_memory = fresh_value(stored) or {}, fresh_value(loaded) or {}
    digests = {as_text(each.get("digest")) for each in in_memory.values()} - {None}
    return look.known(
        tuple(
            _model(
                look,
                name,
                disk=on_disk.get(name, _NOTHING),
                memory=in_memory.get(name, _NOTHING),
                state=look.missing(loaded.reason)
                if isinstance(loaded, Missing)
                else look.known(_state(on_disk, name=name, loaded=in_memory, digests=digests)),
            )
            for name in {**on_disk, **in_memory}
        )
    )


def _state(
    on_disk: Mapping[str, Fields],
    *,
    name: str,
    loaded: Mapping[str, Fields],
    digests: Set[str | None],
) -> ModelState:
    # Names of one digest share one runner, and /api/ps names only the first of them. Their memory is
    # told under that one name, so that a sum over models stays right.
    is_loaded = name in loaded or as_text(on_disk[name].get("digest")) in digests
    return ModelState.LOADED if is_loaded else ModelState.UNLOADED


def _model(
    look: Look, name: str, *, disk: Fields, memory: Fields, state: Seen[ModelState]
) -> EngineModel:
    return replace(
        look.unseen_model(name),
        state=state,
        memory_bytes=look.number(memory, "size"),
        accelerator_memory_bytes=look.number(memory, "size_vram"),
        stored_bytes=look.number(disk, "size"),
        context_length_tokens=look.number(memory, "context_length"),
        expiry_timestamp_seconds=look.part(memory, "expires_at", as_timestamp_seconds),
    )
