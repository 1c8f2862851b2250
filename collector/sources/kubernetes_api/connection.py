"""The one door to the `kubernetes` package: credentials, and GET requests for lists and watches.

In: who we are and a path. Out: JSON as it came, or an error of the house. The package is an extra and
slow to import, so that happens when a connection is opened. Only GET: nothing here can change a cluster.
"""

import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import urllib3
import yaml

from collector.clock import Clock
from collector.errors import (
    ConfigurationError,
    PayloadError,
    SourceError,
    TransientSourceError,
)
from collector.sources.kubernetes_api.fields import Fields, message
from collector.sources.kubernetes_api.sockets import OpenSockets, register_connections

CONNECT_TIMEOUT_SECONDS: Final = 2.0
LIST_TIMEOUT_SECONDS: Final = 30.0
"""Of one page, whatever it trickles; the API server itself gives up after 60 s."""
MAX_PAGE_BYTES: Final = 512 * 2**20
MAX_EVENT_BYTES: Final = 16 * 2**20
"""An object is at most 1.5 MiB in etcd; its JSON with all managed fields stays well below this."""
_CHUNK_BYTES: Final = 65536
_SHOWN_BYTES: Final = 65536
_SHOWN_CHARACTERS: Final = 300
_METADATA_ONLY: Final = "application/json;as={};v=v1;g=meta.k8s.io,application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesAccess:
    """As whom, and to which cluster."""

    kubeconfig_path: Path | None  # None: the account of the pod we run in
    context: str | None = None  # None: the file's current one


class ApiRefused(SourceError):
    """The API server answered with an error status, or told one within a watch."""

    def __init__(self, *, status: int, words: str) -> None:
        super().__init__(f"{status}: {words}")
        self.status = status
        self.words = words


class KubernetesApi:
    """One cluster. Its calls block within their timeouts; many threads may make them."""

    def __init__(
        self,
        client: Any,  # noqa: ANN401  kubernetes.client.ApiClient, which is imported late
        *,
        library_error: type[Exception],
        clock: Clock,
    ) -> None:
        self._client = client
        self._library_error = library_error  # ApiException, which hides errors of TLS
        self._clock = clock
        self._sockets = OpenSockets()
        register_connections(client.rest_client.pool_manager, self._sockets)

    def read_list(
        self, path: str, *, parameters: Mapping[str, str], wants_metadata_only: bool
    ) -> Fields:
        """One page of a list. Raises ApiRefused, TransientSourceError, PayloadError."""
        accept = _accept("PartialObjectMetadataList", wants_metadata_only=wants_metadata_only)
        with self._get(
            path, parameters=parameters, accept=accept, read_timeout_seconds=LIST_TIMEOUT_SECONDS
        ) as response:
            return _parsed(self._whole_body(response), what=path)

    def read_watch(
        self,
        path: str,
        *,
        parameters: Mapping[str, str],
        wants_metadata_only: bool,
        silence_timeout_seconds: float,
    ) -> Iterator[Fields]:
        """Events as they come, until the server ends the watch.

        Raises as `read_list`; TransientSourceError also when nothing comes for that long.
        """
        accept = _accept("PartialObjectMetadata", wants_metadata_only=wants_metadata_only)
        with self._get(
            path,
            parameters={**parameters, "watch": "true"},
            accept=accept,
            read_timeout_seconds=silence_timeout_seconds,
        ) as response:
            for line in _lines(response):
                yield _parsed(line, what=f"an event of {path}")

    def close(self) -> None:
        """Ends every call that waits, and every later one."""
        self._sockets.shut_down()
        self._client.rest_client.close()

    @contextmanager
    def _get(
        self,
        path: str,
        *,
        parameters: Mapping[str, str],
        accept: str,
        read_timeout_seconds: float,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        """An answer of status 200, open. What goes wrong while it is read is translated, too."""
        with _translated_errors(self._library_error):
            request = self._client.param_serialize(
                "GET",
                path,
                query_params=list(parameters.items()),
                header_params={"Accept": accept},
                auth_settings=["BearerToken"],
            )
            timeouts = (CONNECT_TIMEOUT_SECONDS, read_timeout_seconds)
            response = self._client.call_api(*request, _request_timeout=timeouts).response
            try:
                if response.status != http.HTTPStatus.OK:
                    raise _refusal(response)
                yield response
            finally:
                response.close()  # a watch is never read to its end; its connection cannot be used again

    def _whole_body(self, response: urllib3.BaseHTTPResponse) -> bytes:
        deadline = self._clock.monotonic_seconds() + LIST_TIMEOUT_SECONDS
        body = bytearray()
        while chunk := response.read1(_CHUNK_BYTES):
            body += chunk
            if len(body) > MAX_PAGE_BYTES:
                raise PayloadError(f"the answer is longer than {MAX_PAGE_BYTES} bytes")
            if self._clock.monotonic_seconds() > deadline:
                raise TransientSourceError(
                    f"the answer was not complete after {LIST_TIMEOUT_SECONDS:g} s"
                )
        return bytes(body)


def open_api(access: KubernetesAccess, *, clock: Clock) -> KubernetesApi:
    """A client for the cluster; nothing is asked yet.

    Raises ConfigurationError: no package, no such file or context, no usable credentials.
    """
    try:
        from kubernetes import client, config  # noqa: PLC0415  an extra, and slow
    except ImportError as error:
        raise ConfigurationError(
            "the package `kubernetes` is not installed; install it with: pip install 'foresail[kubernetes]'"
        ) from error
    configuration = client.Configuration()
    where = access.kubeconfig_path or "the account of this pod"
    try:
        if access.kubeconfig_path is None:
            config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]  # theirs
        else:
            config.load_kube_config(  # type: ignore[no-untyped-call]  # theirs
                config_file=str(access.kubeconfig_path),
                context=access.context,
                client_configuration=configuration,
                persist_config=False,
            )
        configuration.retries = False  # how often and when is the watcher's decision
        configuration.keep_alive = True
        opened = client.ApiClient(configuration)
        return KubernetesApi(opened, library_error=client.ApiException, clock=clock)
    except (
        config.ConfigException,
        yaml.YAMLError,
        OSError,
        ValueError,
        LookupError,
        TypeError,
    ) as error:
        raise ConfigurationError(
            f"{where}: no cluster can be reached with it: {_line(error)}; "
            "give a kubeconfig file that works with `kubectl --kubeconfig FILE get pods`"
        ) from error


@contextmanager
def _translated_errors(library_error: type[Exception]) -> Iterator[None]:
    try:
        yield
    except urllib3.exceptions.ReadTimeoutError as error:
        raise TransientSourceError("the API server is silent") from error
    except (
        urllib3.exceptions.HTTPError,
        http.client.HTTPException,
        library_error,
        OSError,
    ) as error:
        raise TransientSourceError(f"the API server cannot be reached: {_why(error)}") from error
    except (ValueError, AttributeError) as error:
        # A connection that `close` shut down under a read shows itself in these ways.
        raise TransientSourceError(f"the connection ended: {_line(error)}") from error


def _accept(kind: str, *, wants_metadata_only: bool) -> str:
    return _METADATA_ONLY.format(kind) if wants_metadata_only else "application/json"


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """Lines as soon as they are complete. A last one that was cut is left out: it comes again."""
    rest = b""
    while chunk := response.read1(_CHUNK_BYTES):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line.strip())
        if len(rest) > MAX_EVENT_BYTES:
            raise PayloadError(f"an event is longer than {MAX_EVENT_BYTES} bytes")


def _parsed(body: bytes, *, what: str) -> Fields:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise PayloadError(f"{what} is not JSON: {_line(error)}") from error
    if not isinstance(value, dict):
        raise PayloadError(f"{what} is no JSON object")
    return value


def _refusal(response: urllib3.BaseHTTPResponse) -> ApiRefused:
    """The server's words, from its Status object where it sent one."""
    body = response.read1(_SHOWN_BYTES)
    try:
        words = message(_parsed(body, what="the answer"), "message")
    except PayloadError:
        words = None
    return ApiRefused(
        status=response.status, words=(words or response.reason or "no reason")[:_SHOWN_CHARACTERS]
    )


def _why(error: Exception) -> str:
    """The system's words where no connection came about: the library's begin with a class of ours."""
    cause = error.__cause__ if isinstance(error, urllib3.exceptions.NewConnectionError) else None
    return (cause.strerror if isinstance(cause, OSError) else None) or _line(error)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:_SHOWN_CHARACTERS] or type(error).__name__
