"""Real llama.cpp servers for tests: a model of a megabyte, started on a free loopback port."""

import functools
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from foresail.demo.tiny_model import ModelShape, write_tiny_model

TEST_SHAPE = ModelShape(
    embedding_width=64,
    layer_count=2,
    head_count=2,
    feed_forward_width=128,
    context_tokens=4096,
)
START_SECONDS = 20.0
STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedServer:
    """A llama.cpp server that answers, and its process."""

    url: str
    port: int
    process: subprocess.Popen[bytes]


@functools.cache
def tiny_model_path() -> Path:
    """A GGUF file of a megabyte, written once per machine and shape."""
    folder = Path(tempfile.gettempdir()) / f"foresail-tests-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    shape = "-".join(str(getattr(TEST_SHAPE, name)) for name in TEST_SHAPE.__slots__)
    path = folder / f"tiny-{shape}.gguf"
    if not path.is_file():
        write_tiny_model(path, shape=TEST_SHAPE, seed=1)
    return path


def free_port() -> int:
    """A loopback port nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def server_command(
    *, port: int, model_path: Path, slots: int = 2, alias: str = "tiny", more: Sequence[str] = ()
) -> list[str]:
    """The command line of one engine process."""
    command = [sys.executable, "-m", "foresail.demo.llama_server", "--alias", alias]
    command += ["--port", str(port), "--model", str(model_path), "--slots", str(slots)]
    return [*command, "--context", "2048", *more]


@contextmanager
def started_llama_server(
    model_path: Path | None = None, *, slots: int = 2, alias: str = "tiny", more: Sequence[str] = ()
) -> Iterator[StartedServer]:
    """A server that answers `/health`; it is gone afterwards, however the test ends."""
    port = free_port()
    command = server_command(
        port=port, model_path=model_path or tiny_model_path(), slots=slots, alias=alias, more=more
    )
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(
            lambda: is_healthy(url) or process.poll() is not None,
            what=f"{url} answers",
            seconds=START_SECONDS,
        )
        assert process.poll() is None, f"the server left with status {process.returncode}"
        yield StartedServer(url=url, port=port, process=process)
    finally:
        stop(process)


@contextmanager
def running_llama_server(
    model_path: Path | None = None, *, slots: int = 2, alias: str = "tiny"
) -> Iterator[str]:
    """The address of a server that answers."""
    with started_llama_server(model_path, slots=slots, alias=alias) as server:
        yield server.url


def is_healthy(url: str) -> bool:
    """Whether the server answers `/health` with 200 within a second."""
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def wait_until(condition: Callable[[], bool], *, what: str, seconds: float) -> None:
    """Returns as soon as `condition` holds; fails the test after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ends the process, in the end by force, and reaps it."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
