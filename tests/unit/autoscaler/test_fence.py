"""Leadership: one controller per state directory, proven before every effect."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from autoscaler.errors import NotLeader
from autoscaler.fence import ControllerFence


def test_the_leader_leads_until_it_lets_go(tmp_path: Path) -> None:
    with ControllerFence(tmp_path / "new" / "state") as fence:
        fence.check()
    with pytest.raises(NotLeader, match="has let go"):
        fence.check()


def test_a_second_controller_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    with ControllerFence(tmp_path) as fence:
        with pytest.raises(NotLeader, match=rf"another controller \(pid {os.getpid()}\)") as error:
            ControllerFence(tmp_path)
        assert "\n" not in str(error.value)
        fence.check()


def test_the_epoch_rises_with_every_controller(tmp_path: Path) -> None:
    epochs = []
    for _ in range(3):
        with ControllerFence(tmp_path) as fence:
            epochs.append(fence.epoch)
    assert epochs == [1, 2, 3]


def test_a_refused_controller_does_not_raise_the_epoch(tmp_path: Path) -> None:
    with ControllerFence(tmp_path) as fence:
        with pytest.raises(NotLeader):
            ControllerFence(tmp_path)
        fence.check()
    with ControllerFence(tmp_path) as successor:
        assert successor.epoch == 2


def test_leadership_ends_with_the_process_whatever_ends_it(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys, pathlib; from autoscaler.fence import ControllerFence; "
        "fence = ControllerFence(pathlib.Path(sys.argv[1])); os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = str(Path(__file__).parents[3])
    killed = subprocess.run(
        [sys.executable, "-c", code, tmp_path], env={"PYTHONPATH": root}, check=False
    )
    assert killed.returncode == -9
    with ControllerFence(tmp_path) as fence:
        assert fence.epoch == 2


@pytest.mark.parametrize("spoil", ["removed", "replaced"])
def test_a_lock_file_that_was_taken_away_ends_leadership(tmp_path: Path, spoil: str) -> None:
    with ControllerFence(tmp_path) as fence:
        (tmp_path / "controller.lock").unlink()
        if spoil == "replaced":
            (tmp_path / "controller.lock").touch()
        with pytest.raises(NotLeader, match="was removed or replaced"):
            fence.check()


@pytest.mark.parametrize("text", ["9\n", "nonsense\n", ""])
def test_an_epoch_that_is_not_ours_ends_leadership(tmp_path: Path, text: str) -> None:
    with ControllerFence(tmp_path) as fence:
        (tmp_path / "controller.epoch").write_text(text)
        with pytest.raises(NotLeader):
            fence.check()


def test_a_controller_does_not_start_on_an_epoch_it_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "controller.epoch").write_text("many")
    with pytest.raises(NotLeader, match="must hold a whole number"):
        ControllerFence(tmp_path)
    (tmp_path / "controller.epoch").write_text("41\n")
    with ControllerFence(tmp_path) as fence:
        assert fence.epoch == 42
