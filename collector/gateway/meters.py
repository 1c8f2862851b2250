"""Measure an answer while it passes: times of its content, its usage, how it ended. Pure.

A meter gets the engine's bytes with the time they came and returns the bytes for the client.
"""

from array import array
from typing import Protocol

from collector.gateway.books import FinishReason
from collector.gateway.chunks import USAGE_TAIL_BYTES, Chunk, Usage, read_chunk, usage_at_end
from collector.gateway.sse import EventSplitter, event_data

_WHOLE_ANSWER_BYTES = 1 << 18  # up to here an answer is parsed as a whole


class Meter(Protocol):
    """One answer on its way."""

    usage: Usage | None
    first_content_monotonic_seconds: float | None  # None: none seen, or not a stream
    gaps_seconds: "array[float]"  # between chunks with content

    @property
    def is_announced_whole(self) -> bool:
        """Whether the engine has said that nothing more comes, and that all went well."""
        ...

    def pass_on(self, chunk: bytes, *, now_monotonic_seconds: float) -> bytes:
        """What the client is to get of `chunk` now."""
        ...

    def end(self) -> bytes:
        """What the client is to get at the end."""
        ...

    def failure(self) -> FinishReason | None:
        """Why an answer that ended in order is a failure all the same; None when it is not."""
        ...


class StreamMeter:
    """A stream of server-sent events."""

    def __init__(self, *, strips_usage: bool, expects_end: bool) -> None:
        self.usage: Usage | None = None
        self.first_content_monotonic_seconds: float | None = None
        self.gaps_seconds = array("d")
        self._strips_usage = strips_usage
        self._expects_end = expects_end  # False: a protocol whose last event we do not know
        self._last_content = 0.0
        self._splitter = EventSplitter()
        self._failure: FinishReason | None = None
        self._has_ended = False
        self._is_done = False

    @property
    def is_announced_whole(self) -> bool:
        """After `[DONE]`; many clients hang up on it, before the connection has ended in order."""
        return self._is_done and self._failure is None

    def pass_on(self, chunk: bytes, *, now_monotonic_seconds: float) -> bytes:
        """All events that are complete now, but for the usage that the client did not ask for."""
        events = self._splitter.feed(chunk)
        return b"".join(event for event in events if self._keeps(event, now_monotonic_seconds))

    def end(self) -> bytes:
        """An event without its blank line, if the engine ended so."""
        return self._splitter.rest()

    def failure(self) -> FinishReason | None:
        """An error event or an aborted answer under HTTP 200, or an end that was never announced."""
        if self._failure is None and self._expects_end and not self._has_ended:
            return FinishReason.TRUNCATED
        return self._failure

    def _keeps(self, event: bytes, now: float) -> bool:
        data = event_data(event)
        if data is None:
            return True
        chunk = read_chunk(data)
        self._note_end(chunk)
        if chunk.has_content:
            self._note_content(now)
        self.usage = chunk.usage or self.usage
        return not (self._strips_usage and chunk.is_usage_only)

    def _note_end(self, chunk: Chunk) -> None:
        self._is_done = self._is_done or chunk.is_end
        self._has_ended = self._has_ended or chunk.is_end or chunk.is_finish
        if chunk.is_error:
            self._failure = FinishReason.ERROR_EVENT
        elif chunk.is_engine_abort:
            self._failure = FinishReason.ENGINE_ABORTED

    def _note_content(self, now: float) -> None:
        if self.first_content_monotonic_seconds is None:
            self.first_content_monotonic_seconds = now
        else:
            self.gaps_seconds.append(now - self._last_content)
        self._last_content = now


class AnswerMeter:
    """An answer in one piece; only its usage and its end are of interest."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.first_content_monotonic_seconds: float | None = None
        self.gaps_seconds = array("d")
        self._kept = bytearray()
        self._is_whole = True
        self._failure: FinishReason | None = None

    @property
    def is_announced_whole(self) -> bool:
        """Never: only its end says that it is whole."""
        return False

    def pass_on(self, chunk: bytes, *, now_monotonic_seconds: float) -> bytes:
        """The chunk itself."""
        self._kept += chunk
        if len(self._kept) > _WHOLE_ANSWER_BYTES:
            self._is_whole = False
            del self._kept[:-USAGE_TAIL_BYTES]
        return chunk

    def end(self) -> bytes:
        """Nothing; reads the usage."""
        if not self._is_whole:
            self.usage = usage_at_end(bytes(self._kept))
            return b""
        answer = read_chunk(bytes(self._kept))
        self.usage = answer.usage
        self._failure = FinishReason.ENGINE_ABORTED if answer.is_engine_abort else None
        return b""

    def failure(self) -> FinishReason | None:
        """Set when the engine gave the answer up."""
        return self._failure
