"""JSON objects of an engine's admin paths: GET only, within limits, never an exception.

A base URL and paths in, a `Document` or a `Silence` with its reason each out. Follows no redirect,
takes no proxy from the environment and keeps no cookie. Says nothing of what a document holds.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

import aiohttp

from collector.clock import Clock
from collector.model.reading import MissingReason
from collector.sources.connecting import why_unconnected

_CHUNK_BYTES = 1 << 16
_SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminLimits:
    """What asking may cost."""

    timeout_seconds: float = 2.0  # for one answer, connecting included; all paths are asked at once
    max_body_bytes: int = 4 << 20  # after decompression; a list of 1,000 models has about 400 KB
    max_concurrent: int = 32  # requests at once, to all engines together


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A JSON object under HTTP 200."""

    path: str
    fields: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """No usable answer."""

    path: str
    reason: MissingReason
    message: str  # one line
    status: int | None = None  # HTTP status other than 200; None: it was not about the status


Answer = Document | Silence


class AdminHttp:
    """Asks engines, a connection per request; to be closed. Belongs to one event loop."""

    def __init__(self, *, clock: Clock, limits: AdminLimits | None = None) -> None:
        self.clock = clock  # of the readers, too, which stamp what they make of the answers
        self._limits = limits or AdminLimits()
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Ends what is under way; a later call starts anew."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def read_all(self, base_url: str, *paths: str) -> tuple[Answer, ...]:
        """One answer per path, in order, all asked at once."""
        return tuple(await asyncio.gather(*(self._read(base_url, path) for path in paths)))

    async def _read(self, base_url: str, path: str) -> Answer:
        try:
            async with self._opened().get(base_url + path, allow_redirects=False) as response:
                if response.status != 200:
                    return _refused(path, response.status)
                return document_of(path, await self._body(response))
        except TimeoutError:
            waited = f"did not answer within {self._limits.timeout_seconds:g} s"
            return _unreachable(path, f"GET {path} {waited}")
        except aiohttp.ClientConnectorError as error:
            return _unreachable(path, f"cannot connect: {why_unconnected(error)}")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _unreachable(path, f"GET {path}: {_one_line(error)}")

    async def _body(self, response: aiohttp.ClientResponse) -> bytes | None:
        """The whole body; None when it is longer than the limit."""
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            body += chunk
            if len(body) > self._limits.max_body_bytes:
                response.close()
                return None
        return bytes(body)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            # llama.cpp's server gives each connection a thread of its few until it is closed: one kept
            # open between looks takes a seat from the clients, and a handful blocks the server.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._limits.max_concurrent, force_close=True),
                timeout=aiohttp.ClientTimeout(total=self._limits.timeout_seconds),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept": "application/json"},
            )
        return self._session


def document_of(path: str, body: bytes | None) -> Answer:
    """The object in `body`, or a silence; None stands for a body over the limit. Raises nothing."""
    if body is None:
        return _unreadable(path, "sent more than is read of an answer")
    try:
        fields = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError):  # RecursionError: a million brackets
        return _unreadable(path, f"answered no JSON: {_shown(body)}")
    if not isinstance(fields, dict):
        return _unreadable(path, f"answered no JSON object: {_shown(body)}")
    return Document(path=path, fields=fields)


def _no_number(word: str) -> NoReturn:
    raise ValueError(word)


def _refused(path: str, status: int) -> Silence:
    wants_key = status in (401, 403)
    return Silence(
        path=path,
        reason=MissingReason.NO_PERMISSION if wants_key else MissingReason.SOURCE_UNREACHABLE,
        message=f"GET {path} answered HTTP {status}",
        status=status,
    )


def _unreachable(path: str, message: str) -> Silence:
    return Silence(path=path, reason=MissingReason.SOURCE_UNREACHABLE, message=message)


def _unreadable(path: str, what: str) -> Silence:
    return Silence(path=path, reason=MissingReason.UNREADABLE, message=f"GET {path} {what}")


def _shown(body: bytes) -> str:
    return repr(body[:40].decode("utf-8", errors="replace"))


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())[:_SHOWN_CHARACTERS]
    return text or type(error).__name__
