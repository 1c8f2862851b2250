"""vLLM: whether it sleeps or is paused, what it has in flight, which models it serves.

`/is_sleeping` and `/is_paused` exist with VLLM_SERVER_DEV_MODE=1 only. `/load` counts requests that
wait for a sleeping engine, too, which no gauge of its metric page does. `/server_info` is not asked:
it holds the environment.
"""

from dataclasses import replace

from collector.model.engine_admin import AdminApi, EngineAdminState, EngineModel, ModelState
from collector.model.reading import Missing, MissingReason
from collector.sources.engine_admin.http import AdminHttp, Answer, Silence
from collector.sources.engine_admin.look import Fields, Look, Seen, as_flag, as_number, as_text

_DEV_MODE = "set VLLM_SERVER_DEV_MODE=1 in its environment, on a port that only this host reaches"
_NOT_FOUND = 404


class VllmAdminReader:
    """Reads vLLM's admin paths. Adapter of `EngineAdminReader`."""

    def __init__(self, http: AdminHttp) -> None:
        self._http = http
        self._tracking: set[str] = set()  # engines seen to count their load, until one is silent

    async def read_admin_state(self, base_url: str) -> EngineAdminState:
        """Sleep, pause, load, served models and version."""
        version, models, load, sleeping, paused = await self._http.read_all(
            base_url, "/version", "/v1/models", "/load", "/is_sleeping", "/is_paused"
        )
        look = Look(AdminApi.VLLM, base_url=base_url, clock=self._http.clock)
        is_asleep = _dev_flag(look, sleeping, name="is_sleeping", twin=None)
        is_paused = _dev_flag(look, paused, name="is_paused", twin=sleeping)
        in_flight = self._in_flight(look, look.heard(load), base_url=base_url)
        served = _models(look, look.heard(models), is_asleep=is_asleep)
        told_version = look.field(look.heard(version), "version", as_text)
        return replace(
            look.unseen_state(),
            version=told_version,
            models=served,
            is_asleep=is_asleep,
            is_paused=is_paused,
            in_flight_requests=in_flight,
        )

    def _in_flight(self, look: Look, answer: Answer, *, base_url: str) -> Seen[float]:
        """The load; 0 only from an engine that has counted before.

        Without --enable-server-load-tracking the answer is 0 under any load.
        """
        load = look.field(answer, "server_load", as_number)
        if isinstance(load, Missing):
            self._tracking.discard(base_url)  # it may come back with other flags
            return load
        if load.value > 0:
            self._tracking.add(base_url)
        return load if base_url in self._tracking else look.missing(MissingReason.SWITCHED_OFF)


def _dev_flag(look: Look, answer: Answer, *, name: str, twin: Answer | None) -> Seen[bool]:
    """A flag of the development routes; `twin` is another of them, which was read before."""
    if not (isinstance(answer, Silence) and answer.status == _NOT_FOUND):
        return look.field(look.heard(answer), name, as_flag)
    if twin is not None and not isinstance(twin, Silence):
        return look.cannot_see()  # development mode is on: this version has no such route
    if twin is None:
        look.complain(f"{answer.message}: development mode is off; {_DEV_MODE}")
    return look.missing(MissingReason.SWITCHED_OFF)


def _models(look: Look, answer: Answer, *, is_asleep: Seen[bool]) -> Seen[tuple[EngineModel, ...]]:
    listed = look.listed(answer, "data", key="id")
    if isinstance(listed, Missing):
        return listed
    state = _state(look, is_asleep)
    return look.known(
        tuple(_model(look, name, fields, state=state) for name, fields in listed.value.items())
    )


def _model(look: Look, name: str, fields: Fields, *, state: Seen[ModelState]) -> EngineModel:
    return replace(
        look.unseen_model(name),
        state=state,
        context_length_tokens=look.number(fields, "max_model_len"),
    )


def _state(look: Look, is_asleep: Seen[bool]) -> Seen[ModelState]:
    """Of every model of an engine that sleeps and wakes as a whole."""
    if isinstance(is_asleep, Missing):
        return is_asleep
    return look.known(ModelState.ASLEEP if is_asleep.value else ModelState.LOADED)
