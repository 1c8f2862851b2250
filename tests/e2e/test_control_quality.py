"""The comparison with peers goes on where it was, and says in its page what it found."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.backtests import busy_hours, write_trace

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "control_quality" / "run.py"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_comparison_resumes_and_is_written_up(tmp_path):
    columns = busy_hours(hours=25.0, requests=100)
    write_trace(tmp_path / "servegen_m_small_d0-8.parquet", **columns)
    page = tmp_path / "page.md"

    def run(*more):
        command = [
            sys.executable, str(SCRIPT), str(tmp_path), "--results", str(tmp_path / "results"),
            "--page", str(page), "--trace", "servegen_m_small_d0-8", "--start", "120", "--seeds", "1",
            "--policy", "work_rule", "--policy", "foresail", "--jobs", "1", *more,
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    first = run()
    lines = [line for line in first.splitlines() if line.startswith("  ")]
    assert f"{len(lines)} of {len(lines)} cells to replay" in first
    (results,) = (tmp_path / "results").iterdir()
    assert results.name.endswith(
        "-ttft2s-itl0.2s-0.99-tuned1d.jsonl"
    )  # another promise, another file
    whole = results.read_text()
    results.write_text(whole[:-20])  # as a kill leaves it
    second = run("--write")
    assert f"1 of {len(lines)} cells to replay" in second
    assert len([line for line in second.splitlines() if line.startswith("  ")]) == 1
    assert f"1 of {len(lines)} cells to replay" in run("--forget", "foresail", "--estimate")
    text = page.read_text()
    assert "## servegen_m_small_d0-8, start 120 s" in text
    assert "| **foresail** | - | 1 |" in text
    assert "Foresail attained by seed: " in text
    assert "## Targets that were not reached" in text
    assert "## What was not replayed" not in text
    assert str(tmp_path) not in text
