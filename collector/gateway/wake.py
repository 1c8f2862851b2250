"""A tap on the controller's shoulder: datagrams over a Unix socket, both ends.

The gateway sends and never waits; with nobody listening, or a full queue, the datagram is dropped,
since the controller looks at the gateway every few seconds anyway.
"""

import asyncio
import contextlib
import json
import os
import socket
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from collector.errors import GatewayError
from collector.model.ids import ReplicaId, ServiceName

WAKE_SOCKET = "controller.sock"
MAX_KEPT_EVENTS = 256
_MAX_DATAGRAM_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestHeld:
    """A request began to wait for a replica of this service."""

    service: ServiceName


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaUnreachable:
    """No connection to this replica could be made."""

    replica_id: ReplicaId


WakeEvent = RequestHeld | ReplicaUnreachable


def encode_event(event: WakeEvent) -> bytes:
    """The datagram for `event`."""
    match event:
        case RequestHeld():
            return json.dumps({"event": "held", "service": event.service}).encode()
        case ReplicaUnreachable():
            return json.dumps({"event": "unreachable", "replica": event.replica_id}).encode()


def decode_event(datagram: bytes) -> WakeEvent | None:
    """The event in `datagram`; None for anything else."""
    try:
        document = json.loads(datagram)
    except (ValueError, RecursionError):
        return None
    match document:
        case {"event": "held", "service": str(service)}:
            return RequestHeld(service=ServiceName(service))
        case {"event": "unreachable", "replica": str(replica)}:
            return ReplicaUnreachable(replica_id=ReplicaId(replica))
        case _:
            return None


class WakeSender:
    """The gateway's end."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def send(self, event: WakeEvent) -> bool:
        """Whether somebody will get it."""
        try:
            self._socket.sendto(encode_event(event), self._path)
        except OSError:  # nobody there, or too busy to take it
            return False
        return True

    def close(self) -> None:
        """Frees the socket."""
        self._socket.close()


class WakeListener:
    """The controller's end; there is one controller per state directory, so the path is its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._events: deque[WakeEvent] = deque(maxlen=MAX_KEPT_EVENTS)
        self._woken = asyncio.Event()
        self._socket: socket.socket | None = None
        self._inode: int | None = None  # of our socket file

    def open(self) -> None:
        """Starts to listen, in a running event loop. Raises GatewayError."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listener.setblocking(False)
        try:
            self._path.unlink(missing_ok=True)
            listener.bind(str(self._path))
            self._path.chmod(0o600)
        except OSError as error:
            listener.close()
            raise GatewayError(f"cannot listen on {self._path}: {error}") from error
        asyncio.get_running_loop().add_reader(listener, self._receive)
        self._socket = listener
        self._inode = self._path.stat().st_ino

    def close(self) -> None:
        """Stops listening and removes the socket file."""
        if self._socket is None:
            return
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self._socket = None
        with contextlib.suppress(FileNotFoundError):
            if self._path.stat().st_ino == self._inode:  # else a newer controller listens there
                self._path.unlink()

    def is_set(self) -> bool:
        """Whether `wait` would return at once."""
        return self._woken.is_set()

    async def wait(self) -> None:
        """Returns when there are events that were not taken yet."""
        await self._woken.wait()

    def take_events(self) -> tuple[WakeEvent, ...]:
        """The events since the last call, oldest first, at most MAX_KEPT_EVENTS."""
        events = tuple(self._events)
        self._events.clear()
        self._woken.clear()
        return events

    def _receive(self) -> None:
        if self._socket is None:
            return
        try:
            datagram = self._socket.recv(_MAX_DATAGRAM_BYTES)
        except OSError:
            return
        event = decode_event(datagram)
        if event is not None:
            self._events.append(event)
            self._woken.set()


def check_socket_path(path: Path) -> None:
    """Raises GatewayError when the kernel cannot take a path of this length."""
    length = len(os.fsencode(path))
    if length > MAX_SOCKET_PATH_BYTES:
        raise GatewayError(
            f"socket path {path} has {length} bytes, at most {MAX_SOCKET_PATH_BYTES} are possible; "
            "choose a shorter state_dir"
        )


MAX_SOCKET_PATH_BYTES = 107
"""Source: unix(7), sun_path has 108 bytes with the final zero."""
