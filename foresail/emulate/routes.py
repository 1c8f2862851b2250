"""All routes of an emulated server, and its life on a port.

In: a server. Out: an aiohttp application. The plain routes are answered here; generation and the control
plane have files of their own.
"""

from aiohttp import web

from foresail.emulate.control import Control
from foresail.emulate.generation import Generation
from foresail.emulate.server import Server, counting

VERSION = "0.32.0"
_PAGE_TYPE = "text/plain; version=1.0.0; charset=utf-8"
_MAX_BODY_BYTES = 32 << 20


def application(server: Server) -> web.Application:
    """The routes that this server's flags allow."""
    app = web.Application(middlewares=[counting(server)], client_max_size=_MAX_BODY_BYTES)
    generation, control, plain = Generation(server), Control(server), _Plain(server)
    app.add_routes(
        [
            web.get("/health", plain.empty),
            web.get("/ping", plain.empty),
            web.get("/version", plain.version),
            web.get("/load", plain.load),
            web.get("/metrics", plain.metrics),
            web.get("/v1/models", plain.models),
            web.post("/v1/completions", generation.complete),
            web.post("/v1/chat/completions", generation.chat),
        ]
    )
    if server.engine.settings.has_dev_mode:
        app.add_routes(control.routes())
    if server.engine.settings.takes_faults:
        app.add_routes([web.post("/emulate/fault", control.fault)])
    return app


class _Plain:
    """Routes that only look."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._created = int(server.clock.timestamp_seconds())

    async def empty(self, _: web.Request) -> web.Response:
        # 200 while it sleeps, drains or hangs: vLLM's health says that its process lives. After a
        # failure of the engine it is 503.
        return web.Response(status=200 if self._server.engine.failure is None else 503)

    async def version(self, _: web.Request) -> web.Response:
        return web.json_response({"version": VERSION})

    async def load(self, _: web.Request) -> web.Response:
        is_tracked = self._server.engine.settings.tracks_server_load
        return web.json_response({"server_load": self._server.load if is_tracked else 0})

    async def metrics(self, _: web.Request) -> web.Response:
        body = self._server.page().encode()
        return web.Response(body=body, headers={"Content-Type": _PAGE_TYPE})

    async def models(self, _: web.Request) -> web.Response:
        settings = self._server.engine.settings
        permission = {
            "id": "modelperm-emulated",
            "object": "model_permission",
            "created": self._created,
            "allow_create_engine": False,
            "allow_sampling": True,
            "allow_logprobs": True,
            "allow_search_indices": False,
            "allow_view": True,
            "allow_fine_tuning": False,
            "organization": "*",
            "group": None,
            "is_blocking": False,
        }
        model = {
            "id": settings.model_name,
            "object": "model",
            "created": self._created,
            "owned_by": "vllm",
            "root": settings.row.model,
            "parent": None,
            "max_model_len": settings.max_model_tokens,
            "permission": [permission],
        }
        return web.json_response({"object": "list", "data": [model]})
