"""What an engine's admin state means for requests to it: asleep, paused, without the model. Pure.

In: one look through an `EngineAdminReader`, and the model names requests carry. Out: findings. What
the engine does not tell is no finding: most tell only a part.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from collector.model.engine_admin import AdminApi, EngineAdminState, EngineModel, ModelState
from collector.model.reading import fresh_value
from foresail.doctor.targets.report import FindingKind, TargetFinding, problem, warning

_SHOWN_MODELS: Final = 5
_CHECKS_NAMES: Final = frozenset({AdminApi.VLLM, AdminApi.OLLAMA, AdminApi.LLAMA_SWAP})
"""The others answer with the one model they have, whatever name is asked for."""
_ADD: Final[Mapping[AdminApi, str]] = {
    AdminApi.VLLM: "add the name to --served-model-name",
    AdminApi.OLLAMA: "ollama pull it",
    AdminApi.LLAMA_SWAP: "add it to llama-swap's configuration",
}


def check_admin(state: EngineAdminState, *, models: Sequence[str] = ()) -> Iterator[TargetFinding]:
    """What keeps requests for `models` from being answered now."""
    if fresh_value(state.is_asleep):
        yield warning(
            FindingKind.ASLEEP,
            "the engine sleeps; a request waits until somebody wakes it",
            next_step="wake it (POST /wake_up), or leave it to whoever put it to sleep",
        )
    elif fresh_value(state.is_paused):
        yield warning(
            FindingKind.PAUSED,
            "the engine is paused: it takes requests and works on none",
            next_step="let it go on (POST /resume), or leave it to whoever paused it",
        )
    known = fresh_value(state.models)
    if known is not None and state.api in _CHECKS_NAMES:
        yield from _model_findings(known, api=state.api, wanted=models)


def _model_findings(
    known: Sequence[EngineModel], *, api: AdminApi, wanted: Sequence[str]
) -> Iterator[TargetFinding]:
    by_name = {each.name: each for each in known}
    for name in wanted:
        found = by_name.get(_full_name(name, api=api))
        if found is None:
            yield problem(
                FindingKind.NO_MODEL,
                f"it has no model {name!r}; it has {_shown(by_name)}",
                next_step=f"{_ADD[api]}, or correct models or upstream_model in the catalogue",
            )
        elif fresh_value(found.state) is ModelState.FAILED:
            yield problem(
                FindingKind.NO_MODEL,
                f"its model {name!r} failed when it was loaded last",
                next_step="read the engine's log",
            )


def _full_name(name: str, *, api: AdminApi) -> str:
    """Ollama takes a name without a tag for the latest one."""
    is_short = api is AdminApi.OLLAMA and ":" not in name.rpartition("/")[2]
    return f"{name}:latest" if is_short else name


def _shown(names: Mapping[str, EngineModel]) -> str:
    first = ", ".join(sorted(names)[:_SHOWN_MODELS]) or "none"
    more = len(names) - _SHOWN_MODELS
    return f"{first} and {more} more" if more > 0 else first
