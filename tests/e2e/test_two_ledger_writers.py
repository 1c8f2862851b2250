"""Two processes append 10,000 records to one ledger: one chain, and verification agrees."""

import subprocess
import sys
from pathlib import Path

from autoscaler.ledger import read_records, verify_ledger

TESTS = Path(__file__).parents[1]
DECISIONS_EACH = 1_250  # four records each


def test_two_processes_make_one_chain_of_10_000_records(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    writers = [
        subprocess.Popen(
            [
                sys.executable,
                TESTS / "support" / "appending_process.py",
                path,
                str(DECISIONS_EACH),
                name,
            ],
            env={"PYTHONPATH": f"{TESTS}:{TESTS.parent}"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("a", "b")
    ]
    for writer in writers:
        _, errors = writer.communicate(timeout=55)
        assert writer.returncode == 0, errors
    report = verify_ledger(path)
    assert report.findings == ()
    assert report.record_count == 10_000
    records = read_records(path)
    assert [record.seq for record in records] == list(range(1, 10_001))
    kinds = [record.kind for record in records]
    assert kinds == ["decision", "effect", "effect", "effect"] * 2_500, "transactions do not mix"
