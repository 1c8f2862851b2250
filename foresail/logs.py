"""Where log lines go and how they look: structlog, to stdout, one line per event."""

import logging
import sys

import structlog
from structlog.typing import Processor

from foresail.settings import LogFormat, LoggingSettings


def configure_logging(settings: LoggingSettings) -> None:
    """Sets the process's log format and level; called once, by `wiring`."""
    as_json = settings.format is LogFormat.JSON or (
        settings.format is LogFormat.AUTO and not sys.stdout.isatty()
    )
    renderer: Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.dict_tracebacks
            if as_json
            else structlog.processors.StackInfoRenderer(),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[settings.level.value.upper()]
        ),
        logger_factory=structlog.PrintLoggerFactory(),
    )
