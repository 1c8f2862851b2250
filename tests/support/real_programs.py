"""Programs of others for tests: where they are, their start on a free loopback port, their page read."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeVar

from collector.clock import SystemClock
from collector.model.contract import Contract
from collector.model.page import PageIdentity, PageReadings
from collector.normalise.exposition import parse_exposition
from collector.normalise.page import page_readings
from collector.ports import Exposition, ScrapeTarget
from collector.sources.exposition_http import HttpExpositionReader
from support.desks import read_text, wait_until

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
ENGINES = ROOT / ".engines"
_INSTALL = "deploy/testing/engines/install.sh"
_STOP_SECONDS = 20.0
_SAID = 2000


def installed(name: str, program: str) -> Path | None:
    """The program in the folder of an engine that was installed to the end; None without it."""
    folder = ENGINES / name
    return folder / program if (folder / ".made-from").is_file() else None


def not_installed(name: str) -> str:
    """Why its tests are skipped."""
    return f"{name} is not installed here: run {_INSTALL} {name}"


@contextlib.asynccontextmanager
async def served(
    command: Sequence[str | Path],
    *,
    ready_url: str,
    log: Path,
    environment: Mapping[str, str] | None = None,
    start_seconds: float = 40.0,
) -> AsyncIterator["subprocess.Popen[bytes]"]:
    """The program once `ready_url` answers 200; it and its children are gone afterwards."""
    process = _start(command, log=log, environment=environment or {})

    async def is_ready() -> bool:
        assert process.poll() is None, f"exit code {process.returncode}: {_said(log)}"
        return await read_text(ready_url) is not None

    try:
        await wait_until(is_ready, what=lambda: _said(log), seconds=start_seconds)
        yield process
    finally:
        await asyncio.to_thread(_end, process)


@contextlib.contextmanager
def held_open(opened: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """What an async context manager gives, for fixtures that outlive the loop of one test."""
    with asyncio.Runner() as runner:
        value = runner.run(opened.__aenter__())
        try:
            yield value
        finally:
            runner.run(opened.__aexit__(None, None, None))


async def read_page(
    url: str, *, contract: Contract, version: tuple[int, ...] | None = None
) -> tuple[Exposition, PageReadings]:
    """The page as the collector's own reader gets it, and what the contract makes of it."""
    async with HttpExpositionReader(clock=SystemClock()) as reader:
        answers = await reader.read_expositions([ScrapeTarget(key="page", url=url)])
    answer = answers["page"]
    assert answer.text is not None, answer.error
    readings = page_readings(
        parse_exposition(answer.text, source="page"),
        contract=contract,
        identity=PageIdentity(key="page", source=contract.engine, engine_version=version),
        observed_timestamp_seconds=answer.observed_timestamp_seconds,
    )
    return answer, readings


def _start(
    command: Sequence[str | Path], *, log: Path, environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    with log.open("wb") as output:
        return subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=log.parent,
            env={**os.environ, **environment},
            start_new_session=True,
        )


def _said(log: Path) -> str:
    return log.read_text(errors="replace")[-_SAID:]


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Asks, then ends the whole session, so that no worker of it is left."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
