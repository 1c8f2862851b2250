"""`foresail demo --fleet --live` as people run it: HTTP through gateway and engines, and nothing left behind."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.demo_runs import clean_environment, processes_under
from support.engines import wait_until

COMMAND = (sys.executable, "-m", "foresail", "demo", "--fleet", "--live", "--headless")


@pytest.fixture(name="work")
def _work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("d")  # short: a socket's path may have 107 bytes


def started(work: Path, *flags: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*COMMAND, *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(work),
    )


def assert_nothing_left(work: Path) -> None:
    assert processes_under(work) == {}
    assert list(work.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_a_short_run_serves_every_request_and_leaves_nothing_behind(
    work: Path, tmp_path: Path
) -> None:
    file = tmp_path / "summary.json"
    with started(work, "--minutes", "0.25", "--json", str(file)) as process:
        out, err = process.communicate(timeout=140)
    assert process.returncode == 0, err
    assert_nothing_left(work)
    assert "no peer runs beside" in err
    assert out.splitlines()[0].startswith("6 services on 8 emulated GPUs over HTTP, 10:48")
    summary = json.loads(file.read_text())
    (side,) = summary["sides"]
    assert (summary["kind"], side["policy"]) == ("live", "foresail")
    assert 5 <= side["peak_gpus"] <= 8
    assert side["gpu_hours"] > 5 * 15 / 3600
    services = {each["name"]: each for each in side["services"]}
    assert services["documents"]["offered_requests"] == 0
    assert services["chat"]["served_requests"] > 30
    for each in side["services"]:
        assert each["served_requests"] == each["offered_requests"]


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_ctrl_c_while_engines_start_ends_them_all(work: Path) -> None:
    with started(work) as process:
        wait_until(
            lambda: any(" emulate " in each for each in processes_under(work).values()),
            what="the first engine",
            seconds=40,
        )
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=40)
    assert process.returncode == 130, err
    assert out == ""
    assert "Traceback" not in err
    assert_nothing_left(work)
