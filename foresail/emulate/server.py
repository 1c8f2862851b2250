"""The state of one emulated server and what all its routes share: counting, errors, its page.

In: an engine. Out: an aiohttp application (`routes`) works on this. Between HTTP and `engine`.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from collector.clock import Clock
from foresail.emulate.bodies import Refused
from foresail.emulate.engine import EmulatedEngine
from foresail.emulate.errors import AdmissionRefused, EngineFailed
from foresail.emulate.faults import Faults
from foresail.emulate.http_metrics import UNCOUNTED, Exchange, HttpMetrics, process_lines

BUSY = (
    "The engine is currently busy and cannot accept new requests. Please try again later or on a "
    "different instance."
)
ENGINE_DEAD = "EngineCore encountered an issue. See stack trace (above) for the root cause."
DRAINING = "cannot schedule new futures after shutdown"


@dataclass(slots=True, kw_only=True)
class Server:
    """One engine behind HTTP."""

    engine: EmulatedEngine
    clock: Clock
    http: HttpMetrics
    faults: Faults = field(default_factory=Faults)
    gone: asyncio.Event = field(default_factory=asyncio.Event)  # it is to vanish at once
    load: int = 0  # generation requests between their first and last byte
    is_draining: bool = False
    refused_stream_count: int = 0

    def page(self) -> str:
        """The metric page now, or the one it froze at."""
        return self.faults.frozen_page or self.fresh_page()

    def fresh_page(self) -> str:
        """The metric page now."""
        self.engine.load()
        metrics = self.engine.metrics
        lines = [
            *process_lines(),
            *metrics.lines(),
            *self.http.lines(),
            *metrics.sleep_lines(),
        ]
        return "\n".join(lines) + "\n"

    def admit(self) -> None:
        """Raises EngineFailed or AdmissionRefused when a new request is not taken."""
        if self.is_draining:
            raise EngineFailed(DRAINING)
        if self.engine.failure is not None:
            raise EngineFailed(self.engine.failure)
        if self.faults.next_request_fails():
            raise EngineFailed(ENGINE_DEAD)
        limit = self.engine.settings.max_queued_requests
        if limit is not None and self.engine.held_count >= limit:
            self.engine.metrics.count("admission_rejections", value="max_num_queued_reqs")
            raise AdmissionRefused(BUSY)


def error_body(error: Exception) -> tuple[int, Mapping[str, object]]:
    """The status and JSON of an error that an answer ends with."""
    match error:
        case Refused():
            return error.status, error.body
        case AdmissionRefused():
            status, kind = 503, "Service Unavailable"
        case _:
            status, kind = 500, "InternalServerError"
    return status, {"error": {"message": str(error), "type": kind, "param": None, "code": status}}


def error_answer(error: Exception) -> web.Response:
    """The same as an answer."""
    status, body = error_body(error)
    return web.json_response(body, status=status)


def counting(server: Server) -> Middleware:
    """A middleware that counts answered requests and turns missing routes into vLLM's JSON."""

    @web.middleware
    async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
        begun = server.clock.monotonic_seconds()
        try:
            answer = await handler(request)
        except Refused as error:
            answer = error_answer(error)
        except web.HTTPException as error:
            answer = web.json_response({"detail": error.reason}, status=error.status)
        path = request.path
        if path not in UNCOUNTED and not path.startswith("/emulate/"):
            is_unknown = answer.status in {404, 405} and not path.startswith("/v1/")
            server.http.observe(
                Exchange(
                    handler="none" if is_unknown else path,
                    method=request.method,
                    status=answer.status,
                    duration_seconds=server.clock.monotonic_seconds() - begun,
                    request_bytes=request.content_length or 0,
                    response_bytes=_body_bytes(answer),
                )
            )
        return answer

    return count


def _body_bytes(answer: web.StreamResponse) -> int:
    return answer.body_length if isinstance(answer, web.Response) else 0
