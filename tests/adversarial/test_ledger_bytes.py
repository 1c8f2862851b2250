"""Any flipped byte of a ledger file is found, or has changed nothing that was recorded."""

import random
import shutil
import sqlite3
from pathlib import Path

from autoscaler.ledger import Ledger, read_records, verify_ledger
from collector.clock import VirtualClock
from support.builders import NOW
from support.execution import make_decision, scale_out, silent_log

FLIPS = 250


def test_a_flipped_byte_anywhere_is_found_or_harmless(tmp_path: Path) -> None:
    origin = tmp_path / "origin.db"
    ledger = Ledger(origin, clock=VirtualClock(NOW), log=silent_log())
    for _ in range(12):
        ledger.append_decision(make_decision(scale_out()), entries=())
    ledger.close()  # the last connection moves everything into the main file
    records = read_records(origin)
    pristine = origin.read_bytes()
    chosen = random.Random(7)
    found = 0
    for number in range(FLIPS):
        at = chosen.randrange(len(pristine))
        path = tmp_path / f"flip{number}.db"
        path.write_bytes(
            pristine[:at] + bytes([pristine[at] ^ (1 << chosen.randrange(8))]) + pristine[at + 1 :]
        )
        shutil.copy(origin.with_suffix(".checkpoint"), path.with_suffix(".checkpoint"))
        is_intact = verify_ledger(path).is_intact
        found += not is_intact
        assert not is_intact or read_records(path) == records, f"byte {at} changed a record unseen"
        for file in tmp_path.glob(f"flip{number}.*"):
            file.unlink()
    assert found > FLIPS / 4, "most of the file is records, so most flips must be found"


def test_a_flipped_byte_in_what_is_not_yet_in_the_main_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = Ledger(path, clock=VirtualClock(NOW), log=silent_log())
    for _ in range(4):
        ledger.append_decision(make_decision(scale_out()), entries=())
    log = path.with_name("ledger.db-wal")
    copy = tmp_path / "copy.db"
    shutil.copy(path, copy)
    content = log.read_bytes()
    damaged = content[:-100] + bytes([content[-100] ^ 1]) + content[-99:]
    copy.with_name("copy.db-wal").write_bytes(damaged)
    shutil.copy(path.with_suffix(".checkpoint"), copy.with_suffix(".checkpoint"))
    ledger.close()
    sqlite3.connect(copy).close()
    assert any("the tail was cut" in line for line in verify_ledger(copy).findings)
