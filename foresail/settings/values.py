"""Process settings as frozen values: what `wiring` and the commands get.

Every default is the one of the file's form (`schema`, where its reason is written); a test holds the
two together. Paths are absolute. Made by `read`, or in code by the demo and by tests. The gateway's group
is the gateway's own type, which lives below this package.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from collector.gateway.settings import LOOPBACK_HOSTS, GatewaySettings

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


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySettings:
    """What is kept of the past."""

    kind: HistoryKind = HistoryKind.MEMORY
    bin_seconds: float = 15.0
    keep_seconds: float = 6 * 3600.0
    max_bytes: int = 2**30  # of day files


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
    settings_path: Path | None = None  # the file they came from; None: made in code
    controller: ControllerSettings = field(default_factory=ControllerSettings)
    ticks: TickSettings = field(default_factory=TickSettings)
    history: HistorySettings = field(default_factory=HistorySettings)
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
