"""A ledger that cannot be written says so in one line and leaves what was there intact."""

import resource
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from autoscaler.errors import LedgerBusy, LedgerError
from autoscaler.ledger import Ledger, verify_ledger
from autoscaler.ledger.database import open_for_writing
from autoscaler.model.effect import Phase
from collector.clock import VirtualClock
from support.builders import NOW
from support.execution import make_decision, make_entry, scale_out, silent_log


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    opened = Ledger(path, clock=VirtualClock(NOW), log=silent_log(), busy_timeout_seconds=0.05)
    yield opened
    opened.close()


@contextmanager
def full_disk(limit_bytes: int) -> Iterator[None]:
    """No file of this process may grow beyond the limit; Python ignores the signal, writes fail."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_told_and_the_ledger_goes_on_afterwards(ledger: Ledger, path: Path) -> None:
    ledger.append_entry(make_entry(Phase.PREPARED))
    size = path.with_name("ledger.db-wal").stat().st_size
    with full_disk(size), pytest.raises(LedgerError, match="disk") as error:
        ledger.append_entry(make_entry(Phase.SPAWNING))
    assert "\n" not in str(error.value)
    ledger.append_entry(make_entry(Phase.SPAWNING))
    assert verify_ledger(path).is_intact
    assert verify_ledger(path).record_count == 2


def test_a_lock_held_too_long_is_told(ledger: Ledger, path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerBusy, match="locked by another process"):
        ledger.append_entry(make_entry(Phase.PREPARED))
    other.execute("ROLLBACK")
    other.close()
    ledger.append_entry(make_entry(Phase.PREPARED))


def test_a_value_that_is_no_number_is_not_recorded(ledger: Ledger, path: Path) -> None:
    with pytest.raises(LedgerError, match="cannot be recorded"):
        ledger.append_decision(make_decision(scale_out(), at=float("nan")), entries=())
    assert verify_ledger(path).record_count == 0


def test_many_may_make_the_same_new_file_at_once(tmp_path: Path) -> None:
    """SQLite refuses a switch to WAL that another one makes, without waiting for it."""
    openers, files = 6, 40
    together = threading.Barrier(openers)

    def opened(path: Path) -> None:
        together.wait(timeout=20)
        open_for_writing(path, busy_timeout_seconds=20.0).close()

    with ThreadPoolExecutor(openers) as pool:
        for number in range(files):
            list(pool.map(opened, [tmp_path / f"{number}.db"] * openers))
