"""The benchmark of first hours goes on where it was, and says in its page what it found."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from support.backtests import busy_hours, write_trace

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "bench_cold_start.py"
TRACE = "azure2023_code"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_first_hours_are_replayed_once_and_written_up(tmp_path: Path) -> None:
    write_trace(tmp_path / f"{TRACE}.parquet", **busy_hours(hours=0.9, requests=300))
    results, page = tmp_path / "results.jsonl", tmp_path / "page.md"

    def run(*more: str) -> str:
        command = [
            sys.executable, str(SCRIPT), str(tmp_path), "--trace", TRACE, "--jobs", "1",
            "--results", str(results), "--page", str(page), "--write", *more,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run()
    lines = results.read_text().splitlines()
    ours = [each for each in lines if json.loads(each)["policy"] == "foresail"]
    assert len(ours) == 6  # two scales, three start times, one birth
    results.write_text("\n".join(lines)[:-20])  # as a kill leaves it
    assert run().count(" 1 replays") == 1
    assert len(results.read_text().splitlines()) == len(lines)
    run("--forget", "foresail")
    assert len(results.read_text().splitlines()) == len(lines)
    text = page.read_text()
    assert f"## {TRACE}" in text
    assert "| all | 6 |" in text
    assert "## What does not hold" in text
    assert str(tmp_path) not in text
