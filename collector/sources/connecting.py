"""Why a connection could not be made, in the system's words: one place for all that asks over HTTP.

In: the client library's error. Out: a few words for a one-line message, without the library's own.
"""

import os

import aiohttp

_ASYNCIO_WORDS = "Connect call failed"
"""What asyncio writes before an address, in place of the reason."""


def why_unconnected(error: aiohttp.ClientConnectorError) -> str:
    """Such as "Connection refused"; of several addresses tried, of the one that is told."""
    said = error.strerror or ""
    if said.startswith(_ASYNCIO_WORDS) and error.errno:
        return os.strerror(error.errno)
    return said or str(error.os_error) or "no such address"
