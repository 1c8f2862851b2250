"""`ExpositionReader` over HTTP with aiohttp: metric pages of engines and of the gateway.

Targets in, one `Exposition` each out, whatever they do: refuse, hang, redirect, stream for ever or
answer nonsense. Connections are kept between scrapes but for targets that cannot bear it. Makes no
readings of the pages; that is `normalise`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import NamedTuple, Self

import aiohttp

from collector.clock import Clock
from collector.errors import SourceError, TransientSourceError
from collector.ports import Exposition, Reply, ScrapeTarget
from collector.sources.connecting import why_unconnected

_CHUNK_BYTES = 1 << 16
_SHOWN_CHARACTERS = 200
_ACCEPT = "text/plain;version=0.0.4;q=1,*/*;q=0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrapeLimits:
    """What reading may cost."""

    timeout_seconds: float = 2.0  # for one page, connecting included
    batch_timeout_seconds: float = 4.0  # for all pages of one call
    max_concurrent: int = 32  # pages read at once
    max_page_bytes: int = 16 << 20  # after decompression; vLLM's page has about 70 KB


class _Door(NamedTuple):
    """Targets that share a pool of connections."""

    unix_socket_path: str | None
    keep_alive: bool


class HttpExpositionReader:
    """Keeps connections between calls; `async with` it, or call `close`."""

    def __init__(self, *, clock: Clock, limits: ScrapeLimits | None = None) -> None:
        self._clock = clock
        self._limits = limits or ScrapeLimits()
        self._free = asyncio.Semaphore(self._limits.max_concurrent)
        self._sessions: dict[_Door, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes all connections."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    async def read_expositions(self, targets: Sequence[ScrapeTarget]) -> Mapping[str, Exposition]:
        """One answer per target key, within the limits of the whole batch."""
        if not targets:
            return {}
        tasks = {asyncio.create_task(self._read(target)): target for target in targets}
        done: set[asyncio.Task[Exposition]] = set()
        try:
            done, _ = await asyncio.wait(tasks, timeout=self._limits.batch_timeout_seconds)
        finally:
            for task in tasks.keys() - done:
                task.cancel()
            await asyncio.gather(*(tasks.keys() - done), return_exceptions=True)
        return {
            target.key: task.result() if task in done else self._unread(target)
            for task, target in tasks.items()
        }

    async def _read(self, target: ScrapeTarget) -> Exposition:
        async with self._free:
            text: str | None = None
            error: str | None = None
            replies: list[Reply] = []
            try:
                text = await self._read_page(target, replies)
            except SourceError as failure:
                error = str(failure)
            return Exposition(
                key=target.key,
                text=text,
                error=error,
                observed_timestamp_seconds=self._clock.timestamp_seconds(),
                reply=replies[0] if replies else None,
            )

    async def _read_page(self, target: ScrapeTarget, replies: list[Reply]) -> str:
        """The body of a 200; `replies` gets how the server answered, even when this raises."""
        session = self._session(_Door(target.unix_socket_path, target.keep_alive))
        started = self._clock.monotonic_seconds()
        try:
            async with session.get(
                target.url, allow_redirects=False, headers={"Accept": _ACCEPT}
            ) as response:
                replies.append(
                    _reply(response, elapsed_seconds=self._clock.monotonic_seconds() - started)
                )
                if response.status != 200:
                    raise SourceError(f"{target.url} answered HTTP {response.status}")
                return (await self._body(response, target)).decode("utf-8", errors="replace")
        except TimeoutError as error:
            limit = self._limits.timeout_seconds
            raise TransientSourceError(f"{target.url} did not answer within {limit:g} s") from error
        except aiohttp.ClientConnectorError as error:
            why = why_unconnected(error)
            raise TransientSourceError(f"{target.url}: cannot connect: {why}") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise TransientSourceError(f"{target.url}: {_one_line(error)}") from error

    async def _body(self, response: aiohttp.ClientResponse, target: ScrapeTarget) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
            body += chunk
            if len(body) > self._limits.max_page_bytes:
                response.close()
                raise SourceError(
                    f"{target.url} sent more than {self._limits.max_page_bytes} bytes"
                )
        return bytes(body)

    def _session(self, door: _Door) -> aiohttp.ClientSession:
        session = self._sessions.get(door)
        if session is None:
            closes = not door.keep_alive
            connector = (
                aiohttp.TCPConnector(limit=self._limits.max_concurrent, force_close=closes)
                if door.unix_socket_path is None
                else aiohttp.UnixConnector(door.unix_socket_path, force_close=closes)
            )
            session = aiohttp.ClientSession(
                connector=connector,
                headers={"Connection": "close"} if closes else None,
                timeout=aiohttp.ClientTimeout(total=self._limits.timeout_seconds),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
            self._sessions[door] = session
        return session

    def _unread(self, target: ScrapeTarget) -> Exposition:
        limit = self._limits.batch_timeout_seconds
        return Exposition(
            key=target.key,
            text=None,
            error=f"{target.url} was not read: all pages together took more than {limit:g} s",
            observed_timestamp_seconds=self._clock.timestamp_seconds(),
        )


def _reply(response: aiohttp.ClientResponse, *, elapsed_seconds: float) -> Reply:
    return Reply(
        status=response.status,
        server_timestamp_seconds=_timestamp_of(response.headers.get("Date", "")),
        elapsed_seconds=elapsed_seconds,
    )


def _timestamp_of(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, OverflowError):
        return None


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())[:_SHOWN_CHARACTERS]
    return text or type(error).__name__
