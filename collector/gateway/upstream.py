"""Requests to replicas: connections, time limits, and what each failure means for a retry."""

import functools
import io
from types import TracebackType

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from collector.gateway.books import FinishReason
from collector.gateway.routing import ReplicaRoute
from collector.gateway.settings import GatewaySettings

_KEEP_ALIVE_SECONDS = (
    4.0  # under uvicorn's default of 5: we close first, so no request meets a closed one
)
_LARGE_BODY_BYTES = 1 << 19  # above it the client writes in pieces


class Unreachable(Exception):
    """No connection, so nothing was sent: any replica may get the request."""


class Lost(Exception):
    """The connection failed after the request was sent."""

    def __init__(self, reason: FinishReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class Upstreams:
    """HTTP client of all replicas; an async context manager."""

    def __init__(self, settings: GatewaySettings) -> None:
        limits = aiohttp.ClientTimeout(
            total=None,
            sock_connect=settings.connect_timeout_seconds,
            sock_read=settings.read_idle_timeout_seconds,
        )
        self._reusing = _session(
            aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_SECONDS), limits
        )
        self._single_use = _session(aiohttp.TCPConnector(limit=0, force_close=True), limits)

    async def __aenter__(self) -> "Upstreams":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._reusing.close()
        await self._single_use.close()

    async def send(
        self, replica: ReplicaRoute, *, path: str, headers: CIMultiDict[str], body: bytes
    ) -> aiohttp.ClientResponse:
        """The head of the answer; the body is read with `read_piece`. Raises Unreachable, Lost."""
        session = self._reusing if replica.keep_alive else self._single_use
        data = io.BytesIO(body) if len(body) > _LARGE_BODY_BYTES else body
        try:
            url = _url(replica.base_url, path)
            return await session.post(url, data=data, headers=headers, allow_redirects=False)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Unreachable from error
        except (aiohttp.InvalidURL, ValueError) as error:
            raise Unreachable from error
        except TimeoutError as error:
            raise Lost(FinishReason.UPSTREAM_TIMEOUT) from error
        except aiohttp.ClientError as error:
            raise Lost(FinishReason.DISCONNECTED) from error


@functools.lru_cache(maxsize=256)
def _url(base_url: str, path: str) -> URL:
    """The parsed URL; the same few again and again."""
    return URL(base_url + path, encoded=True)


async def read_piece(answer: aiohttp.ClientResponse) -> bytes:
    """The next bytes of the body as they come; empty at its proper end. Raises Lost."""
    try:
        return await answer.content.readany()
    except TimeoutError as error:
        raise Lost(FinishReason.UPSTREAM_TIMEOUT) from error
    except (aiohttp.ClientError, OSError) as error:
        raise Lost(FinishReason.TRUNCATED) from error


def _session(
    connector: aiohttp.TCPConnector, limits: aiohttp.ClientTimeout
) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        timeout=limits,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("User-Agent", "Content-Type", "Accept"),
        max_line_size=1 << 16,
        max_field_size=1 << 16,
    )
