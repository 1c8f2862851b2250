"""`foresail demo` ended before it really began: no process, no folder, no traceback."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support.demo_runs import DemoRun, running_demo
from support.engines import wait_until

COMMAND = (sys.executable, "-m", "foresail")


@pytest.fixture(name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("d")  # short: a socket's path may have 107 bytes


def said(run: DemoRun, words: str) -> None:
    wait_until(
        lambda: words in run.output or run.process.poll() is not None, what=words, seconds=40
    )
    assert run.process.poll() is None, run.output


def engine_runs(run: DemoRun) -> bool:
    return any("llama_server" in command for command in run.processes().values())


def controller_runs(run: DemoRun) -> bool:
    return any(" controller " in command for command in run.processes().values())


@pytest.mark.timeout(90)
@pytest.mark.parametrize(
    ("words", "is_there"),
    [
        pytest.param("writing 3 small models", lambda _: True, id="while it writes models"),
        pytest.param("measuring one engine", engine_runs, id="while it measures"),
        pytest.param("replaying", controller_runs, id="while it waits for the controller"),
    ],
)
def test_an_impatient_ctrl_c_leaves_nothing_behind(
    *, folder: Path, words: str, is_there: Callable[[DemoRun], bool]
) -> None:
    with running_demo(folder, COMMAND, minutes=2) as run:
        said(run, words)
        wait_until(lambda: is_there(run), what=f"{words} under way", seconds=20)
        run.process.send_signal(signal.SIGINT)
        run.process.send_signal(signal.SIGINT)
        assert run.process.wait(20) == 130, run.output
        assert "Traceback" not in run.output
        assert run.processes() == {}
        assert list((run.folder / "work").iterdir()) == []
