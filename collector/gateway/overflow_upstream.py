"""Sends one request to the overflow: what leaves this machine, and what each refusal means.

In: a request and the overflow's address. Out: an answer below 400 with its first bytes, or
`OverflowFailed`: nothing has reached the client then, and a replica of ours may get the request.
Neither the key nor anything of the request is logged.
"""

import os
from pathlib import Path

import aiohttp
import structlog
from multidict import CIMultiDict

from collector.errors import ConfigurationError
from collector.gateway.books import FinishReason
from collector.gateway.routing import ReplicaRoute
from collector.gateway.upstream import Lost, Unreachable, Upstreams, read_piece
from collector.model.ids import ServiceName

PAUSE_SECONDS = 5.0
"""How long an overflow that refused its key, its load or its duty gets nothing."""
MAX_KEY_BYTES = 8192
OVERFLOW_HEADER = "X-Foresail-Overflow"
"""On every answer of an overflow, so that none is given silently."""

_CROSSING_HEADERS = ("Content-Type", "Accept", "Accept-Encoding")
_REFUSES_THIS_REQUEST_ONLY = frozenset({400, 413, 415, 422})


class OverflowFailed(Exception):
    """The overflow did not answer this request."""

    def __init__(
        self,
        *,
        was_sent: bool,
        pause_seconds: float,
        reason: FinishReason,
        may_cost: bool = False,
    ) -> None:
        super().__init__(reason.value)
        self.was_sent = was_sent
        self.may_cost = may_cost  # it was sent and not refused: who knows what was generated
        self.pause_seconds = pause_seconds
        self.reason = reason


class KeyFiles:
    """Keys by their file; a file is read again once it has changed."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[int, int, int], str]] = {}

    def key(self, path: str) -> str:
        """The key in the file. Raises ConfigurationError, which does not repeat what is in it."""
        try:
            found = os.stat(path)
            state = (found.st_ino, found.st_size, found.st_mtime_ns)
            known = self._known.get(path)
            if known is None or known[0] != state:
                known = self._known[path] = (state, _read_key(path))
        except OSError as error:
            raise ConfigurationError(f"api_key_file {path}: {error.strerror}") from error
        return known[1]


class OverflowUpstream:
    """The gateway's way to all overflows."""

    def __init__(self, upstreams: Upstreams) -> None:
        self._upstreams = upstreams
        self._keys = KeyFiles()
        self._log = structlog.get_logger("foresail.gateway")

    async def send(
        self,
        overflow: ReplicaRoute,
        *,
        service: ServiceName,
        path: str,
        headers: CIMultiDict[str],
        body: bytes,
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        """An answer below 400 and its first bytes. Raises OverflowFailed."""
        try:
            key_file = overflow.api_key_file
            key = None if key_file is None else self._keys.key(key_file)
        except ConfigurationError as error:
            self._tell(service, str(error))
            raise _unsent() from error
        try:
            answer = await self._upstreams.send(
                overflow,
                path=path.partition("?")[0],
                headers=overflow_headers(headers, key=key),
                body=body,
            )
        except Unreachable as error:
            self._tell(service, "it cannot be reached")
            raise _unsent() from error
        except Lost as error:
            raise self._lost(service, error) from error
        return await self._checked(answer, service=service)

    async def _checked(
        self, answer: aiohttp.ClientResponse, *, service: ServiceName
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        if answer.status >= 300:  # a redirect is none of ours to follow with a key
            answer.close()
            raise self._refused(service, answer.status)
        try:
            return answer, await read_piece(answer)
        except Lost as error:
            answer.close()
            raise self._lost(service, error) from error
        except BaseException:
            answer.close()
            raise

    def _refused(self, service: ServiceName, status: int) -> OverflowFailed:
        self._tell(service, f"it answered {status}")
        is_busy = status in {429, 503}
        return OverflowFailed(
            was_sent=True,
            pause_seconds=0.0 if status in _REFUSES_THIS_REQUEST_ONLY else PAUSE_SECONDS,
            reason=FinishReason.UPSTREAM_OVERLOADED if is_busy else FinishReason.UPSTREAM_ERROR,
        )

    def _lost(self, service: ServiceName, error: Lost) -> OverflowFailed:
        self._tell(service, f"no answer ({error.reason.value})")
        return OverflowFailed(
            was_sent=True, pause_seconds=PAUSE_SECONDS, reason=error.reason, may_cost=True
        )

    def _tell(self, service: ServiceName, why: str) -> None:
        self._log.warning("overflow_failed", service=service, error=why)


def overflow_headers(headers: CIMultiDict[str], *, key: str | None) -> CIMultiDict[str]:
    """What leaves this machine: how to read the body, and our key. Nothing about who asks."""
    sent = CIMultiDict((name, headers[name]) for name in _CROSSING_HEADERS if name in headers)
    if key is not None:
        sent["Authorization"] = f"Bearer {key}"
    return sent


def overflow_answer_headers(headers: CIMultiDict[str]) -> CIMultiDict[str]:
    """What the client gets: how to read the body, and that it came from elsewhere."""
    crossing = ("Content-Type", "Content-Length", "Content-Encoding")
    sent = CIMultiDict((name, headers[name]) for name in crossing if name in headers)
    sent[OVERFLOW_HEADER] = "true"
    return sent


def _unsent() -> OverflowFailed:
    return OverflowFailed(
        was_sent=False, pause_seconds=PAUSE_SECONDS, reason=FinishReason.UNREACHABLE
    )


def _read_key(path: str) -> str:
    with Path(path).open("rb") as file:
        raw = file.read(MAX_KEY_BYTES + 1)
    key = raw.decode("ascii", "replace").strip()
    if not key or len(raw) > MAX_KEY_BYTES or not (key.isascii() and key.isprintable()):
        raise ConfigurationError(
            f"api_key_file {path}: must hold one line of printable ASCII of at most "
            f"{MAX_KEY_BYTES} bytes, the key and nothing else"
        )
    return key
