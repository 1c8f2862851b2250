"""aiohttp's low-level server with errors in OpenAI's shape, limits, and no tracebacks for bad input.

Routing by hand (a dozen paths) instead of `web.Application`: less work per request and nothing that
answers in HTML.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from aiohttp import StreamReader, http_exceptions, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage

from collector.gateway.openai_errors import Rejected
from collector.gateway.replies import error_reply

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]

MAX_HEADER_COUNT = 100
_LINGERING_SECONDS = 2.0  # how long the rest of a refused body is read, so that the answer arrives


class _Connection(web.RequestHandler):
    """One client connection."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What could not even be parsed (400), or our own fault (500)."""
        if request.writer.output_size > 0:
            raise ConnectionResetError("the answer had begun; the connection is closed")
        if status >= 500:
            self.logger.error("unexpected error", exc_info=exc)
            reply = error_reply("The gateway failed.", status=500, code="internal")
        else:
            reply = self._malformed(exc)
        reply.force_close()
        return reply

    def _malformed(self, error: BaseException | None) -> web.Response:
        is_too_large = isinstance(error, http_exceptions.LineTooLong)
        manager = self._manager
        if isinstance(manager, HttpServer):
            manager.count(Rejected.TOO_LARGE if is_too_large else Rejected.BAD_REQUEST)
        if is_too_large:
            return error_reply("The request's head is too large.", status=431, code="too_large")
        return error_reply("This is not a proper HTTP request.", status=400, code="bad_request")


class HttpServer(web.Server):
    """Makes a connection per client. A client that hangs up cancels its handler at once."""

    def __init__(
        self,
        handle: Handle,
        *,
        count: Callable[[Rejected], None],
        max_body_bytes: int,
        max_header_bytes: int,
        idle_timeout_seconds: float,
    ) -> None:
        super().__init__(
            handle,
            request_factory=self._request,
            handler_cancellation=True,
            keepalive_timeout=idle_timeout_seconds,
            lingering_time=_LINGERING_SECONDS,
            max_line_size=max_header_bytes,
            max_field_size=max_header_bytes,
            max_headers=MAX_HEADER_COUNT,
            access_log=None,
            logger=logging.getLogger("foresail.gateway"),
        )
        self.count = count
        self._max_body_bytes = max_body_bytes

    def __call__(self) -> web.RequestHandler:
        """The handler of a new connection."""
        return _Connection(self, loop=self._loop, **self._kwargs)

    def _request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: "asyncio.Task[None]",
    ) -> web.BaseRequest:
        return web.BaseRequest(
            message,
            payload,
            protocol,
            writer,
            task,
            self._loop,
            client_max_size=self._max_body_bytes,
        )
