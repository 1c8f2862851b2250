"""Server-sent events cut out of a byte stream, wherever the network happened to cut it. Pure.

Bytes in, the same bytes out event by event, so that one event can be left out without touching the
others. Source: WHATWG HTML, 9.2.5 and 9.2.6 (line ends CRLF, LF or CR; comments; several data lines).
"""

import re

MAX_EVENT_BYTES = 1 << 20
"""A longer event is passed on in pieces that nobody reads: memory stays bounded."""

_BLANK_LINE = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?!\n))")
_LINE_END = re.compile(rb"\r\n|\n|\r")
_OVERLAP = 3  # a blank line is at most four bytes, so its start may lie this far back


class EventSplitter:
    """Holds the beginning of an event until its end arrives."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events completed by `chunk`, each with the blank line that ends it."""
        scanned = max(0, len(self._pending) - _OVERLAP)
        buffer = self._pending + chunk
        events, start = [], 0
        for match in _BLANK_LINE.finditer(buffer, scanned):
            events.append(buffer[start : match.end()])
            start = match.end()
        self._pending = buffer[start:]
        if len(self._pending) > MAX_EVENT_BYTES:
            events.append(self.rest())
        return events

    def rest(self) -> bytes:
        """What is left without an end; empties the splitter."""
        rest, self._pending = self._pending, b""
        return rest


def event_data(event: bytes) -> bytes | None:
    """The data lines of an event, joined by LF; None when it has none (a comment, a blank line)."""
    if event[:6] == b"data: " and event[-2:] == b"\n\n" and len(_LINE_END.findall(event)) == 2:
        return event[6:-2]  # nearly every event of nearly every engine
    found = []
    for line in _LINE_END.split(event):
        if line.startswith(b"data:"):
            found.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line == b"data":
            found.append(b"")
    return b"\n".join(found) if found else None
