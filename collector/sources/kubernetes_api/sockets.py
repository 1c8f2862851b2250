"""The open connections of one client, so that threads that wait in them can be let go.

A thread that reads from a socket wakes only when bytes come, time is up, or the socket is shut down.
In: a pool manager of urllib3. Out: the same, with its connections registered here.
"""

import contextlib
import socket
import threading
import weakref

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection


class OpenSockets:
    """Sockets that connected and were not collected since."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._is_shut = False

    def add(self, opened: socket.socket | None) -> None:
        """Remembers it; shuts it down at once when all others were."""
        if opened is None:
            return
        with self._lock:
            self._sockets.add(opened)
            is_shut = self._is_shut
        if is_shut:
            _shut(opened)

    def shut_down(self) -> None:
        """Ends every read that waits, and every later one."""
        with self._lock:
            self._is_shut = True
            found = tuple(self._sockets)
        for each in found:
            _shut(each)


def _shut(opened: socket.socket) -> None:
    # Past SSLSocket.shutdown, which takes the TLS state away from under the thread that reads.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(opened, socket.SHUT_RDWR)


def register_connections(manager: PoolManager, sockets: OpenSockets) -> None:
    """Makes every later connection of the manager known to `sockets`."""

    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            sockets.add(self.sock)

    class Secured(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            sockets.add(self.sock)

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecuredPool(HTTPSConnectionPool):
        ConnectionCls = Secured

    manager.pool_classes_by_scheme = {"http": PlainPool, "https": SecuredPool}
