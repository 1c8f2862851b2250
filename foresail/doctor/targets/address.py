"""What a person types about one target: its address, and objectives to hold it against.

In: words of the command line. Out: `Address`, thresholds. Raises ConfigurationError in one line.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from collector.errors import ConfigurationError
from collector.files.units import seconds_of
from collector.model.catalogue import Sli
from collector.model.contract import Contract

LATENCIES: Final = tuple(sli for sli in Sli if sli is not Sli.AVAILABILITY)
_SHAPE: Final = "an address such as http://127.0.0.1:8000, 127.0.0.1:8000 or unix:/run/gateway.sock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One server."""

    name: str  # what to call it in the report
    base_url: str  # http://host:port without a slash at its end
    path: str | None = None  # of the metric page; None: the engine's own, usually /metrics
    unix_socket_path: str | None = None


def address_of(text: str) -> Address:
    """The server meant by `text`, with or without scheme and path. Raises ConfigurationError."""
    if text.startswith("unix:"):
        return _unix_address(text)
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        has_place = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        raise ConfigurationError(f"URL must be {_SHAPE}, got {text!r}") from None
    if not has_place or parts.scheme not in ("http", "https"):
        raise ConfigurationError(f"URL must be {_SHAPE}, got {text!r}")
    if parts.username is not None:
        raise ConfigurationError(
            "URL holds a password, which would end in shell histories and logs; leave it out"
        )
    base, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    return Address(name=base, base_url=base, path=None if path in ("", "/metrics") else path)


def _unix_address(text: str) -> Address:
    path = text.removeprefix("unix:")
    path = f"/{path.lstrip('/')}" if path.startswith("//") else path
    if not path.startswith("/") or path == "/":
        raise ConfigurationError(f"URL must be {_SHAPE}, got {text!r}")
    return Address(name=text, base_url="http://localhost", path=None, unix_socket_path=path)


def refuse_unsafe_path(address: Address, *, contracts: Iterable[Contract]) -> None:
    """Raises ConfigurationError for a path that may change an engine by being read."""
    for contract in contracts:
        for endpoint in contract.endpoints:
            if endpoint.observer_safe is None and _is_meant(endpoint.path, path=address.path or ""):
                raise ConfigurationError(
                    f"{address.path} is not read: {endpoint.note} ({contract.title}); give the address "
                    "of the metric page"
                )


def _is_meant(unsafe: str, *, path: str) -> bool:
    """Whether `path` is the unsafe one, or lies where that one has a name to fill in."""
    fixed, brace, _ = unsafe.partition("{")
    return path == unsafe or (bool(brace) and path.startswith(fixed))


def threshold_of(text: str) -> tuple[Sli, float]:
    """(SLI, seconds) of `time_to_first_token<=1s`. Raises ConfigurationError."""
    name, separator, amount = text.replace(" ", "").partition("<=")
    if not separator or name not in {sli.value for sli in LATENCIES}:
        known = ", ".join(sli.value for sli in LATENCIES)
        raise ConfigurationError(
            f"--objective is like time_to_first_token<=1s with one of {known}, got {text!r}"
        )
    try:
        return Sli(name), seconds_of(amount)
    except ValueError as error:
        raise ConfigurationError(f"--objective {text}: the threshold {error}") from error


def thresholds_of(texts: Iterable[str]) -> Mapping[Sli, tuple[float, ...]]:
    """All thresholds by SLI, in the order they were given. Raises ConfigurationError."""
    found: dict[Sli, tuple[float, ...]] = {}
    for text in texts:
        sli, seconds = threshold_of(text)
        found[sli] = (*found.get(sli, ()), seconds)
    return found
