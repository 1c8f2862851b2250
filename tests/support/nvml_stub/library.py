"""Builds the C stub and runs the real adapter on it, in a process of its own."""

import base64
import pickle
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from collector.model.device import DeviceSurvey

SOURCE = Path(__file__).with_name("nvml_stub.c")
ASKER = Path(__file__).with_name("asker.py")
ROOT = Path(__file__).resolve().parents[3]
COMPILER = shutil.which("gcc")


def build_stub(folder: Path) -> Path:
    """The folder with a libnvidia-ml.so.1 in it."""
    assert COMPILER is not None, "gcc is needed to build the stub of the device library"
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / "libnvidia-ml.so.1"
    subprocess.run(
        [COMPILER, "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o", library, SOURCE],
        check=True,
    )
    return folder


def write_state(path: Path, state: Mapping[str, object]) -> None:
    """Changes the world for every process that runs on this file, between two of its calls."""
    new = path.with_suffix(".new")
    new.write_text("".join(f"{key} {value}\n" for key, value in state.items()))
    new.replace(path)


def stub_environment(library_folder: Path | None, *, state: Path) -> dict[str, str]:
    """For a process that shall find the stub, or no library at all."""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "NVML_STUB_STATE": str(state)}
    if library_folder is not None:
        environment["LD_LIBRARY_PATH"] = str(library_folder)
    return environment


class AskedProbe:
    """`DeviceProbe` whose work is done by the real adapter in another process."""

    def __init__(self, environment: Mapping[str, str], *, timeout_seconds: float = 3.0) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(ASKER), str(timeout_seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=dict(environment),
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=5)  # a hung call must not keep the process
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self._process.stdout.close()

    async def read_devices(self) -> DeviceSurvey:
        survey = pickle.loads(base64.b64decode(self._line("read")))
        assert isinstance(survey, DeviceSurvey)
        return survey

    async def close(self) -> None:
        self._line("close")

    def _line(self, command: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()
