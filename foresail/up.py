"""`foresail up` and `foresail down`: both processes on one box under the small supervisor.

In: settings. Out: two processes kept running, their addresses on the terminal, an exit code. Engines
outlive `up` unless asked otherwise; `down` ends everything that belongs to the state directory.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from autoscaler.errors import NotLeader
from collector.clock import Clock, SystemClock
from collector.errors import ConfigurationError
from collector.procfs import read_process_stat
from foresail.logs import configure_logging
from foresail.settings import LogLevel, Settings
from foresail.supervisor import Child, ChildCommand, Supervisor, child_environment, stop_on_signals
from foresail.wiring.engines import count_engines, end_engines

SUPERVISOR_FILE = "supervisor.pid"
CONTROLLER_END_SECONDS = 180.0
"""With engines to drain and end; without it is a second."""
GATEWAY_END_SECONDS = 45.0
DOWN_TIMEOUT_SECONDS = CONTROLLER_END_SECONDS + GATEWAY_END_SECONDS + 15.0

Say = Callable[[str], None]


def run_up(settings: Settings, *, stop_engines: bool) -> int:
    """Runs until a signal; 0 after an orderly end, 1 when a process refuses to run."""
    return asyncio.run(_up(settings, stop_engines=stop_engines, say=_say))


async def _up(settings: Settings, *, stop_engines: bool, say: Say) -> int:
    stop = asyncio.Event()
    stop_on_signals(stop)
    supervisor = make_supervisor(
        settings, stop_engines=stop_engines, clock=SystemClock(), say=_complain
    )
    with _announced(settings.state_dir):
        try:
            await supervisor.start()
            say(f"{_endpoint(settings)}   page: {controller_url(settings)}")
            say(f"logs: {settings.state_dir / 'logs'}   Ctrl-C ends it")
            return await _until(stop, supervisor=supervisor)
        finally:
            say("ending" + ("" if stop_engines else "; engines go on (`foresail down` ends them)"))
            await supervisor.end()
            if stop_engines:
                await _end_left_engines(settings)


async def _end_left_engines(settings: Settings) -> None:
    """Ends what a controller that was killed or never came up could not; none is the rule."""
    if count_engines(settings.state_dir):
        with contextlib.suppress(NotLeader):  # then they are another controller's
            await end_engines(settings)


async def _until(stop: asyncio.Event, *, supervisor: Supervisor) -> int:
    """0 once told to stop, 1 once a child refuses to run."""
    stopped = asyncio.create_task(stop.wait())
    refused = asyncio.create_task(supervisor.wait_refusal())
    done, waiting = await asyncio.wait({stopped, refused}, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    return 0 if stopped in done else 1


def make_supervisor(
    settings: Settings, *, stop_engines: bool, clock: Clock, say: Say
) -> Supervisor:
    """The controller of these settings and, unless it is left out, the gateway; not started yet.

    Raises ConfigurationError for settings that were made in code and written nowhere.
    """
    if settings.settings_path is None:
        raise ConfigurationError("up: the settings are in no file; write foresail.yaml first")
    flags = ("--stop-engines",) if stop_engines else ()
    controller = _child(settings, "controller", flags=flags, clock=clock, say=say)
    if not settings.has_gateway:
        return Supervisor(children=(controller,))
    gateway = _child(settings, "gateway", flags=(), clock=clock, say=say)
    return Supervisor(children=(gateway, controller))


def _child(
    settings: Settings, name: str, *, flags: tuple[str, ...], clock: Clock, say: Say
) -> Child:
    end_seconds = CONTROLLER_END_SECONDS if name == "controller" else GATEWAY_END_SECONDS
    command = ChildCommand(
        name=name,
        command=(
            sys.executable,
            "-m",
            "foresail",
            name,
            "--settings",
            str(settings.settings_path),
            *flags,
        ),
        log_path=settings.state_dir / "logs" / f"{name}.log",
        environment=child_environment(os.environ),
        end_timeout_seconds=end_seconds,
    )
    return Child(settings=command, clock=clock, say=say)


def _endpoint(settings: Settings) -> str:
    if settings.has_gateway:
        return f"gateway: {settings.gateway.url}/v1"
    return "gateway: left out (gateway.enabled: false)"


def controller_url(settings: Settings) -> str:
    """Where the page is."""
    host = settings.controller.host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.controller.port}"


def run_down(settings: Settings) -> int:
    """Ends what `up` runs, then every engine of the state directory; 0 when all are gone."""
    configure_logging(replace(settings.logging, level=LogLevel.ERROR))
    return asyncio.run(_down(settings, clock=SystemClock()))


async def _down(settings: Settings, *, clock: Clock) -> int:
    pid = _supervisor_pid(settings.state_dir)
    if pid is not None:
        _say(f"ending foresail up (process {pid})")
        with contextlib.suppress(ProcessLookupError):  # it has just ended by itself
            os.kill(pid, signal.SIGTERM)
        deadline = clock.monotonic_seconds() + DOWN_TIMEOUT_SECONDS
        while _supervisor_pid(settings.state_dir) is not None:
            if clock.monotonic_seconds() > deadline:
                _say(f"process {pid} does not end; look at {settings.state_dir / 'logs'}")
                return 1
            await clock.sleep(0.1)
    ended = await end_engines(settings)
    _say(f"ended {ended} engine{'' if ended == 1 else 's'}" if ended else "no engine was running")
    return 0


@contextlib.contextmanager
def _announced(state_dir: Path) -> Iterator[None]:
    """Our pid is in the state directory inside the `with`. Raises ConfigurationError for a second one."""
    other = _supervisor_pid(state_dir)
    if other is not None:
        raise ConfigurationError(
            f"up: {state_dir} is already run by process {other}; use another state_dir, or "
            "`foresail down` first"
        )
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = state_dir / SUPERVISOR_FILE
    stat = read_process_stat(os.getpid())
    path.write_text(f"{os.getpid()} {stat.start_ticks if stat else 0}\n")
    try:
        yield
    finally:
        if _supervisor_pid(state_dir) == os.getpid():  # else another one has taken over
            path.unlink(missing_ok=True)


def _supervisor_pid(state_dir: Path) -> int | None:
    """The living supervisor of a state directory; a pid that was given to another process is not."""
    try:
        pid, start_ticks = map(int, (state_dir / SUPERVISOR_FILE).read_text().split())
    except (OSError, ValueError):
        return None
    stat = read_process_stat(pid)
    return pid if stat is not None and stat.start_ticks == start_ticks else None


def _say(line: str) -> None:
    print(f"foresail: {line}", flush=True)  # noqa: T201  this is what the command is for


def _complain(line: str) -> None:
    print(f"foresail: {line}", file=sys.stderr, flush=True)  # noqa: T201  also this
