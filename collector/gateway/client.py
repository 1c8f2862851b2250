"""The controller's way to the gateway: its admin socket."""

import json
from pathlib import Path

import aiohttp

from collector.errors import GatewayError
from collector.gateway.admin import ADMIN_SOCKET
from collector.gateway.routing import RoutingTable, encode_table
from collector.gateway.status import GatewayStatus, decode_status

_HOST = "http://gateway"  # a name for the URL; the connection goes to the socket


class GatewayClient:
    """Talks to the gateway of one state directory; holds no connection between calls."""

    def __init__(self, state_dir: Path, *, timeout_seconds: float = 5.0) -> None:
        self._socket = state_dir / ADMIN_SOCKET
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)

    async def write_routes(self, table: RoutingTable) -> None:
        """Returns when the gateway obeys `table`. Raises GatewayError: not there, or table stale."""
        status, body = await self._call("PUT", "/v1/routes", encode_table(table))
        if status != 200:
            raise GatewayError(f"the gateway refused the routes: {_message(body)}")

    async def read_status(self) -> GatewayStatus | None:
        """What the gateway says; None when it cannot be reached. Raises GatewayError for nonsense."""
        try:
            status, body = await self._call("GET", "/v1/status")
        except GatewayError:
            return None
        if status != 200:
            raise GatewayError(f"the gateway gave no status: {_message(body)}")
        return decode_status(body)

    async def _call(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        connector = aiohttp.UnixConnector(path=str(self._socket))
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=self._timeout) as session,
                session.request(method, _HOST + path, data=body) as answer,
            ):
                return answer.status, await answer.read()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            why = str(error) or type(error).__name__
            raise GatewayError(
                f"the gateway cannot be reached on {self._socket}: {why}; is it running?"
            ) from error


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, LookupError, TypeError):
        return body[:200].decode("utf-8", "replace")
