"""The gateway process. In: settings. Out: a gateway that runs to its end."""

import asyncio

import structlog

from collector.clock import SystemClock
from collector.errors import ConfigurationError
from collector.gateway.process import run_gateway
from foresail.logs import configure_logging
from foresail.settings import Settings


def run_gateway_process(settings: Settings) -> None:
    """Serves as the gateway until SIGTERM or SIGINT. Raises ConfigurationError and GatewayError."""
    if not settings.has_gateway:
        raise ConfigurationError(
            "gateway: the settings leave it out (gateway.enabled is false); set it to true to run one"
        )
    configure_logging(settings.logging)
    log = structlog.get_logger("foresail.gateway")

    def ready(url: str) -> None:
        log.info("gateway_ready", url=url)

    asyncio.run(run_gateway(settings.gateway, clock=SystemClock(), ready=ready))
