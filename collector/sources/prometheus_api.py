"""Prometheus's HTTP API through prometheus-api-client: instant and range queries, for a fleet.

A query in; values out, or one line of what went wrong, whatever the server does. Every call blocks
within its timeout and belongs in a worker thread. The only file that knows the client library.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_api_client.exceptions import PrometheusApiClientException
from prometheus_api_client.prometheus_connect import PrometheusConnect
from requests import JSONDecodeError, RequestException, Response, Session

from collector.clock import Clock
from collector.ports import InstantAnswer, InstantSample, RangeAnswer, RangeSeries
from collector.sources.prometheus_transport import BearerTokenFile, BoundedAdapter

MAX_POINTS = 11_000
"""Per series and range query; Prometheus refuses more (web/api/v1/api.go)."""
_SHOWN_CHARACTERS = 200
_NO_RETRIES = 0  # the next tick asks again
_NOT_A_SERIES = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What comes of taking parsed JSON of another shape for a series."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusAddress:
    """Where Prometheus is, and how it is asked."""

    url: str
    timeout_seconds: float = 3.0  # of one query
    bearer_token_path: Path | None = None  # read anew for each query; never logged
    ca_path: Path | None = None  # certificates to trust; None: the usual ones


class PrometheusApi:
    """One server. Blocks: call it in a worker thread. One call at a time."""

    def __init__(self, address: PrometheusAddress, *, clock: Clock) -> None:
        self._url = address.url.rstrip("/")
        self._warnings: list[str] = []
        self._is_closed = False
        self._session = Session()
        self._session.verify = str(address.ca_path) if address.ca_path else True
        self._session.trust_env = False  # no proxy and no .netrc that nobody named
        if address.bearer_token_path is not None:
            self._session.auth = BearerTokenFile(address.bearer_token_path)
        self._session.hooks["response"].append(self._note_warnings)
        self._connection = PrometheusConnect(
            url=self._url,
            retry=_NO_RETRIES,
            session=self._session,
            timeout=address.timeout_seconds,  # type: ignore[arg-type]  # requests takes fractions
            method="POST",
        )
        # After the client, which has mounted an adapter of its own there.
        limits = BoundedAdapter(clock=clock, timeout_seconds=address.timeout_seconds)
        self._session.mount(self._url, limits)

    def close(self) -> None:
        """Closes the connection; a thread that has more to ask is told so, and not waited for."""
        self._is_closed = True
        self._connection.close()

    def query(self, expression: str) -> InstantAnswer:
        """The values now. Never raises."""
        found, error = self._asked(lambda: self._connection.custom_query(expression))
        samples: list[InstantSample] = []
        for series in found:
            try:
                samples.append(
                    InstantSample(labels=_labels(series), value=float(series["value"][1]))
                )
            except _NOT_A_SERIES:
                error = error or f"{self._url} answered something that is no series"
        return InstantAnswer(samples=tuple(samples), error=error)

    def read_range(
        self,
        expression: str,
        *,
        start_timestamp_seconds: float,
        end_timestamp_seconds: float,
        step_seconds: float,
    ) -> RangeAnswer:
        """The values at start, start + step, ... up to end; asked for in chunks. Never raises.

        Start and step must be whole seconds, as the client rounds them. A chunk that fails is told,
        and the others are there.
        """
        points: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = defaultdict(list)
        errors: list[str] = []
        for begin, end in _chunks(start_timestamp_seconds, end_timestamp_seconds, step_seconds):
            found, error = self._asked(
                lambda begin=begin, end=end: self._connection.custom_query_range(  # type: ignore[misc]
                    expression,
                    start_time=datetime.fromtimestamp(begin, tz=UTC),
                    end_time=datetime.fromtimestamp(end, tz=UTC),
                    step=f"{step_seconds:g}",
                )
            )
            try:
                for series in found:
                    key = tuple(sorted(_labels(series).items()))
                    told = ((float(at), float(value)) for at, value in series["values"])
                    points[key] += [point for point in told if math.isfinite(point[0])]
            except _NOT_A_SERIES:
                error = error or f"{self._url} answered something that is no series"
            if error is not None and error not in errors:
                errors.append(error)
        return RangeAnswer(
            series=tuple(
                RangeSeries(labels=dict(key), points=tuple(each)) for key, each in points.items()
            ),
            errors=tuple(errors),
        )

    def _asked(self, ask: Callable[[], Any]) -> tuple[Sequence[Any], str | None]:  # parsed JSON
        """(series, error) of one request."""
        if self._is_closed:
            return (), f"{self._url} is not asked any more: the connection was closed"
        self._warnings.clear()
        try:
            found = ask()
        except (PrometheusApiClientException, OSError, *_NOT_A_SERIES, RecursionError) as error:
            return (), f"{self._url} {_failure(error)}"
        if not isinstance(found, list):
            return (), f"{self._url} answered a {type(found).__name__} in place of series"
        part = "; ".join(self._warnings)
        return found, f"{self._url} answered a part only: {part}" if part else None

    def _note_warnings(self, response: Response, *_: object, **__: object) -> None:
        """Keeps what a server says of its answer's gaps, which the client drops."""
        if '"warnings"' in response.text[-4096:]:
            try:
                told = response.json().get("warnings", [])
            except (ValueError, AttributeError, RecursionError):
                return
            lines = told if isinstance(told, list) else [told]
            self._warnings += [_shortened(str(each)) for each in lines]


def _failure(error: Exception) -> str:
    """What became of a request, in one line. A `RequestException` is an OSError, too."""
    said = _one_line(error)
    match error:
        case PrometheusApiClientException():
            return f"refused: {said}"
        case JSONDecodeError():
            return f"answered without a result: {said}"
        case RequestException():
            return f"cannot be asked: {_unconnected(error) or f'{type(error).__name__}: {said}'}"
        case OSError():  # the token's file, or that of the certificates
            return f"cannot be asked: {said}"
        case _:
            return f"answered without a result: {said}"


def _unconnected(error: RequestException) -> str | None:
    """The system's words where no connection came about, which stand at the end of a long line."""
    failure = error.args[0] if error.args else None
    cause = getattr(getattr(failure, "reason", None), "__cause__", None)
    return cause.strerror if isinstance(cause, OSError) else None


def _labels(series: Any) -> dict[str, str]:  # parsed JSON  # noqa: ANN401
    return {str(name): str(value) for name, value in series["metric"].items()}


def _chunks(start: float, end: float, step: float) -> Iterator[tuple[float, float]]:
    count = math.floor((end - start) / step) + 1
    for first in range(0, count, MAX_POINTS):
        last = min(first + MAX_POINTS, count) - 1
        yield start + first * step, start + last * step


def _one_line(error: Exception) -> str:
    return _shortened(str(error)) or type(error).__name__


def _shortened(text: str) -> str:
    return " ".join(text.split())[:_SHOWN_CHARACTERS]
