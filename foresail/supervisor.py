"""Keeps the gateway and the controller running: starts them, restarts what ends, ends them in order.

Both write to log files in the state directory and live in process groups of their own, so that a
Ctrl-C in the terminal reaches this supervisor alone and the order of the shutdown is ours: the
controller first, while the gateway can still drain, then the gateway. In production systemd does this
job and this file is not used.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from collector.clock import Clock

RESTART_DELAY_SECONDS = 0.5
MAX_RESTART_DELAY_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""A process that ran this long starts its back-off anew. One that fails and never ran this long needs
a person, not another start; a busy machine may take many seconds to say that a port is in use."""
LOG_TAIL_BYTES = 8192
USAGE_EXIT_CODE = 2
"""The process refuses its configuration: starting it again cannot help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildCommand:
    """One process to keep running."""

    name: str
    command: Sequence[str]
    log_path: Path
    environment: Mapping[str, str]
    end_timeout_seconds: float  # from SIGTERM to SIGKILL


@dataclass(slots=True)
class Child:
    """A kept process."""

    settings: ChildCommand
    clock: Clock
    say: Callable[[str], None]
    failed: asyncio.Event = field(default_factory=asyncio.Event)  # gave up: it refuses to run
    _process: asyncio.subprocess.Process | None = None
    _spawned_monotonic_seconds: float = 0.0
    _keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        return self._process.pid if self._process else None

    async def start(self) -> None:
        """Starts the process and keeps it running until `end`."""
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep(), name=f"keep-{self.settings.name}")

    async def end(self) -> None:
        """SIGTERM, then SIGKILL after the timeout; returns when it is gone."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):  # it ends by itself at this very moment
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), self.settings.end_timeout_seconds)
        except TimeoutError:
            self.say(f"{self.settings.name} did not end in time; killing it")
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def last_log_line(self) -> str:
        """What the process said last, without the program's name; for messages."""
        try:
            with self.settings.log_path.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
                lines = log.read().decode(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1].removeprefix("foresail: ") if lines else ""

    async def _spawn(self) -> None:
        self.settings.log_path.parent.mkdir(parents=True, exist_ok=True)
        self._spawned_monotonic_seconds = self.clock.monotonic_seconds()
        with self.settings.log_path.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.settings.command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(self.settings.environment),
                process_group=0,
            )

    async def _keep(self) -> None:
        delay, is_proven = RESTART_DELAY_SECONDS, False
        while self._process is not None:
            code = await self._process.wait()
            ran_seconds = self.clock.monotonic_seconds() - self._spawned_monotonic_seconds
            is_proven = is_proven or ran_seconds >= STEADY_SECONDS
            if _refuses(code, is_proven=is_proven):
                self.say(f"{self.settings.name} refuses to run: {self.last_log_line()}")
                self.failed.set()
                return
            if ran_seconds > STEADY_SECONDS:
                delay = RESTART_DELAY_SECONDS
            why = f"exit code {code}: {self.last_log_line()}" if code > 0 else _ending(code)
            self.say(
                f"{self.settings.name} ended ({why}); starting it again in {delay:.1f} s; "
                f"log: {self.settings.log_path}"
            )
            await self.clock.sleep(delay)
            delay = min(2 * delay, MAX_RESTART_DELAY_SECONDS)
            await self._spawn_again()

    async def _spawn_again(self) -> None:
        """Returns once the process could be started, however long the machine refuses."""
        while True:
            try:
                await self._spawn()
            except OSError as error:
                self.say(
                    f"{self.settings.name} cannot be started: {error}; trying again in "
                    f"{MAX_RESTART_DELAY_SECONDS:.0f} s"
                )
                await self.clock.sleep(MAX_RESTART_DELAY_SECONDS)
            else:
                return


def _refuses(code: int, *, is_proven: bool) -> bool:
    """Whether another start cannot help. A signal came from outside: that says nothing about it."""
    return code == USAGE_EXIT_CODE or (code > 0 and not is_proven)


def _ending(code: int) -> str:
    return "exit code 0" if code == 0 else f"signal {-code}"


@dataclass(slots=True)
class Supervisor:
    """Several children; started in order, ended in the opposite order."""

    children: Sequence[Child]

    async def start(self) -> None:
        """Starts all of them."""
        for child in self.children:
            await child.start()

    async def end(self) -> None:
        """Ends the last started first."""
        for child in reversed(self.children):
            await child.end()

    async def wait_refusal(self) -> str:
        """Returns the name of the first child that refuses to run."""
        waits = {asyncio.create_task(child.failed.wait()): child for child in self.children}
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            return waits[next(iter(done))].settings.name
        finally:
            for task in waits:
                task.cancel()


def stop_on_signals(stop: asyncio.Event) -> None:
    """Lets SIGINT, SIGTERM and SIGHUP set the event; under nohup a hangup stays without effect."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, stop.set)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        loop.add_signal_handler(signal.SIGHUP, stop.set)


def child_environment(base: Mapping[str, str]) -> dict[str, str]:
    """The environment for a child: as ours, output unbuffered so that log files are up to date."""
    return {**base, "PYTHONUNBUFFERED": "1"}
