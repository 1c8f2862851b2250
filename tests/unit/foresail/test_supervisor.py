"""Children that are kept running: real small processes, back-off on a virtual clock."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from collector.clock import VirtualClock
from foresail.supervisor import (
    Child,
    ChildCommand,
    Supervisor,
    child_environment,
    stop_on_signals,
)
from support.execution import until

WAITS = "import signal; print('up', flush=True); signal.pause()"
IGNORES_SIGTERM = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {WAITS}"
NOTES_ITS_END = """
import signal, sys
def end(*_):
    with open(sys.argv[1], "a") as file: file.write(sys.argv[2] + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
while True: signal.pause()
"""


@dataclass
class Nursery:
    """Makes children that log into one folder, and hears what is said of them."""

    folder: Path
    clock: VirtualClock = field(default_factory=VirtualClock)
    said: list[str] = field(default_factory=list)
    children: list[Child] = field(default_factory=list)

    def child(
        self,
        program: str,
        *arguments: str,
        name: str = "gateway",
        end_timeout_seconds: float = 5.0,
        executable: str = sys.executable,
    ) -> Child:
        command = ChildCommand(
            name=name,
            command=(executable, "-S", "-E", "-c", program, *arguments),
            log_path=self.folder / "logs" / f"{name}.log",
            environment={"PATH": os.environ["PATH"]},
            end_timeout_seconds=end_timeout_seconds,
        )
        child = Child(settings=command, clock=self.clock, say=self.said.append)
        self.children.append(child)
        return child

    def log(self, name: str = "gateway") -> str:
        path = self.folder / "logs" / f"{name}.log"
        return path.read_text() if path.exists() else ""

    async def is_up(self, *, times: int = 1, name: str = "gateway") -> None:
        await until(lambda: self.log(name).count("up") == times)


@pytest.fixture(name="nursery")
async def _nursery(tmp_path: Path) -> AsyncIterator[Nursery]:
    nursery = Nursery(tmp_path)
    yield nursery
    for child in nursery.children:
        if child.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGCONT)
        await child.end()


def is_there(pid: int | None) -> bool:
    return pid is not None and Path(f"/proc/{pid}").exists()


async def died(child: Child, *, number: int = signal.SIGKILL) -> None:
    """Kills the child's process and returns when that was noticed."""
    pid = child.pid
    assert pid is not None
    os.kill(pid, number)
    await until(lambda: not is_there(pid))


async def told(nursery: Nursery, count: int) -> str:
    await until(lambda: len(nursery.said) == count)
    return nursery.said[-1]


async def test_a_killed_child_is_started_again_after_growing_delays(nursery: Nursery) -> None:
    child = nursery.child(WAITS)
    await child.start()
    for times, delay in ((1, "0.5"), (2, "1.0"), (3, "2.0")):
        await nursery.is_up(times=times)
        await died(child)
        said = await told(nursery, times)
        assert said.startswith(f"gateway ended (signal 9); starting it again in {delay} s; log: ")
        assert not is_there(child.pid)
        await nursery.clock.advance(float(delay))
    await nursery.is_up(times=4)
    assert not child.failed.is_set()


async def test_the_delay_has_a_ceiling_and_a_steady_child_begins_anew(nursery: Nursery) -> None:
    child = nursery.child(WAITS)
    await child.start()
    said: list[str] = []
    for times in range(1, 9):
        await nursery.is_up(times=times)
        await died(child)
        said.append((await told(nursery, times)).split(" again in ")[1].split(";")[0])
        await nursery.clock.advance(30.0)
    assert said == ["0.5 s", "1.0 s", "2.0 s", "4.0 s", "8.0 s", "16.0 s", "30.0 s", "30.0 s"]
    await nursery.is_up(times=9)
    await nursery.clock.advance(61.0)
    await died(child)
    assert "starting it again in 0.5 s" in await told(nursery, 9)


SAYS_WHY = (
    "import sys; print('foresail: state_dir is no folder', file=sys.stderr); sys.exit({code})"
)


@pytest.mark.parametrize(
    "code",
    [pytest.param(2, id="refuses its configuration"), pytest.param(1, id="could never start")],
)
async def test_a_child_that_cannot_run_is_given_up_with_its_last_words(
    nursery: Nursery, code: int
) -> None:
    child = nursery.child(SAYS_WHY.format(code=code), name="controller")
    supervisor = Supervisor(children=(nursery.child(WAITS), child))
    await supervisor.start()
    async with asyncio.timeout(5):
        assert await supervisor.wait_refusal() == "controller"
    assert nursery.said == ["controller refuses to run: state_dir is no folder"]
    await nursery.clock.advance(100.0)
    assert nursery.log("controller").count("no folder") == 1


RUNS_THEN_FAILS = """
import signal, sys
def end(*_):
    print("foresail: the ledger is full", file=sys.stderr)
    sys.exit(int(sys.argv[1]))
signal.signal(signal.SIGUSR1, end)
print("up", flush=True)
while True: signal.pause()
"""


async def test_a_child_that_has_run_before_is_started_again_and_its_reason_told(
    nursery: Nursery,
) -> None:
    child = nursery.child(RUNS_THEN_FAILS, "1")
    await child.start()
    await nursery.is_up()
    await nursery.clock.advance(61.0)
    await died(child, number=signal.SIGUSR1)
    said = await told(nursery, 1)
    assert said.startswith("gateway ended (exit code 1: the ledger is full); starting it again")
    await nursery.clock.advance(0.5)
    await nursery.is_up(times=2)


async def test_a_refusal_counts_however_long_the_child_has_run(nursery: Nursery) -> None:
    child = nursery.child(RUNS_THEN_FAILS, "2")
    await child.start()
    await nursery.is_up()
    await nursery.clock.advance(3600.0)
    await died(child, number=signal.SIGUSR1)
    assert await told(nursery, 1) == "gateway refuses to run: the ledger is full"
    assert child.failed.is_set()


async def test_a_child_that_ends_without_a_mistake_is_started_again(nursery: Nursery) -> None:
    child = nursery.child("print('up')")
    await child.start()
    assert (await told(nursery, 1)).startswith("gateway ended (exit code 0); starting it again")


async def test_a_machine_that_cannot_start_it_again_is_asked_until_it_can(
    nursery: Nursery,
) -> None:
    interpreter = nursery.folder / "python"
    interpreter.symlink_to(sys.executable)
    child = nursery.child(WAITS, executable=str(interpreter))
    await child.start()
    await nursery.is_up()
    interpreter.unlink()
    await died(child)
    await told(nursery, 1)
    await nursery.clock.advance(0.5)
    said = await told(nursery, 2)
    assert said.startswith("gateway cannot be started: ")
    assert "No such file or directory" in said
    interpreter.symlink_to(sys.executable)
    await nursery.clock.advance(30.0)
    await nursery.is_up(times=2)


async def test_children_end_in_the_opposite_order_of_their_start(nursery: Nursery) -> None:
    ends = nursery.folder / "ends"
    names = ("first", "second", "third")
    supervisor = Supervisor(
        children=tuple(nursery.child(NOTES_ITS_END, str(ends), each, name=each) for each in names)
    )
    await supervisor.start()
    for each in names:
        await nursery.is_up(name=each)
    await supervisor.end()
    assert ends.read_text().split() == ["third", "second", "first"]
    assert not any(is_there(child.pid) for child in nursery.children)
    assert nursery.said == []


async def test_a_child_that_ignores_the_signal_is_killed(nursery: Nursery) -> None:
    child = nursery.child(IGNORES_SIGTERM, end_timeout_seconds=0.1)
    await child.start()
    await nursery.is_up()
    await child.end()
    assert not is_there(child.pid)
    assert nursery.said == ["gateway did not end in time; killing it"]


async def test_an_ended_child_is_not_started_again(nursery: Nursery) -> None:
    child = nursery.child(WAITS)
    await child.start()
    await nursery.is_up()
    await child.end()
    await child.end()
    await nursery.clock.advance(100.0)
    assert nursery.log() == "up\n"


async def test_the_end_during_a_back_off_leaves_nothing(nursery: Nursery) -> None:
    child = nursery.child(WAITS)
    await child.start()
    await nursery.is_up()
    await died(child)
    await told(nursery, 1)
    await child.end()
    await nursery.clock.advance(100.0)
    assert nursery.log() == "up\n"


async def test_a_child_has_a_process_group_of_its_own(nursery: Nursery) -> None:
    child = nursery.child(WAITS)
    await child.start()
    assert child.pid is not None
    assert os.getpgid(child.pid) == child.pid


@pytest.mark.parametrize(
    ("log", "line"),
    [
        pytest.param(None, "", id="no log"),
        pytest.param(b"", "", id="an empty one"),
        pytest.param(b"started\nforesail: no such key\n\n", "no such key", id="a message"),
        pytest.param(b"x" * 100_000 + b"\nforesail: full", "full", id="a long log"),
        pytest.param(b"caf\xe9 \xff\n", "caf\ufffd \ufffd", id="no text"),
    ],
)
def test_the_last_line_is_told_without_the_programs_name(
    nursery: Nursery, log: bytes | None, line: str
) -> None:
    child = nursery.child(WAITS)
    if log is not None:
        child.settings.log_path.parent.mkdir()
        child.settings.log_path.write_bytes(log)
    assert child.last_log_line() == line


def forget_signals() -> None:
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().remove_signal_handler(each)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_asks_to_stop_and_a_second_one_changes_nothing(number: int) -> None:
    before = signal.signal(number, signal.SIG_DFL)  # these tests may themselves run under nohup
    stop = asyncio.Event()
    stop_on_signals(stop)
    try:
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        async with asyncio.timeout(5):
            await stop.wait()
        await asyncio.sleep(0.01)
    finally:
        forget_signals()
        signal.signal(number, before)


async def test_nohup_keeps_its_word() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stop = asyncio.Event()
    stop_on_signals(stop)
    try:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.01)
        assert not stop.is_set()
    finally:
        forget_signals()
        signal.signal(signal.SIGHUP, before)


def test_a_childs_output_is_not_buffered() -> None:
    assert child_environment({"PATH": "/bin"}) == {"PATH": "/bin", "PYTHONUNBUFFERED": "1"}
