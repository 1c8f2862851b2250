"""llama.cpp's server: one model with its slots, or a router with many models.

`/v1/models` and `/props` leave a sleeping model asleep and its idle timer alone. `/slots` wakes it, and
`/props?model=` makes a router load that model: neither is asked, so a router's slots are not told.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from collector.model.contract import version_numbers
from collector.model.engine_admin import AdminApi, EngineAdminState, EngineModel, ModelState
from collector.model.reading import Missing, MissingReason
from collector.sources.engine_admin.http import AdminHttp, Answer, Document
from collector.sources.engine_admin.look import (
    Fields,
    Look,
    Seen,
    as_fields,
    as_flag,
    as_number,
    as_text,
)

_ROUTER_STATES: Final[Mapping[str, ModelState]] = {
    "unloaded": ModelState.UNLOADED,
    "downloading": ModelState.DOWNLOADING,
    "downloaded": ModelState.UNLOADED,
    "loading": ModelState.LOADING,
    "loaded": ModelState.LOADED,
    "sleeping": ModelState.ASLEEP,
}


class LlamaCppAdminReader:
    """Reads llama.cpp's server in both of its modes. Adapter of `EngineAdminReader`."""

    def __init__(self, http: AdminHttp) -> None:
        self._http = http

    async def read_admin_state(self, base_url: str) -> EngineAdminState:
        """Models, slots, context, sleep, and whether the metric page is on."""
        listing, props = await self._http.read_all(base_url, "/v1/models", "/props")
        look = Look(AdminApi.LLAMA_CPP, base_url=base_url, clock=self._http.clock)
        listed = look.listed(look.heard(listing), "data", key="id")
        look.heard(props)
        if not isinstance(listed, Missing) and _is_router(listed.value, props):
            models = tuple(_routed(look, name, each) for name, each in listed.value.items())
            version = _version(look, props)
            return replace(look.unseen_state(), version=version, models=look.known(models))
        return _single(look, listed, props)


def _is_router(listed: Mapping[str, Fields], props: Answer) -> bool:
    is_told = isinstance(props, Document) and props.fields.get("role") == "router"
    return is_told or any(as_fields(each.get("status")) for each in listed.values())


def _single(look: Look, listed: Seen[dict[str, Fields]], props: Answer) -> EngineAdminState:
    is_asleep = look.field(props, "is_sleeping", as_flag)
    slots = look.field(props, "total_slots", as_number)
    version = _version(look, props)
    serves_metrics = look.field(props, "endpoint_metrics", as_flag)
    models = (
        listed
        if isinstance(listed, Missing)
        else look.known(
            tuple(
                replace(_sized(look, name, fields), state=_state(look, is_asleep), slots=slots)
                for name, fields in listed.value.items()
            )
        )
    )
    return replace(
        look.unseen_state(),
        version=version,
        models=models,
        is_asleep=is_asleep,
        serves_metrics=serves_metrics,
    )


def _state(look: Look, is_asleep: Seen[bool]) -> Seen[ModelState]:
    if isinstance(is_asleep, Missing):
        return is_asleep
    return look.known(ModelState.ASLEEP if is_asleep.value else ModelState.LOADED)


def _routed(look: Look, name: str, fields: Fields) -> EngineModel:
    status = as_fields(fields.get("status")) or {}
    state = look.part(status, "value", _router_state)
    if status.get("failed") is True:
        state = look.known(ModelState.FAILED)
    return replace(_sized(look, name, fields), state=state)


def _router_state(value: object) -> ModelState | None:
    return _ROUTER_STATES.get(value) if isinstance(value, str) else None


def _sized(look: Look, name: str, fields: Fields) -> EngineModel:
    """What the listing says of a model; `meta` is there while its process runs."""
    meta = as_fields(fields.get("meta")) or {}
    return replace(
        look.unseen_model(name),
        stored_bytes=look.number(meta, "size"),
        context_length_tokens=look.number(meta, "n_ctx"),
    )


def _version(look: Look, props: Answer) -> Seen[str]:
    """The build; builds outside of llama.cpp's own pipeline call themselves b0, which says nothing."""
    told = look.field(props, "build_info", as_text)
    if isinstance(told, Missing):
        return told
    try:
        is_known = any(version_numbers(told.value))
    except ValueError:
        is_known = False
    return told if is_known else look.missing(MissingReason.CANNOT_SEE)
