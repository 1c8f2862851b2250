"""Protocols for everything outside the process that the collector reads.

Named for what we need; adapters in `sources/` and `history/` are named for who gives it. Every call
is bounded in time by the adapter, and failures come back as readings or `Problem`s, not exceptions,
because one silent source must not blind the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from collector.model.cluster import ClusterView
from collector.model.device import DeviceSurvey
from collector.model.engine_admin import EngineAdminState
from collector.model.history import History, Resolution, Signal
from collector.model.ids import PoolName, ReplicaId, ServiceName
from collector.model.reading import Number
from collector.model.replica import Replica


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrapeTarget:
    """One page of metrics to read."""

    key: str  # unique per tick: a replica id, or "gateway"
    url: str  # http://host:port/metrics
    unix_socket_path: str | None = None  # connect there instead of to the URL's host
    match: Mapping[str, str] = field(default_factory=dict)  # what was declared of its labels
    keep_alive: bool = True  # False: a connection per request


class TargetIdentity(StrEnum):
    """What of a target stands in the label by which Prometheus knows it."""

    ADDRESS = "address"  # host:port of its url
    HOST = "host"  # the host alone
    REPLICA_ID = "replica_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposition:
    """What a target answered, undigested."""

    key: str
    text: str | None  # None: no usable answer, `error` says why
    error: str | None
    observed_timestamp_seconds: float
    problems: tuple[str, ...] = ()  # what is wrong with the text that is there, a line each
    reply: "Reply | None" = None  # None: nobody answered, or the reader does not speak HTTP


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """How an HTTP server answered, whatever it said."""

    status: int
    server_timestamp_seconds: float | None  # its own clock, to the second; None: it does not tell
    elapsed_seconds: float  # from the request to the head of the answer


class ExpositionReader(Protocol):
    """Reads many metric pages at once."""

    async def read_expositions(self, targets: Sequence[ScrapeTarget]) -> Mapping[str, Exposition]:
        """One answer per target key, however the target behaved."""
        ...


class ReplicaDirectory(Protocol):
    """Knows which replicas exist (the actuator's side of the house)."""

    def replicas(self) -> tuple[Replica, ...]:
        """All replicas that exist or are ordered, in every state."""
        ...


class MemoryProbe(Protocol):
    """Knows what replicas hold and what the pools still have."""

    def replica_memory_bytes(self) -> Mapping[ReplicaId, Number]:
        """Memory each live replica holds now."""
        ...

    def pool_available_bytes(self) -> Mapping[PoolName, Number]:
        """What each pool could still give out, whoever uses the rest."""
        ...


class DeviceProbe(Protocol):
    """Knows the accelerators of this machine. Adapter: `sources.nvml`."""

    async def read_devices(self) -> DeviceSurvey:
        """What every accelerator tells now; within the adapter's timeout, whatever the driver does."""
        ...

    async def close(self) -> None:
        """Lets go of the device library, so that MIG modes can be changed; a later read opens it anew."""
        ...


class EngineAdminReader(Protocol):
    """Asks engines of one kind for models, memory, sleep and load, and changes nothing by asking.

    Adapters: `sources.engine_admin`.
    """

    async def read_admin_state(self, base_url: str) -> EngineAdminState:
        """What the engine at `base_url` (no slash at its end) tells now, however it behaves."""
        ...


class ClusterReader(Protocol):
    """Knows a Kubernetes cluster. Adapter: `sources.kubernetes_api`."""

    def start(self) -> None:
        """Begins to look; a second call changes nothing."""
        ...

    def wait_for_first_look(self, *, timeout_seconds: float) -> bool:
        """Blocks until every kind of object was read, refused or found unreachable; False: not in time."""
        ...

    def read_cluster(self) -> ClusterView:
        """What is known now; at once, and never an exception."""
        ...

    def close(self) -> None:
        """Stops looking, within two seconds; what was known can still be read, and ages."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class InstantSample:
    """One series of an instant query."""

    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class InstantAnswer:
    """What an instant query gave; with an error there may still be a part of it."""

    samples: tuple[InstantSample, ...]
    error: str | None = None  # one line


class InstantReader(Protocol):
    """Answers PromQL for now."""

    def query(self, expression: str) -> InstantAnswer:
        """The values now. Blocks within a timeout; never raises."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeSeries:
    """One series of a range query."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]  # (timestamp in seconds, value), oldest first


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeAnswer:
    """What a range query gave; with errors there may still be a part of it."""

    series: tuple[RangeSeries, ...]
    errors: tuple[str, ...] = ()  # a line each


class RangeReader(Protocol):
    """Answers PromQL over a stretch of time."""

    def read_range(
        self,
        expression: str,
        *,
        start_timestamp_seconds: float,
        end_timestamp_seconds: float,
        step_seconds: float,
    ) -> RangeAnswer:
        """The values at start, start + step, ... up to end. Blocks within a timeout; never raises."""
        ...


class HistoryStore(Protocol):
    """Keeps binned signals. Adapters: memory, day files, Prometheus (which scrapes by itself)."""

    @property
    def resolutions(self) -> tuple[Resolution, ...]:
        """The widths of bins that are kept, finest first."""
        ...

    def append(
        self,
        *,
        start_timestamp_seconds: float,
        end_timestamp_seconds: float,
        increases: Mapping[tuple[Signal, ServiceName], float],
        levels: Mapping[tuple[Signal, ServiceName], float],
    ) -> None:
        """Adds counter increases and gauge levels that hold over the interval.

        A pair that is absent from both mappings was not measured: its cover does not grow. An
        interval that lies before what is kept, or has no length, is ignored.
        """
        ...

    def move(self, *, by_seconds: float) -> None:
        """The clock was set by so much: what was appended lately happened that much later by it."""
        ...

    def history(
        self,
        *,
        services: Sequence[ServiceName],
        window_seconds: float,
        now_timestamp_seconds: float,
        bin_seconds: float | None = None,
    ) -> History:
        """The bins of the last `window_seconds`, all services in the order asked for.

        `bin_seconds` is one of `resolutions`; None: the finest. Raises ValueError for another one.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PastAnswer:
    """Bins of a stretch of the past; with errors they are not to be used."""

    history: History
    errors: tuple[str, ...] = ()  # a line each


class PastReader(Protocol):
    """Reads days of the past, apart from the loop. Adapters: `history.past`."""

    def read_past(
        self,
        *,
        services: Sequence[ServiceName],
        begin_timestamp_seconds: float,
        end_timestamp_seconds: float,
        now_timestamp_seconds: float,
    ) -> PastAnswer:
        """The closed bins of the stretch, as fine as they are still kept.

        Begin and end are multiples of ten minutes, and so of any width that is offered. Blocks; one
        call at a time, in a worker thread. Never raises for what cannot be read.
        """
        ...
