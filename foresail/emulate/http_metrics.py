"""What the HTTP layer before vLLM's engine counts, and what the Python process says of itself.

In: one observation per answered request. Out: lines of the page. Times are the clock's.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from foresail.emulate.metric_page import Histogram, Values
from foresail.emulate.vllm_names import HTTP_EDGES, HTTP_FINE_EDGES

UNCOUNTED = frozenset({"/metrics", "/health", "/ping", "/load", "/version"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and its answer."""

    handler: str
    method: str
    status: int
    duration_seconds: float
    request_bytes: int
    response_bytes: int  # 0 for a streamed answer, as vLLM counts it


class HttpMetrics:
    """Requests by handler, method and class of status."""

    def __init__(self, *, now_timestamp_seconds: float) -> None:
        now = now_timestamp_seconds
        self._requests = Values(name="http_requests", kind="counter", now=now)
        self._request_bytes = Histogram(name="http_request_size_bytes", edges=(), now=now)
        self._response_bytes = Histogram(name="http_response_size_bytes", edges=(), now=now)
        self._fine = Histogram(
            name="http_request_duration_highr_seconds", edges=HTTP_FINE_EDGES, now=now
        )
        self._fine.child(())
        self._durations = Histogram(name="http_request_duration_seconds", edges=HTTP_EDGES, now=now)

    def observe(self, exchange: Exchange) -> None:
        """One request was answered."""
        by_handler = (("handler", exchange.handler),)
        by_method = (*by_handler, ("method", exchange.method))
        self._requests.add(labels=(*by_method, ("status", f"{exchange.status // 100}xx")))
        self._request_bytes.observe(exchange.request_bytes, labels=by_handler)
        self._response_bytes.observe(exchange.response_bytes, labels=by_handler)
        self._fine.observe(exchange.duration_seconds, labels=())
        self._durations.observe(exchange.duration_seconds, labels=by_method)

    def lines(self) -> Iterator[str]:
        """The HTTP part of the page."""
        yield from self._requests.lines()
        yield from self._request_bytes.lines()
        yield from self._response_bytes.lines()
        yield from self._fine.lines()
        yield from self._durations.lines()


def process_lines() -> list[str]:
    """Garbage collection, platform and process, of the real process; without HELP lines."""
    registry = CollectorRegistry()
    GCCollector(registry=registry)
    PlatformCollector(registry=registry)
    ProcessCollector(registry=registry)
    text = generate_latest(registry).decode()
    return [line for line in text.splitlines() if not line.startswith("# HELP")]
