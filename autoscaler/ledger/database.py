"""The SQLite file of the ledger: its tables, how it is opened, and its errors in one line.

In: a path. Out: connections in WAL mode that wait for a lock and lose nothing at a power cut.
Used by `store`, `reading` and `verify`; no other module knows SQL of the schema or SQLite errors.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from autoscaler.errors import LedgerBusy, LedgerError
from autoscaler.ledger.chain import LedgerRecord

WAL_ATTEMPTS: Final = 20
_APPEND_ONLY: Final = "SELECT RAISE(ABORT, 'the ledger is append-only');"

SCHEMA: Final = {
    "records": (
        "CREATE TABLE records (seq INTEGER PRIMARY KEY, timestamp_seconds REAL NOT NULL, "
        "kind TEXT NOT NULL, body BLOB NOT NULL, previous_hash BLOB NOT NULL, hash BLOB NOT NULL)"
    ),
    # Only points into `records`: what the chain covers is told once.
    "effect_journal": (
        "CREATE TABLE effect_journal (seq INTEGER PRIMARY KEY REFERENCES records (seq), "
        "effect_id TEXT NOT NULL, phase TEXT NOT NULL, UNIQUE (effect_id, phase))"
    ),
    "records_refuse_update": (
        f"CREATE TRIGGER records_refuse_update BEFORE UPDATE ON records BEGIN {_APPEND_ONLY} END"
    ),
    "records_refuse_delete": (
        f"CREATE TRIGGER records_refuse_delete BEFORE DELETE ON records BEGIN {_APPEND_ONLY} END"
    ),
    # INSERT OR REPLACE deletes without asking the trigger above.
    "records_refuse_gap": (
        "CREATE TRIGGER records_refuse_gap BEFORE INSERT ON records "
        "WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM records) "
        "BEGIN SELECT RAISE(ABORT, 'a ledger record must follow the last one'); END"
    ),
    "effect_journal_refuse_update": (
        "CREATE TRIGGER effect_journal_refuse_update BEFORE UPDATE ON effect_journal "
        f"BEGIN {_APPEND_ONLY} END"
    ),
    "effect_journal_refuse_delete": (
        "CREATE TRIGGER effect_journal_refuse_delete BEFORE DELETE ON effect_journal "
        f"BEGIN {_APPEND_ONLY} END"
    ),
    "effect_journal_refuse_replace": (
        "CREATE TRIGGER effect_journal_refuse_replace BEFORE INSERT ON effect_journal "
        "WHEN NEW.seq <= (SELECT max(seq) FROM effect_journal) "
        "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
    ),
}
"""{name: statement} in the order of creation; `verify` compares it with what the file holds."""


def open_for_writing(path: Path, *, busy_timeout_seconds: float) -> sqlite3.Connection:
    """A connection to a ledger that exists afterwards. Raises LedgerError, LedgerBusy."""
    with one_line_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=busy_timeout_seconds, isolation_level=None)
        try:
            _switch_to_wal(connection)
            connection.execute("PRAGMA synchronous = FULL")
            _create_schema(connection)
        except BaseException:
            connection.close()
            raise
        return connection


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Where two processes make a new file at once, SQLite refuses one of them without waiting; a write
    transaction does wait, and afterwards the switch is done or free."""
    for _ in range(WAL_ATTEMPTS):
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if not _is_busy(error):
                raise
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        else:
            return
    raise LedgerBusy("ledger: other processes open the file again and again; try again later")


@contextmanager
def opened_for_reading(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that cannot write and sees one unchanging state. Raises LedgerError."""
    if not path.is_file():
        raise LedgerError(f"ledger: {path} does not exist; nothing has been recorded there yet")
    with one_line_errors(path):
        address = f"{path.absolute().as_uri()}?mode=ro"
        connection = sqlite3.connect(address, uri=True, isolation_level=None)
        with closing(connection):
            connection.execute("BEGIN")
            yield connection


def _create_schema(connection: sqlite3.Connection) -> None:
    if _has_schema(connection):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not _has_schema(connection):  # another process may have been first
            for statement in SCHEMA.values():
                connection.execute(statement)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _has_schema(connection: sqlite3.Connection) -> bool:
    names = connection.execute("SELECT name FROM sqlite_schema WHERE name = 'records'")
    return names.fetchone() is not None


def read_head(connection: sqlite3.Connection) -> LedgerRecord | None:
    """The newest record; None in an empty ledger."""
    return next(iter_records(connection, tail="ORDER BY seq DESC LIMIT 1"), None)


def iter_records(
    connection: sqlite3.Connection, *, tail: str = "ORDER BY seq", values: tuple[object, ...] = ()
) -> Iterator[LedgerRecord]:
    """Records as stored; `tail` is our own SQL after FROM, `values` fill its question marks.

    Raises LedgerError for a row whose columns are not of their type any more.
    """
    columns = "SELECT seq, timestamp_seconds, kind, body, previous_hash, hash FROM records "
    for row in connection.execute(columns + tail, values):
        types = tuple(type(value) for value in row)
        if types != (int, float, str, bytes, bytes, bytes):
            raise LedgerError(f"ledger: record {row[0]} holds a value of another type than written")
        yield LedgerRecord(
            seq=row[0],
            timestamp_seconds=row[1],
            kind=row[2],
            body=row[3],
            previous_hash=row[4],
            hash=row[5],
        )


_NEXT_STEPS: Final = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space, nothing is carried out until then",
    sqlite3.SQLITE_IOERR: "the disk refuses to read or write; check its space, quota and health",
    sqlite3.SQLITE_NOTADB: "this is not a ledger; move the file away or set another state directory",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; run `foresail ledger verify` and restore a copy",
    sqlite3.SQLITE_READONLY: "the file may not be written; fix its owner or permissions",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened; check that the folder exists and is ours",
}


@contextmanager
def one_line_errors(path: Path) -> Iterator[None]:
    """Turns SQLite's and the system's errors into LedgerError and LedgerBusy that say what next."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translated(error, path=path) from error
    except UnicodeDecodeError as error:
        raise LedgerError(f"ledger: {path}: a text column holds bytes that are no text") from error
    except OSError as error:
        raise LedgerError(f"ledger: {path}: {error.strerror}; check the folder") from error


def _translated(error: sqlite3.Error, *, path: Path) -> LedgerError:
    if _is_busy(error):
        return LedgerBusy(
            f"ledger: {path} is locked by another process for too long; find it with `fuser {path}`"
        )
    step = _NEXT_STEPS.get(_code(error), "run `foresail ledger verify`")
    return LedgerError(f"ledger: {path}: {error}; {step}")


def _is_busy(error: sqlite3.Error) -> bool:
    return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary code; -1 without one. The upper bits only refine it."""
    code = getattr(error, "sqlite_errorcode", None)
    return -1 if code is None else int(code) & 0xFF
