"""How the gateway process runs: where it listens, who may use it, what it bears. Checked at start."""

import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from collector.errors import ConfigurationError
from collector.gateway.latency import DEFAULT_EDGES_SECONDS, LATENCY_SLIS
from collector.model.catalogue import Sli

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """Values of `foresail.yaml` that concern the gateway. Only `state_dir` has no default."""

    state_dir: Path
    host: str = "127.0.0.1"
    port: int = 8080  # 0: any free one
    keys_file: Path | None = None  # None: everybody who can connect may use it
    tls_certificate: Path | None = None  # PEM chain
    tls_key: Path | None = None
    allow_insecure_listen: bool = False  # listen beyond loopback without keys and TLS all the same
    allowed_hosts: tuple[str, ...] = LOOPBACK_HOSTS  # values of the Host header, without port
    max_body_bytes: int = 32 << 20  # a prompt with some images
    max_header_bytes: int = 16 << 10  # all header fields together
    connect_timeout_seconds: float = 3.0  # to a replica
    read_idle_timeout_seconds: float = 600.0  # between two bytes of a replica's answer
    body_timeout_seconds: float = 60.0  # for a client to send its body
    write_timeout_seconds: float = 60.0  # for a client to take one piece of its answer
    idle_timeout_seconds: float = 75.0  # of a connection without a whole request head
    drain_timeout_seconds: float = 30.0  # for requests in flight when the gateway ends
    latency_edges_seconds: Mapping[Sli, tuple[float, ...]] = field(
        default_factory=lambda: dict(DEFAULT_EDGES_SECONDS)
    )  # of the histograms; the objectives' thresholds are always added

    @property
    def url(self) -> str:
        """Where clients find it, without a path; of an unspecified address the loopback one."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104
        scheme = "https" if self.tls_certificate else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    def __post_init__(self) -> None:
        """Raises ConfigurationError with what the owner must change."""
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ConfigurationError("tls_certificate and tls_key belong together; one is missing")
        if not 0 <= self.port <= 65535:
            raise ConfigurationError(f"port must be between 0 and 65535, got {self.port}")
        self._check_exposure()
        self._check_edges()

    def _check_exposure(self) -> None:
        is_protected = self.keys_file is not None and self.tls_certificate is not None
        if is_loopback(self.host) or is_protected or self.allow_insecure_listen:
            return
        raise ConfigurationError(
            f"refusing to listen on {self.host}: beyond loopback the gateway needs keys_file, "
            "tls_certificate and tls_key (or allow_insecure_listen, which says you want it open)"
        )

    def _check_edges(self) -> None:
        for sli in LATENCY_SLIS:
            edges = self.latency_edges_seconds.get(sli, ())
            if not edges or edges[0] <= 0 or list(edges) != sorted(set(edges)):
                raise ConfigurationError(
                    f"latency_edges_seconds of {sli.value} must be positive and rise strictly, "
                    f"got {edges}"
                )


def is_loopback(host: str) -> bool:
    """Whether nobody outside of this machine can reach a socket bound to `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def tls_context(settings: GatewaySettings) -> ssl.SSLContext | None:
    """The server's TLS; None without a certificate. Raises ConfigurationError."""
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"TLS with {settings.tls_certificate} and {settings.tls_key} is not possible: {error}"
        ) from error
    return context
