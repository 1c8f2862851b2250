"""What the owner asks of a demo, and whether it can be had: checked before anything is started.

In: flags. Out: `DemoOptions`, or a line that says which flag to change. Must not leave anything
behind: no file is written and no port is kept.
"""

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from collector.errors import ConfigurationError

LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What the owner asked for."""

    minutes: float
    speed: float | None  # recorded seconds per second; None: the whole recorded hour fits
    headless: bool
    json_path: Path | None
    keep: bool  # the work folder
    port: int | None  # of the gateway; None: a free one


def check_options(options: DemoOptions) -> None:
    """Returns when the file can be written and the port is free. Raises ConfigurationError."""
    if options.json_path is not None:
        check_writable(options.json_path)
    if options.port is not None:
        check_port(options.port)


def check_writable(path: Path) -> None:
    """Returns when that file can be written. Raises ConfigurationError."""
    folder = path.parent
    if path.is_dir():
        raise ConfigurationError(f"demo: --json {path} is a folder; name a file")
    if not folder.is_dir():
        raise ConfigurationError(f"demo: --json {path}: there is no folder {folder}; make it first")
    if not os.access(path if path.exists() else folder, os.W_OK):
        raise ConfigurationError(f"demo: --json {path} may not be written; name another file")


def check_port(port: int) -> None:
    """Returns when nobody listens there on loopback. Raises ConfigurationError."""
    try:
        socket.create_server((LOOPBACK, port)).close()
    except OSError as error:
        raise ConfigurationError(
            f"demo: --port {port}: {os.strerror(error.errno or 0)}; end what uses it, or name "
            "another one, or none: then a free one is taken"
        ) from error


def free_ports(count: int) -> list[int]:
    """Loopback ports nobody listens on now."""
    listeners = [socket.create_server((LOOPBACK, 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in listeners]
    for each in listeners:
        each.close()
    return ports
