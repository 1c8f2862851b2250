"""The last routing table on disk, so that a restarted gateway serves before any controller speaks."""

import os
from pathlib import Path

from collector.errors import GatewayError
from collector.gateway.routing import RoutingTable, decode_table, encode_table

ROUTES_FILE = "routes.json"


def read_routes(state_dir: Path) -> RoutingTable | None:
    """The table written last; None when none was. Raises GatewayError for an unusable file."""
    path = state_dir / ROUTES_FILE
    try:
        return decode_table(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise GatewayError(f"cannot read {path}: {error.strerror}") from error
    except GatewayError as error:
        raise GatewayError(
            f"{path}: {error}; it is ignored until the controller writes a new one"
        ) from error


def write_routes(table: RoutingTable, *, state_dir: Path) -> None:
    """Replaces the file as a whole, durably. Blocks for an fsync. Raises OSError."""
    path = state_dir / ROUTES_FILE
    draft = path.with_suffix(".new")
    with open(draft, "wb", opener=_private_file) as file:
        file.write(encode_table(table))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    directory = os.open(state_dir, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _private_file(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
