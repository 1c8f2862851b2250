"""Serves the app with uvicorn inside a running event loop, under the caller's signal handling."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from fastapi import FastAPI

from collector.errors import ConfigurationError

START_TIMEOUT_SECONDS = 10.0


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the signals to the process: the controller ends engines before the page goes."""
        yield


@contextlib.asynccontextmanager
async def serving(app: FastAPI, *, host: str, port: int) -> AsyncIterator[None]:
    """The app answers inside the `async with`. Raises ConfigurationError when the port is taken."""
    listener = _listener(host=host, port=port)
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none")
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    try:
        async with asyncio.timeout(START_TIMEOUT_SECONDS):
            while not (server.started or task.done()):  # noqa: ASYNC110  uvicorn has no event
                await asyncio.sleep(0.01)
        yield
    finally:
        server.should_exit = True
        await task
        listener.close()


def _listener(*, host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise ConfigurationError(
            f"controller: cannot listen on {host}:{port}: {error.strerror or error}; stop what uses "
            "it, or set controller.port in foresail.yaml to another one"
        ) from error
