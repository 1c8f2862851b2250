"""What the installer of the real programs says when it cannot install, run on a copy of itself."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = Path("deploy/testing/engines/install.sh")
TOOLS = ("bash", "dirname", "mkdir", "flock", "cat", "sha256sum", "cut", "df", "tail", "sed")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The script in a folder of its own, and a PATH with little more than the shell's tools."""
    shutil.copytree(ROOT / SCRIPT.parent, tmp_path / SCRIPT.parent)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        assert found is not None, name
        (tools / name).symlink_to(found)
    return tmp_path


def install(checkout: Path, *names: str) -> tuple[int, str, str]:
    done = subprocess.run(
        ["bash", str(checkout / SCRIPT), *names],
        env={"PATH": str(checkout / "bin")},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize(
    ("names", "said"),
    [
        pytest.param((), "usage: install.sh NAME...   known: litellm vllm ollama\n", id="none"),
        pytest.param(
            ("ollama", "sglang"),
            "unknown name sglang; known are: litellm vllm ollama\n",
            id="unknown",
        ),
    ],
)
def test_wrong_use_is_told_before_anything_is_installed(
    checkout: Path, names: tuple[str, ...], said: str
) -> None:
    assert install(checkout, *names) == (2, "", said)
    assert not (checkout / ".engines").exists()


def test_without_go_it_says_which_go_is_needed(checkout: Path) -> None:
    assert install(checkout, "ollama") == (
        1,
        "",
        "Ollama is built with Go, and there is no go on the PATH. Install Go 1.26 or newer.\n"
        "ollama was not installed\n",
    )


def test_without_room_it_says_how_much_is_needed_and_where_and_tries_the_next(
    checkout: Path,
) -> None:
    df = checkout / "bin" / "df"
    df.unlink()
    df.write_text("#!/bin/sh\necho Avail\necho 1048576\n")
    df.chmod(0o755)
    status, _, said = install(checkout, "vllm", "litellm")
    assert status == 1
    where = checkout / ".engines"
    advice = f"Make room, or make {where} a link to a larger disk."
    assert said == (
        f"vLLM needs 10 GiB of disk in {where}, and 1 are free. {advice}\n"
        "vllm was not installed\n"
        f"LiteLLM needs 2 GiB of disk in {where}, and 1 are free. {advice}\n"
        "litellm was not installed\n"
    )


def test_what_is_there_and_made_from_the_same_version_stays(checkout: Path) -> None:
    made = checkout / ".engines" / "ollama" / ".made-from"
    made.parent.mkdir(parents=True)
    made.write_text("0.17.4\n")
    assert install(checkout, "ollama") == (0, "", "")


def test_the_lock_pins_every_package_with_a_hash() -> None:
    lines = (ROOT / SCRIPT.parent / "litellm.lock").read_text().splitlines()
    pins = [number for number, line in enumerate(lines) if "==" in line and line[0].isalnum()]
    assert len(pins) > 50
    assert all("--hash=sha256:" in lines[number + 1] for number in pins)
