"""`foresail demo` from its command line: what it promises to show, and that it cleans up."""

import signal
import sys
from pathlib import Path

import pytest

from support.demo_runs import DemoRun, assert_documented, running_demo
from support.engines import wait_until

COMMAND = (sys.executable, "-m", "foresail")


@pytest.fixture(name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("d")  # short: a socket's path may have 107 bytes


def assert_nothing_left(run: DemoRun) -> None:
    assert run.processes() == {}
    assert list((run.folder / "work").iterdir()) == []


@pytest.mark.timeout(90)
def test_ctrl_c_after_the_first_decision_leaves_nothing_behind(folder: Path) -> None:
    with running_demo(folder, COMMAND, minutes=2) as run:
        wait_until(
            lambda: "scale out" in run.output or run.process.poll() is not None,
            what="the first decision",
            seconds=60,
        )
        assert run.process.poll() is None, run.output
        assert run.processes()
        run.process.send_signal(signal.SIGINT)
        assert run.process.wait(30) == 130, run.output
        assert "Traceback" not in run.output
        assert_nothing_left(run)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_demo_scales_out_and_in_and_measures_every_service(folder: Path) -> None:
    with running_demo(folder, COMMAND, minutes=3) as run:
        assert run.process.wait(330) == 0, run.output
        assert_nothing_left(run)
        document = run.document()
    assert_documented(document)
    done = {each["direction"] for each in document["decisions"] if each["outcome"] == "done"}
    assert done == {"out", "in"}
    for each in document["services"]:
        assert all(0 < seconds < 60 for seconds in each["ttft_seconds"].values()), each
        assert each["requests"]["arrived"] == sum(
            each["requests"][name] for name in ("completed", "failed", "aborted", "shed")
        )
    assert document["requests"]["ok"] > 0.9 * document["requests"]["sent"]
