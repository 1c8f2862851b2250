"""vLLM's development routes (sleep, wake, pause) and the route that makes faults.

In: HTTP requests. Out: the answers vLLM gave when it was recorded. Only with the flags that vLLM, or
the emulator, asks for; without them the routes do not exist.
"""

from collections.abc import Mapping

from aiohttp import web
from pydantic import ValidationError

from foresail.emulate.bodies import Refused
from foresail.emulate.engine import Treatment
from foresail.emulate.faults import FaultBody, FaultKind
from foresail.emulate.server import ENGINE_DEAD, Server

_LEVELS = (0, 1, 2)


class Control:
    """The control plane of one server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._engine = server.engine

    def routes(self) -> list[web.RouteDef]:
        """vLLM's development routes."""
        return [
            web.post("/sleep", self.sleep),
            web.post("/wake_up", self.wake_up),
            web.get("/is_sleeping", self.is_sleeping),
            web.post("/pause", self.pause),
            web.post("/resume", self.resume),
            web.get("/is_paused", self.is_paused),
            web.get("/server_info", self.server_info),
        ]

    async def sleep(self, request: web.Request) -> web.Response:
        """Returns when the engine sleeps."""
        level = _level(request.query.get("level", "1"))
        treatment = _treatment(request.query.get("mode", "abort"))
        await self._engine.sleep(level=level, treatment=treatment)
        return web.json_response({"status": "sleeping", "level": level})

    async def wake_up(self, request: web.Request) -> web.Response:
        """Returns when the parts that were named are awake."""
        tags = request.query.getall("tags", [])
        is_awake = await self._engine.wake_up(frozenset(tags) or None)
        status = "awake" if is_awake else "sleeping"
        return web.json_response({"status": status, "tags": tags or None})

    async def is_sleeping(self, _: web.Request) -> web.Response:
        """Whether any part sleeps."""
        return web.json_response({"is_sleeping": self._engine.sleep_level is not None})

    async def pause(self, request: web.Request) -> web.Response:
        """Returns when nothing is made any more."""
        await self._engine.pause(_treatment(request.query.get("mode", "abort")))
        return web.json_response({"status": "paused"})

    async def resume(self, _: web.Request) -> web.Response:
        """Goes on."""
        self._engine.resume()
        return web.json_response({"status": "resumed"})

    async def is_paused(self, _: web.Request) -> web.Response:
        """Whether it was paused."""
        return web.json_response({"is_paused": self._engine.is_paused})

    async def server_info(self, _: web.Request) -> web.Response:
        """The part of vLLM's configuration that the emulated engine has."""
        settings = self._engine.settings
        limits = settings.limits()
        config: Mapping[str, object] = {
            "model_config": {
                "model": settings.row.model,
                "max_model_len": settings.max_model_tokens,
                "served_model_name": settings.model_name,
            },
            "scheduler_config": {
                "max_num_seqs": limits.max_sequence_count,
                "max_num_batched_tokens": limits.max_step_tokens,
            },
        }
        return web.json_response({"vllm_config": config, "emulated": settings.row.name})

    async def fault(self, request: web.Request) -> web.Response:
        """Makes a fault, or ends all with `none`."""
        try:
            body = FaultBody.model_validate_json(await request.read())
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "body"
            raise Refused(
                f"{place}: {first['msg']}", status=400, kind="Bad Request", param=place
            ) from error
        self._apply(body)
        return web.json_response({"fault": body.fault})

    def _apply(self, body: FaultBody) -> None:
        server, engine = self._server, self._engine
        match body.fault:
            case FaultKind.NONE:
                server.faults.error_ratio = 0.0
                server.faults.frozen_page = None
                engine.slow_down(1.0)
                engine.hang(is_hanging=False)
            case FaultKind.CRASH:
                server.gone.set()
            case FaultKind.HANG:
                engine.hang(is_hanging=True)
            case FaultKind.SLOW:
                engine.slow_down(body.factor)
            case FaultKind.OUT_OF_MEMORY:
                engine.fail(ENGINE_DEAD)
                server.gone.set()
            case FaultKind.ERRORS:
                server.faults.error_ratio = body.ratio
            case FaultKind.FROZEN_METRICS:
                server.faults.frozen_page = server.fresh_page()


def _level(text: str) -> int:
    try:
        level = int(text)
    except ValueError:
        raise _invalid("level", f"Input should be a valid integer; it is {text!r}") from None
    if level not in _LEVELS:
        edge = "less than or equal to 2" if level > 0 else "greater than or equal to 0"
        raise _invalid("level", f"Input should be {edge}; it is {level}")
    return level


def _treatment(text: str) -> Treatment:
    try:
        return Treatment(text)
    except ValueError:
        raise _invalid("mode", f"Input should be 'abort', 'wait' or 'keep', not {text!r}") from None


def _invalid(name: str, message: str) -> Refused:
    place = f"query.{name}"
    return Refused(
        f"1 validation error: {place}: {message}", status=400, kind="Bad Request", param=place
    )
