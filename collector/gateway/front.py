"""The public side: who may ask, what is asked, and the body; then the proxy takes over."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from collector.clock import Clock
from collector.gateway.books import Books
from collector.gateway.dispatch import Dispatcher
from collector.gateway.exposition import CONTENT_TYPE
from collector.gateway.headers import host_name, request_headers
from collector.gateway.keys import KeyRing
from collector.gateway.openai_errors import Rejected, RequestRejected
from collector.gateway.proxy import Exchange, Proxy
from collector.gateway.replies import error_reply, json_reply, model_entry, models_reply
from collector.gateway.request_body import Endpoint, parse_request, unknown_model
from collector.gateway.settings import GatewaySettings

_PATH = re.compile(r"/v1(?:/[A-Za-z0-9_\-][A-Za-z0-9_\-.]*)+")  # no empty part, none of dots only
_ENDPOINTS = {endpoint.value: endpoint for endpoint in Endpoint}
_NO_ROUTES_RETRY_SECONDS = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontParts:
    """What the public side works with."""

    settings: GatewaySettings
    clock: Clock
    books: Books
    dispatcher: Dispatcher
    proxy: Proxy
    keys: KeyRing | None  # None: open to all who can connect
    metrics_page: Callable[[], bytes]
    start_timestamp_seconds: float


class Front:
    """Answers every request of the public port."""

    def __init__(self, parts: FrontParts) -> None:
        self._parts = parts
        self._allowed_hosts = frozenset(host.lower() for host in parts.settings.allowed_hosts)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to any request whatever."""
        try:
            self._check_head(request)
            return await self._answer(request)
        except RequestRejected as rejected:
            return self._rejection(rejected)

    def _rejection(self, rejected: RequestRejected) -> web.Response:
        if rejected.reason is not None:
            self._parts.books.reject(rejected.reason)
        return error_reply(
            rejected.message,
            status=rejected.status,
            code=rejected.reason or "not_found",
            param=rejected.param,
            headers={"WWW-Authenticate": "Bearer"} if rejected.status == 401 else None,
        )

    def _check_head(self, request: web.BaseRequest) -> None:
        size = sum(len(name) + len(value) for name, value in request.raw_headers)
        limit = self._parts.settings.max_header_bytes
        if size > limit:
            raise _rejected(431, f"The header fields have {size} bytes, at most {limit} are taken.")
        if host_name(request.headers.get("Host", "")) not in self._allowed_hosts:
            raise RequestRejected(
                "This host name is not served here; the gateway's setting `allowed_hosts` lists "
                "those that are.",
                status=421,
                reason=Rejected.HOST,
            )

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.raw_path.partition("?")[0]
        if request.method == "GET" and path == "/healthz":
            return json_reply({"status": "ok"})
        tenant = self._tenant(request)
        if request.method == "GET":
            return self._read_only(path)
        if request.method == "POST" and _PATH.fullmatch(path) and path != "/v1/models":
            return await self._infer(request, path=path, tenant=tenant)
        raise RequestRejected("There is nothing at this path.", status=404, reason=None)

    def _tenant(self, request: web.BaseRequest) -> str | None:
        """Whose key it is; None when no keys are in use."""
        if self._parts.keys is None:
            return None
        tenant = self._parts.keys.tenant(request.headers.get("Authorization"))
        if tenant is None:
            raise RequestRejected(
                "A valid key is needed: `Authorization: Bearer KEY`.",
                status=401,
                reason=Rejected.UNAUTHORISED,
            )
        return tenant

    def _read_only(self, path: str) -> web.Response:
        created = self._parts.start_timestamp_seconds
        if path == "/metrics":
            page = self._parts.metrics_page()
            return web.Response(body=page, headers={"Content-Type": CONTENT_TYPE})
        if path == "/v1/models":
            models = self._parts.dispatcher.models()
            return models_reply(models, created_timestamp_seconds=created)
        model = path.removeprefix("/v1/models/")
        if model != path:
            if self._parts.dispatcher.service_of(model) is None:
                raise unknown_model(model)
            return json_reply(model_entry(model, created_timestamp_seconds=created))
        raise RequestRejected("There is nothing at this path.", status=404, reason=None)

    async def _infer(
        self, request: web.BaseRequest, *, path: str, tenant: str | None
    ) -> web.StreamResponse:
        parts = self._parts
        raw = await self._body(request)
        received = parts.clock.monotonic_seconds()
        inference = parse_request(raw, endpoint=_ENDPOINTS.get(path, Endpoint.OTHER))
        service = parts.dispatcher.service_of(inference.model)
        if service is None:
            return self._no_service(inference.model)
        ticket = parts.books.services[service].open_ticket(
            size=inference.prompt, received_monotonic_seconds=received
        )
        ticket.may_overflow = inference.endpoint is not Endpoint.OTHER
        ticket.generates = inference.endpoint is not Endpoint.EMBEDDINGS
        return await parts.proxy.serve(
            Exchange(
                client=request,
                path=request.raw_path,
                headers=request_headers(request.headers, tenant=tenant),
                inference=inference,
                ticket=ticket,
            )
        )

    def _no_service(self, model: str) -> web.Response:
        if self._parts.dispatcher.table is not None:
            raise unknown_model(model)
        self._parts.books.reject(Rejected.UNKNOWN_MODEL)
        return error_reply(
            "The gateway has no routing table yet.",
            status=503,
            code="no_routes",
            headers={"Retry-After": _NO_ROUTES_RETRY_SECONDS},
        )

    async def _body(self, request: web.BaseRequest) -> bytes:
        limit = self._parts.settings.max_body_bytes
        if (request.content_length or 0) > limit:
            raise _rejected(413, f"The body is larger than {limit} bytes.")
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        try:
            async with asyncio.timeout(self._parts.settings.body_timeout_seconds):
                return await request.read()
        except web.HTTPRequestEntityTooLarge as error:
            raise _rejected(413, f"The body is larger than {limit} bytes.") from error
        except TimeoutError as error:
            raise _rejected(408, "The body did not arrive in time.") from error
        except (web.RequestPayloadError, ValueError) as error:
            raise _rejected(400, "The body cannot be decoded.") from error


def _rejected(status: int, message: str) -> RequestRejected:
    reason = Rejected.TOO_LARGE if status in {413, 431} else Rejected.BAD_REQUEST
    return RequestRejected(message, status=status, reason=reason)
