"""foresail.yaml: how the processes of Foresail run here, as small groups of values.

`read_settings(path, environ)` reads the file once, lets `FORESAIL_…` variables of the mapping it is
given override it, and returns `Settings`. What is served, and to whom it was promised, is not here but
in the catalogue. `schema.SettingsFile` is the form of the file and the source of its JSON Schema.
"""

from collector.gateway.settings import GatewaySettings
from foresail.settings.read import read_settings
from foresail.settings.values import (
    ControllerSettings,
    EngineSource,
    HistoryKind,
    HistorySettings,
    LogFormat,
    LoggingSettings,
    LogLevel,
    PrometheusSettings,
    Settings,
    SourceSettings,
    TickSettings,
)

__all__ = [
    "ControllerSettings",
    "EngineSource",
    "GatewaySettings",
    "HistoryKind",
    "HistorySettings",
    "LogFormat",
    "LogLevel",
    "LoggingSettings",
    "PrometheusSettings",
    "Settings",
    "SourceSettings",
    "TickSettings",
    "read_settings",
]
