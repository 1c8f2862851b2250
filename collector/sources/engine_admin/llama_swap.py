"""llama-swap: which models it knows and which of them run.

`/running` and `/v1/models` are the proxy's own lists and start nothing. Every path below `/upstream/`
starts its model, and `/unload` ends them all: neither is asked. Commands in `/running` are not kept;
they may hold secrets.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from collector.model.engine_admin import AdminApi, EngineAdminState, EngineModel, ModelState
from collector.model.reading import Missing, fresh_value
from collector.sources.engine_admin.http import AdminHttp, Answer, Silence
from collector.sources.engine_admin.look import Fields, Look, Seen, as_text

_NOT_FOUND = 404
_STATES: Final[Mapping[str, ModelState]] = {
    "starting": ModelState.LOADING,
    "ready": ModelState.LOADED,
    "stopping": ModelState.UNLOADING,
    "stopped": ModelState.UNLOADED,
    "shutdown": ModelState.UNLOADED,
}


class LlamaSwapAdminReader:
    """Reads llama-swap's lists. Adapter of `EngineAdminReader`."""

    def __init__(self, http: AdminHttp) -> None:
        self._http = http

    async def read_admin_state(self, base_url: str) -> EngineAdminState:
        """Models and their states, and the version; memory and load stand with the models' engines."""
        listing, running, version = await self._http.read_all(
            base_url, "/v1/models", "/running", "/api/version"
        )
        look = Look(AdminApi.LLAMA_SWAP, base_url=base_url, clock=self._http.clock)
        known = look.listed(look.heard(listing), "data", key="id")
        runs = look.listed(look.heard(running), "running", key="model")
        told_version = _version(look, version)
        models = _models(look, known=known, runs=runs)
        return replace(look.unseen_state(), version=told_version, models=models)


def _models(
    look: Look, *, known: Seen[dict[str, Fields]], runs: Seen[dict[str, Fields]]
) -> Seen[tuple[EngineModel, ...]]:
    """Every model that either list names; Missing when neither could be read."""
    if isinstance(known, Missing) and isinstance(runs, Missing):
        return runs
    listed, running = fresh_value(known) or {}, fresh_value(runs) or {}
    return look.known(
        tuple(
            replace(
                look.unseen_model(name),
                state=runs if isinstance(runs, Missing) else _state(look, running.get(name)),
            )
            for name in {**listed, **running}
        )
    )


def _state(look: Look, entry: Fields | None) -> Seen[ModelState]:
    # Releases that list only ready models make a starting one look unloaded for as long as it starts.
    if entry is None:
        return look.known(ModelState.UNLOADED)
    return look.part(entry, "state", _named_state)


def _named_state(value: object) -> ModelState | None:
    return _STATES.get(value) if isinstance(value, str) else None


def _version(look: Look, answer: Answer) -> Seen[str]:
    if isinstance(answer, Silence) and answer.status == _NOT_FOUND:
        return look.cannot_see()  # older releases tell their version only on the command line
    return look.field(look.heard(answer), "version", as_text)
