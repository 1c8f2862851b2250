"""The controller's side: routes in, status out, over a Unix socket only its owner can open."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog
from aiohttp import web

from collector.errors import GatewayError
from collector.gateway.dispatch import Dispatcher
from collector.gateway.exposition import CONTENT_TYPE
from collector.gateway.replies import error_reply, json_reply
from collector.gateway.routes_file import write_routes
from collector.gateway.routing import decode_table
from collector.gateway.status import GatewayStatus, encode_status
from collector.gateway.wake import check_socket_path

ADMIN_SOCKET = "gateway.sock"
MAX_TABLE_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminParts:
    """What the admin side works with."""

    state_dir: Path
    dispatcher: Dispatcher
    status: Callable[[], GatewayStatus]
    metrics_page: Callable[[], bytes]


class Admin:
    """Answers every request of the admin socket."""

    def __init__(self, parts: AdminParts) -> None:
        self._parts = parts
        self._log = structlog.get_logger("foresail.gateway")
        self._writing = asyncio.Lock()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to any request whatever."""
        match request.method, request.path:
            case "PUT", "/v1/routes":
                return await self._put_routes(await request.read())
            case "GET", "/v1/status":
                body = encode_status(self._parts.status())
                return web.Response(body=body, content_type="application/json")
            case "GET", "/metrics":
                page = self._parts.metrics_page()
                return web.Response(body=page, headers={"Content-Type": CONTENT_TYPE})
            case "GET", "/healthz":
                return json_reply({"status": "ok"})
            case _:
                return error_reply("There is nothing at this path.", status=404, code="not_found")

    async def _put_routes(self, raw: bytes) -> web.Response:
        try:
            table = decode_table(raw)
        except GatewayError as error:
            return error_reply(str(error), status=400, code="bad_request")
        current = self._parts.dispatcher.table
        if not self._parts.dispatcher.apply(table):
            seen = "" if current is None else f"{current.epoch}.{current.version}"
            message = (
                f"routing table {table.epoch}.{table.version} (epoch.version) is not newer than "
                f"{seen} in force; another controller may have taken over"
            )
            return error_reply(message, status=409, code="stale_routes")
        return json_reply({"is_persisted": await self._persist()})

    async def _persist(self) -> bool:
        """Whether the table in force is on disk; it is obeyed either way."""
        async with self._writing:
            table = self._parts.dispatcher.table
            if table is None:
                return False
            try:
                await asyncio.to_thread(write_routes, table, state_dir=self._parts.state_dir)
            except OSError as error:
                self._log.warning("routes_not_persisted", error=str(error))
                return False
            return True


def admin_socket(path: Path) -> socket.socket:
    """A bound socket at `path`, mode 0600; one that a dead process left is replaced.

    Raises GatewayError when a gateway lives behind it, or it cannot be made.
    """
    check_socket_path(path)
    if _is_alive(path):
        raise GatewayError(
            f"another gateway is running on {path}; stop it or use another state_dir"
        )
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        path.chmod(0o600)  # before the first `listen`, so nobody gets in between
    except OSError as error:
        listener.close()
        raise GatewayError(f"cannot listen on {path}: {error.strerror}") from error
    return listener


def _is_alive(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except TimeoutError:
            return True  # somebody is there and busy
        except OSError:
            return False
    return True
