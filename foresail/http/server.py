"""Serves the app with uvicorn inside a running event loop, under the caller's signal handling."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from fastapi import FastAPI

from collector.errors import ConfigurationError

START_TIMEOUT_SECONDS = 10.0
END_TIMEOUT_SECONDS = 2
"""For answers under way; a client that does not read its answer must not keep the process."""


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the signals to the process: the controller ends engines before the page goes."""
        yield


@contextlib.asynccontextmanager
async def serving(app: FastAPI, *, host: str, port: int) -> AsyncIterator[None]:
    """The app answers inside the `async with`. Raises ConfigurationError when the port is taken."""
    listener = _listener(host=host, port=port)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=END_TIMEOUT_SECONDS,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="http")
    try:
        await _until_started(server, task)
        yield
    finally:
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)
        listener.close()


async def _until_started(server: _Server, task: asyncio.Task[None]) -> None:
    """Raises what ended the server before it listened, and TimeoutError."""
    async with asyncio.timeout(START_TIMEOUT_SECONDS):
        while not server.started:
            if task.done():
                task.result()
                raise ConfigurationError("controller: the HTTP server ended while it started")
            await asyncio.sleep(0.01)


def _listener(*, host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        # The address is in create_server's own words, too; a name that is not found has no errno.
        number = error.errno or 0
        why = os.strerror(number) if number > 0 else error.strerror or error
        raise ConfigurationError(
            f"controller: cannot listen on {host}:{port}: {why}; stop what uses it, or set "
            "controller.port in foresail.yaml to another one"
        ) from error
