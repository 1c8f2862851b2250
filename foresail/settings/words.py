"""The words of foresail.yaml that have rules of their own: hosts, paths, limits.

Each function returns what was typed, or raises ValueError with what is allowed. Pure.
"""

import ipaddress
import re
from urllib.parse import urlsplit

MIN_HEADER_BYTES = 1024
MAX_HEADER_BYTES = 2**20

_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


def host(typed: str) -> str:
    """An address or name to listen on."""
    if not (_is_address(typed) or _HOST_NAME.fullmatch(typed)):
        raise ValueError("must be an address or a host name without a port, such as 127.0.0.1")
    return typed


def host_header(typed: str) -> str:
    """A name clients use, as it stands in the Host header without its port."""
    if not (_is_address(typed.strip("[]")) or _HOST_NAME.fullmatch(typed)):
        raise ValueError("must be a host name such as models.example.com, without http:// and port")
    return typed


def prometheus_url(typed: str) -> str:
    """http(s)://host[:port][/path], without the slash at the end."""
    try:
        parts = urlsplit(typed)
        is_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        parts, is_host = urlsplit(""), False
    if parts.scheme not in {"http", "https"} or not is_host:
        raise ValueError("must be a url such as http://127.0.0.1:9090")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user or password; there is bearer_token_file")
    if parts.query or parts.fragment or not typed.isprintable() or " " in typed:
        raise ValueError("must end after host, port and path; the query is added (/api/v1/query)")
    return typed.rstrip("/")


def path(typed: str) -> str:
    """A path, absolute or from the settings file's folder."""
    if not typed or "\0" in typed:
        raise ValueError("must be a path")
    if typed.startswith("~"):
        raise ValueError("must be absolute or from this file's folder; ~ is not filled in")
    return typed


def header_bytes_of(value: int) -> int:
    """A size of headers that is neither useless nor an invitation."""
    if not MIN_HEADER_BYTES <= value <= MAX_HEADER_BYTES:
        raise ValueError(f"must be from {MIN_HEADER_BYTES} to {MAX_HEADER_BYTES} bytes")
    return value


def rising(edges: list[float]) -> list[float]:
    """Bucket edges that rise, or none."""
    if edges != sorted(set(edges)):
        raise ValueError("must rise from entry to entry")
    return edges


def _is_address(typed: str) -> bool:
    try:
        ipaddress.ip_address(typed)
    except ValueError:
        return False
    return True
