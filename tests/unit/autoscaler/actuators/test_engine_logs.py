"""Engine logs: the last line for messages, and a bound on what is kept."""

import os
from pathlib import Path

import pytest

from autoscaler.actuators.engine_logs import MAX_FILES, EngineLogs
from collector.model.ids import ReplicaId

ME = ReplicaId("me")
TAILS = {
    "none": (b"", ""),
    "one": (b"loading\n", "loading"),
    "blank_lines_after": (b"first\nout of memory\n\n  \n", "out of memory"),
    "unfinished": (b"first\nhalf a li", "half a li"),
    "not_text": (b"\xff\xfe bad\x1b[31m red\n", "\ufffd\ufffd bad [31m red"),
    "long": (b"x" * 9000, "x" * 300),
}


@pytest.mark.parametrize(("content", "line"), TAILS.values(), ids=TAILS)
def test_the_last_line_that_says_something(tmp_path: Path, content: bytes, line: str) -> None:
    logs = EngineLogs(tmp_path)
    logs.prepare(ME, living=()).write_bytes(content)
    assert logs.last_line(ME) == line


def test_without_a_log_there_is_no_last_line(tmp_path: Path) -> None:
    assert EngineLogs(tmp_path).last_line(ME) == ""


def test_only_the_newest_logs_of_dead_engines_are_kept(tmp_path: Path) -> None:
    logs, living = EngineLogs(tmp_path), [ReplicaId("r0")]
    for number in range(MAX_FILES + 3):
        path = logs.prepare(ReplicaId(f"r{number}"), living=living)
        path.write_text("x")
        os.utime(path, (number, number))
    logs.prepare(ME, living=living)
    left = {path.stem for path in (tmp_path / "logs").iterdir()}
    assert "r0" in left
    assert "r1" not in left
    assert len(left) == MAX_FILES + 1


def test_a_log_above_its_limit_is_emptied_and_its_end_kept(tmp_path: Path) -> None:
    logs = EngineLogs(tmp_path)
    path = logs.prepare(ME, living=())
    with path.open("ab") as engine:  # appends, as engines do
        engine.write(b"a" * 100_000 + b"the end\n")
        engine.flush()
        logs.shorten(max_bytes=1_000)
        engine.write(b"go on\n")
    assert path.read_bytes() == b"go on\n"
    kept = path.with_suffix(".log.1").read_bytes()
    assert kept.endswith(b"the end\n")
    assert len(kept) == 64 * 1024
