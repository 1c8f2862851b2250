"""Verification finds every way in which a ledger can stop being what was written."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from autoscaler.errors import LedgerError, LedgerTampered
from autoscaler.ledger import Ledger, RecordKind, read_records, verify_ledger
from autoscaler.ledger.checkpoint import checkpoint_path
from autoscaler.ledger.database import SCHEMA
from autoscaler.model.effect import Phase
from collector.clock import VirtualClock
from support.builders import NOW
from support.execution import make_decision, make_entry, scale_out, silent_log

PHASES = (Phase.SPAWNING, Phase.SPAWNED, Phase.VERIFIED)


def open_ledger(path: Path) -> Ledger:
    return Ledger(path, clock=VirtualClock(NOW), log=silent_log(), busy_timeout_seconds=0.2)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five records: a decision and four phases of its effect."""
    path = tmp_path_factory.mktemp("pristine") / "ledger.db"
    ledger = open_ledger(path)
    ledger.append_decision(make_decision(scale_out()), entries=(make_entry(Phase.PREPARED),))
    for phase in PHASES:
        ledger.append_entry(make_entry(phase))
    ledger.close()
    return path


@pytest.fixture
def written(pristine: Path, tmp_path: Path) -> Path:
    for file in pristine.parent.iterdir():
        shutil.copy(file, tmp_path)
    return tmp_path / pristine.name


def tamper(path: Path, *statements: str, keep_triggers: bool = False) -> None:
    """What somebody with the file and an SQL shell can do, putting the triggers back after it."""
    with sqlite3.connect(path) as connection:
        triggers = [name for name in SCHEMA if "_refuse_" in name]
        for name in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)
        for name in triggers if not keep_triggers else ():
            connection.execute(SCHEMA[name])
    connection.close()


def test_an_untouched_ledger_is_intact(written: Path) -> None:
    report = verify_ledger(written)
    assert (report.record_count, report.is_intact, report.findings) == (5, True, ())
    assert report.head_hash == read_records(written, last=1)[0].hash.hex()


def test_a_ledger_is_verified_while_its_writer_lives(written: Path) -> None:
    ledger = open_ledger(written)
    ledger.append_decision(make_decision(scale_out()), entries=())
    assert verify_ledger(written).record_count == 6
    assert verify_ledger(written).is_intact
    ledger.close()


SWAP_ROWS = (
    "UPDATE records SET seq = 99 WHERE seq = 3",
    "UPDATE records SET seq = 3 WHERE seq = 4",
    "UPDATE records SET seq = 4 WHERE seq = 99",
)
TAMPERING = {
    "changed_body": (
        ("UPDATE records SET body = replace(CAST(body AS TEXT), 'chat', 'chaT') WHERE seq = 1",),
        "record 1",
    ),
    "flipped_byte": (
        ("UPDATE records SET body = CAST('[' || substr(body, 2) AS BLOB) WHERE seq = 2",),
        "record 2 (effect) was changed",
    ),
    "changed_time": (("UPDATE records SET timestamp_seconds = 5 WHERE seq = 3",), "record 3"),
    "changed_kind": (("UPDATE records SET kind = 'outcome' WHERE seq = 3",), "record 3 (outcome)"),
    "changed_hash": (("UPDATE records SET hash = zeroblob(32) WHERE seq = 5",), "record 5"),
    "removed_row": (("DELETE FROM records WHERE seq = 3",), "record 3 is missing"),
    "reordered_rows": (SWAP_ROWS, "record 3"),
    "cut_tail": (
        (
            "DELETE FROM effect_journal WHERE seq >= 4",
            "DELETE FROM records WHERE seq >= 4",
        ),
        "the tail was cut: the checkpoint knows 5 records, the last one here is 3",
    ),
    "emptied": (
        ("DELETE FROM effect_journal", "DELETE FROM records"),
        "the tail was cut: the checkpoint knows 5 records, the last one here is 0",
    ),
    "forged_journal_phase": (
        ("UPDATE effect_journal SET phase = 'rolled_back' WHERE seq = 5",),
        "record 5 and the effect journal do not agree",
    ),
    "removed_journal_row": (
        ("DELETE FROM effect_journal WHERE seq = 5",),
        "record 5 and the effect journal do not agree",
    ),
    "journal_row_without_record": (
        ("INSERT INTO effect_journal VALUES (50, 'x/1', 'verified')",),
        "the journal points to record 50",
    ),
    "added_view": (("CREATE VIEW mine AS SELECT 1",), "holds `mine`"),
}


@pytest.mark.parametrize(("statements", "finding"), TAMPERING.values(), ids=TAMPERING)
def test_tampering_is_found(written: Path, statements: tuple[str, ...], finding: str) -> None:
    tamper(written, *statements)
    report = verify_ledger(written)
    assert not report.is_intact
    assert any(finding in line for line in report.findings), report.findings
    assert all("\n" not in line for line in report.findings)


def test_a_missing_trigger_is_found(written: Path) -> None:
    tamper(written, keep_triggers=True)
    assert any("records_refuse_update" in line for line in verify_ledger(written).findings)


def test_a_rewritten_chain_is_found_by_its_checkpoint(written: Path, tmp_path: Path) -> None:
    """Somebody who seals every row anew still has the old witness against them."""
    written.unlink()
    for extra in tmp_path.glob("ledger.db-*"):
        extra.unlink()
    witness = checkpoint_path(written).read_bytes()
    checkpoint_path(written).unlink()
    forged = open_ledger(written)
    for _ in range(5):
        forged.append_decision(make_decision(scale_out(replicas=7)), entries=())
    forged.close()
    checkpoint_path(written).write_bytes(witness)
    report = verify_ledger(written)
    assert any("record 2 is not the one its checkpoint knows" in each for each in report.findings)


def test_a_removed_checkpoint_is_found(written: Path) -> None:
    checkpoint_path(written).unlink()
    assert any("is missing" in line for line in verify_ledger(written).findings)


def test_a_removed_ledger_is_found_by_its_checkpoint(written: Path) -> None:
    written.unlink()
    report = verify_ledger(written)
    assert report.findings == (f"{written} is gone; its checkpoint knows 5 records",)


def test_a_torn_last_line_of_the_checkpoint_is_no_fault_and_is_repaired(written: Path) -> None:
    with checkpoint_path(written).open("ab") as file:
        file.write(b"6 abc")
    assert verify_ledger(written).is_intact
    ledger = open_ledger(written)
    ledger.append_decision(make_decision(scale_out()), entries=())
    ledger.close()
    assert verify_ledger(written).is_intact
    # The decision and its entry were one commit, so they have one line.
    counts = [line.split()[0] for line in checkpoint_path(written).read_text().splitlines()]
    assert counts == ["2", "3", "4", "5", "6"]


def test_a_chain_ahead_of_its_checkpoint_is_no_fault(written: Path) -> None:
    """The state after a crash between the commit and the line."""
    lines = checkpoint_path(written).read_bytes().splitlines(keepends=True)
    checkpoint_path(written).write_bytes(b"".join(lines[:-1]))
    assert verify_ledger(written).is_intact


def test_a_cut_ledger_is_not_appended_to(written: Path) -> None:
    tamper(written, "DELETE FROM effect_journal WHERE seq = 5", "DELETE FROM records WHERE seq = 5")
    with pytest.raises(LedgerTampered, match="record 5 is missing"):
        open_ledger(written)


@pytest.mark.parametrize("table", ["records", "effect_journal"])
@pytest.mark.parametrize(
    "statement",
    ["UPDATE {} SET seq = seq + 100", "DELETE FROM {}", "DELETE FROM {} WHERE seq = 2"],
    ids=["update", "delete_all", "delete_one"],
)
def test_triggers_refuse_update_and_delete(written: Path, table: str, statement: str) -> None:
    with (
        sqlite3.connect(written) as connection,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        connection.execute(statement.format(table))
    connection.close()


@pytest.mark.parametrize("table", ["records", "effect_journal"])
def test_triggers_refuse_replacing_a_row(written: Path, table: str) -> None:
    with sqlite3.connect(written) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table} WHERE seq = 2")
    connection.close()


def test_records_are_read_newest_last_by_count_and_kind(written: Path) -> None:
    assert [record.seq for record in read_records(written)] == [1, 2, 3, 4, 5]
    assert [record.seq for record in read_records(written, last=2)] == [4, 5]
    assert [record.seq for record in read_records(written, kind=RecordKind.DECISION)] == [1]
    assert [r.seq for r in read_records(written, last=1, kind=RecordKind.EFFECT)] == [5]


def not_a_database(path: Path) -> None:
    path.write_text("this is a letter, not a ledger. " * 100)


def a_folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("spoil", [not_a_database, a_folder])
@pytest.mark.parametrize("action", [open_ledger, read_records])
def test_what_is_no_ledger_is_told_in_one_line(
    tmp_path: Path, spoil: Callable[[Path], None], action: Callable[[Path], object]
) -> None:
    path = tmp_path / "ledger.db"
    spoil(path)
    with pytest.raises(LedgerError, match=r"ledger: .*ledger\.db") as error:
        action(path)
    assert "\n" not in str(error.value)


def test_reading_a_ledger_that_does_not_exist_is_told_in_one_line(tmp_path: Path) -> None:
    for action in (read_records, verify_ledger):
        with pytest.raises(LedgerError, match="does not exist"):
            action(tmp_path / "ledger.db")
