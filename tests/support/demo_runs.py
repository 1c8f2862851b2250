"""Runs of `foresail demo` in a folder of their own, and the shape of what `--json` writes."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OUTCOMES = {"done", "refused", "rolled_back", "unfinished", "not_carried_out"}
SERVICES = ("code", "chat", "batch")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoRun:
    """A demo under way; everything it makes lies in `folder`."""

    folder: Path
    process: "subprocess.Popen[bytes]"

    @property
    def document_path(self) -> Path:
        """What `--json` was given."""
        return self.folder / "out.json"

    @property
    def output(self) -> str:
        """What it has said so far."""
        return (self.folder / "demo.log").read_text()

    def document(self) -> dict[str, Any]:
        """The summary it has written."""
        read: dict[str, Any] = json.loads(self.document_path.read_text())
        return read

    def processes(self) -> dict[int, str]:
        """{pid: command} of every living process that this demo has brought about."""
        return processes_under(self.folder / "work")


@contextmanager
def running_demo(folder: Path, command: Sequence[str], *, minutes: float) -> Iterator[DemoRun]:
    """`COMMAND demo --headless`, started from the empty `folder`; nothing of it is left afterwards."""
    work = folder / "work"
    work.mkdir()
    words = [*command, "demo", "--headless", "--minutes", f"{minutes:g}", "--json", "out.json"]
    with (folder / "demo.log").open("wb") as log:
        process = subprocess.Popen(
            words, stdout=log, stderr=log, cwd=folder, env=clean_environment(work)
        )
    run = DemoRun(folder=folder, process=process)
    try:
        yield run
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
        process.kill()
        process.wait()
        for pid in run.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def clean_environment(temporary: Path) -> dict[str, str]:
    """Ours, without what would lead Python or Foresail back to the checkout."""
    kept = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("PYTHON", "FORESAIL_", "VIRTUAL_ENV", "PYTEST"))
    }
    return {**kept, "TMPDIR": str(temporary), "PYTHONUNBUFFERED": "1"}


def processes_under(folder: Path) -> dict[int, str]:
    """{pid: command} of every living process with this folder in its environment or command."""
    mark, found = str(folder).encode(), dict[int, str]()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes()
                if mark in command or mark in (entry / "environ").read_bytes():
                    found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace")
    return found


def assert_documented(document: dict[str, Any]) -> None:
    """Has everything that readers of `--json` are promised, and in the right types."""
    requests = document["requests"]
    assert requests["sent"] == requests["ok"] + requests["failed"] + requests["cancelled"] > 0
    assert [each["name"] for each in document["services"]] == list(SERVICES)
    for each in document["services"]:
        assert each["attainment_ratio"] is None or 0 <= each["attainment_ratio"] <= 1
        assert set(each["ttft_seconds"]) == {"p50", "p95", "p99"}
        assert each["engine_seconds"] >= 0
        assert set(each["requests"]) == {"arrived", "completed", "failed", "aborted", "shed"}
    for each in document["decisions"]:
        assert each["service"] in SERVICES
        assert each["action"] == "scale"
        assert each["direction"] in {"out", "in"}
        assert each["reason"]
        assert each["outcome"] in OUTCOMES
    assert document["ledger"]["verified"] is True
    assert document["ledger"]["records"] > 0
