"""Process settings as frozen values: what `wiring` and the commands get.

Every default is the one of the file's form (`schema`, where its reason is written); a test holds the
two together. Paths are absolute. Made by `read`, or in code by the demo and by tests. The gateway's group
is the gateway's own type, which lives below this package.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from collector.gateway.settings import LOOPBACK_HOSTS, GatewaySettings
from collector.ports import TargetIdentity

LEDGER_FILE = "ledger.sqlite"
HISTORY_FOLDER = "history"
CHECKPOINT_FOLDER = "checkpoint"


class LogLevel(StrEnum):
    """The least important lines that are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class LogFormat(StrEnum):
    """How log lines look."""

    AUTO = "auto"  # text on a terminal, JSON elsewhere
    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerSettings:
    """The controller's own HTTP server: page, state, metrics."""

    host: str = "127.0.0.1"
    port: int = 8081
    allowed_hosts: tuple[str, ...] = LOOPBACK_HOSTS  # values of the Host header, without port
    allow_insecure_listen: bool = False  # listen beyond loopback; it only reads, without keys


@dataclass(frozen=True, slots=True, kw_only=True)
class TickSettings:
    """How often things are done."""

    ingest_seconds: float = 5.0
    decide_seconds: float = 15.0


class HistoryKind(StrEnum):
    """Where the past is kept."""

    MEMORY = "memory"  # gone when the controller ends
    DAY_FILES = "day_files"  # in the state directory; coarser bins for over a year
    PROMETHEUS = "prometheus"  # as memory, with the past from Prometheus at the start


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySettings:
    """What is kept of the past."""

    kind: HistoryKind = HistoryKind.MEMORY
    bin_seconds: float = 15.0
    keep_seconds: float = 6 * 3600.0
    max_bytes: int = 2**30  # of day files


class EngineSource(StrEnum):
    """Who reads the engines' metric pages."""

    DIRECT = "direct"  # the controller itself
    PROMETHEUS = "prometheus"  # Prometheus, which is then asked for all at once


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """Where readings come from."""

    engines: EngineSource = EngineSource.DIRECT


@dataclass(frozen=True, slots=True, kw_only=True)
class PrometheusSettings:
    """The one Prometheus that is asked, where one is chosen as source or history."""

    url: str | None = None
    timeout_seconds: float = 3.0  # of one query
    scrape_interval_seconds: float = 15.0
    bearer_token_path: Path | None = None
    ca_path: Path | None = None
    replica_label: str = "instance"
    replica_label_holds: TargetIdentity = TargetIdentity.ADDRESS
    engine_match: Mapping[str, str] = field(default_factory=dict)
    gateway_match: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggingSettings:
    """What is written to stdout."""

    level: LogLevel = LogLevel.INFO
    format: LogFormat = LogFormat.AUTO


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All process settings. What Foresail writes is under `gateway.state_dir`."""

    catalogue_path: Path
    gateway: GatewaySettings
    has_gateway: bool = True  # False: clients come through a gateway of the owner's
    settings_path: Path | None = None  # the file they came from; None: made in code
    controller: ControllerSettings = field(default_factory=ControllerSettings)
    ticks: TickSettings = field(default_factory=TickSettings)
    history: HistorySettings = field(default_factory=HistorySettings)
    sources: SourceSettings = field(default_factory=SourceSettings)
    prometheus: PrometheusSettings = field(default_factory=PrometheusSettings)
    logging: LoggingSettings = field(default_factory=LoggingSettings)

    @property
    def state_dir(self) -> Path:
        """The folder of everything Foresail writes, one for both processes."""
        return self.gateway.state_dir

    @property
    def checkpoint_path(self) -> Path:
        """The folder of the controller's checkpoint."""
        return self.state_dir / CHECKPOINT_FOLDER

    @property
    def history_path(self) -> Path:
        """The folder of the day files, where they are chosen."""
        return self.state_dir / HISTORY_FOLDER

    @property
    def ledger_path(self) -> Path:
        """The ledger of this state directory."""
        return self.state_dir / LEDGER_FILE
