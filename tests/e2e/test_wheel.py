"""The built wheel in an environment of its own, used from an empty folder far from the checkout.

Needs a package index, or a folder of wheels, as pip is configured on this machine.
"""

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.demo_runs import assert_documented, clean_environment, running_demo
from support.desks import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]
PINNED = re.compile(r"^[\w.-]+==\S+", re.MULTILINE)


@pytest.fixture(name="command", scope="module")
def _command(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`foresail` of a new environment that holds the wheel with its demo extra, and nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    built = ["--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    output_of([*pip, "wheel", *built], folder=folder)
    (wheel,) = folder.glob("foresail-*.whl")
    output_of([sys.executable, "-m", "venv", "environment"], folder=folder)
    pins = "\n".join(PINNED.findall((ROOT / "requirements.lock").read_text()))
    (folder / "pins.txt").write_text(pins + "\n")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    named = f"foresail[demo] @ {wheel.as_uri()}#sha256={digest}"
    into = [*pip, "--python", "environment/bin/python", "install", "--constraint", "pins.txt"]
    output_of([*into, named], folder=folder)
    return folder / "environment" / "bin" / "foresail"


def output_of(command: Sequence[str | Path], *, folder: Path, code: int = 0) -> str:
    """What the command says on stdout, run in `folder`; fails unless it exits with `code`."""
    ended = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=folder,
        env=clean_environment(folder),
        timeout=300,
        check=False,
    )
    assert ended.returncode == code, f"{command}\n{ended.stdout[-2000:]}\n{ended.stderr[-2000:]}"
    return ended.stdout


@pytest.mark.timeout(400)  # of which the installation takes most
def test_the_wheel_has_all_that_its_commands_need(command: Path, tmp_path: Path) -> None:
    assert "Begin with: foresail demo" in output_of([command, "--help"], folder=tmp_path)
    output_of([command, "init"], folder=tmp_path)
    assert {each.name for each in tmp_path.iterdir()} == {"foresail.yaml", "catalogue.yaml"}
    # The starter names an engine and a model that its owner has yet to choose.
    found = json.loads(output_of([command, "doctor", "--json"], folder=tmp_path, code=1))
    wrong = {each["check"] for each in found["findings"] if each["status"] == "problem"}
    assert wrong == {"commands", "files"}
    place = next(each for each in found["findings"] if each["check"] == "imports")
    assert str(command.parent.parent) in place["message"]


@pytest.mark.timeout(400)
def test_the_wheel_runs_the_demo(command: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with running_demo(tmp_path_factory.mktemp("d"), [str(command)], minutes=0.3) as run:
        assert run.process.wait(120) == 0, run.output
        assert run.processes() == {}
        document = run.document()
    assert_documented(document)
    assert all(each["ttft_seconds"]["p50"] is not None for each in document["services"])
