"""`foresail demo --fleet` as people run it: headless, and on its page in a real browser."""

import asyncio
import html
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from foresail.cli.main import main
from foresail.demo.fleet.app import create_fleet_app
from foresail.demo.fleet.live.report import live_body
from foresail.demo.fleet.report import fleet_body
from foresail.demo.options import free_ports
from foresail.http.server import serving
from support.live_fleet import watched_run
from support.small_race import PEER, finished_race, small_race

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SHORT = ("--fleet", "--headless", "--minutes", "0.3")


@pytest.fixture
def demo(capsys):
    def run(*arguments):
        code = main(["demo", *arguments], environ={})
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def test_a_short_run_prints_a_table_and_writes_sums_that_hold(demo, tmp_path):
    file = tmp_path / "summary.json"
    code, out, err = demo(*SHORT, "--json", str(file))
    assert code == 0, err
    assert out.splitlines()[0].startswith("6 services on 8 GPUs, 09:00 to 09:18")
    assert [line.split()[0] for line in out.splitlines()[3:9]] == [
        "office", "chat", "code", "agents", "reasoning", "documents",
    ]  # fmt: skip
    summary = json.loads(file.read_text())
    assert [each["policy"] for each in summary["sides"]] == ["foresail", PEER]
    for side in summary["sides"]:
        assert side["peak_gpus"] <= 8
        assert side["gpu_hours"] == pytest.approx(sum(e["gpu_hours"] for e in side["services"]))
        for each in side["services"]:
            fates = ("served", "shed", "failed", "unfinished")
            assert each["offered_requests"] == sum(each[f"{fate}_requests"] for fate in fates)
    again = tmp_path / "again.json"
    assert demo(*SHORT, "--json", str(again))[0] == 0
    assert again.read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(("--fleet", "--peer", "nobody"), "--peer nobody: there is no such", id="peer"),
        pytest.param(("--peer", "keda_waiting"), "--peer goes with --fleet", id="peer-alone"),
        pytest.param(("--fleet", "--keep"), "--keep: a fleet demo has no work", id="keep"),
        pytest.param(("--live",), "--live goes with --fleet", id="live-alone"),
        pytest.param(
            ("--fleet", "--live", "--speed", "2"), "--speed 2: --live runs as fast", id="live-speed"
        ),
        pytest.param(
            ("--fleet", "--live", "--peer", "keda_waiting"), "no peer runs beside", id="live-peer"
        ),
        pytest.param(
            ("--fleet", "--live", "--minutes", "58"), "a live fleet takes 57", id="live-minutes"
        ),
        pytest.param(("--speed", "100"), "--speed 100: real engines take 60", id="speed"),
        pytest.param(
            ("--fleet", "--json", "/nowhere/at/all.json"), "there is no folder /nowhere", id="json"
        ),
    ],
)
def test_what_cannot_work_is_one_line_and_exit_2(demo, arguments, said):
    code, out, err = demo(*arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert len(err.splitlines()) == 1


def test_a_port_in_use_is_said_before_anything_starts(demo):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, _, err = demo("--fleet", "--port", port)
    assert code == 2
    assert f"--port {port}" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("mode", ["--headless", "--speed=1"])
def test_ctrl_c_ends_it_at_once_and_is_no_success(mode):
    words = [sys.executable, "-m", "foresail", "demo", "--fleet", mode]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert b"6 services on 8 GPUs" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert out == b""
    assert b"Traceback" not in err


async def rendered(body, *, folder: Path) -> tuple[str, str]:
    """(text of the page, what the console said) after a few polls."""
    port = free_ports(1)[0]
    app = create_fleet_app(lambda: body, allowed_hosts=("127.0.0.1",))
    async with serving(app, host="127.0.0.1", port=port):
        done = await finished(
            str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            f"--user-data-dir={folder}", "--enable-logging=stderr", "--window-size=1280,800",
            "--virtual-time-budget=2000", "--dump-dom", f"http://127.0.0.1:{port}/",
        )  # fmt: skip
    console = "\n".join(line for line in done.stderr.splitlines() if "CONSOLE" in line)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", done.stdout))), console


async def finished(*words: str) -> "subprocess.CompletedProcess[str]":
    """The finished process; the loop serves the page meanwhile."""
    return await asyncio.to_thread(
        subprocess.run, words, capture_output=True, text=True, timeout=50, check=True
    )


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed, so no page can be seen")
@pytest.mark.xdist_group("browser")
async def test_the_page_tells_both_sides_in_words(tmp_path):
    text, console = await rendered(fleet_body(finished_race(), speed_ratio=60.0), folder=tmp_path)
    assert console == ""
    for words in ("Done: foresail", "09:10", "recorded", "of 3", PEER, "docs batch", "kept"):
        assert words in text, words
    assert "it gives no reason" in text


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed, so no page can be seen")
@pytest.mark.xdist_group("browser")
async def test_the_page_of_a_live_fleet_has_one_side_and_names_no_peer(tmp_path):
    body = live_body(watched_run(), now_seconds=60.0, is_over=True)
    text, console = await rendered(body, folder=tmp_path)
    assert console == ""
    for words in (
        "LIVE", "8 emulated GPUs, real HTTP; no peer runs beside", "10:49:00",
        "1 of 8", "Done: foresail misses the target of office", "50 % missed", "documents batch",
    ):  # fmt: skip
        assert words in text, words
    assert "REPLAY" not in text


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed, so no page can be seen")
@pytest.mark.xdist_group("browser")
async def test_the_page_of_a_race_that_has_just_begun_shows_nothing_as_judged(tmp_path):
    text, console = await rendered(fleet_body(small_race(), speed_ratio=60.0), folder=tmp_path)
    assert console == ""
    for words in (
        "Running: foresail has nothing judged yet",
        "nothing was changed yet",
        "no request yet",
    ):
        assert words in text, words
