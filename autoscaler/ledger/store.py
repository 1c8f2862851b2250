"""The writing side of the ledger: adapter of the `Journal` port.

In: decisions, journal entries, events. Out: rows, each sealed by the one before it, and a line in
the checkpoint. Sits after `govern` (decisions) and under `execute` (effects). Every append is one
`BEGIN IMMEDIATE` and is on the disk when the call returns (WAL, synchronous FULL: about 0.5 ms with
the checkpoint). Calls block; use one `Ledger` per thread. Must not change or remove a row.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from autoscaler.errors import LedgerError, LedgerTampered
from autoscaler.ledger.chain import LedgerRecord, RecordKind, next_record
from autoscaler.ledger.checkpoint import append_checkpoint, read_checkpoints
from autoscaler.ledger.database import iter_records, one_line_errors, open_for_writing, read_head
from autoscaler.ledger.encoding import decision_body, decoded_entry, entry_body, event_body
from autoscaler.ledger.legality import edge_fault
from autoscaler.model.decision import Decision
from autoscaler.model.effect import JournalEntry
from autoscaler.model.event import Event
from collector.clock import Clock

_LATEST = (
    "JOIN (SELECT min(seq) AS first_seq, max(seq) AS last_seq FROM effect_journal "
    "GROUP BY effect_id) ON seq = last_seq ORDER BY first_seq"
)
_LATEST_OF_ONE = "WHERE seq = (SELECT max(seq) FROM effect_journal WHERE effect_id = ?)"


class Ledger:
    """A ledger file open for appending; several processes may hold one at the same time."""

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock,
        log: FilteringBoundLogger,
        busy_timeout_seconds: float = 5.0,
    ) -> None:
        """Opens or creates the file.

        Raises: LedgerError, LedgerBusy; LedgerTampered when the newest witnessed record is not
        there, because appending to a cut chain would only bury what is missing.
        """
        self._path = path
        self._clock = clock
        self._log = log
        self._connection = open_for_writing(path, busy_timeout_seconds=busy_timeout_seconds)
        try:
            self._check_witness()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Lets go of the file."""
        self._connection.close()

    def append_decision(self, decision: Decision, *, entries: Sequence[JournalEntry]) -> None:
        """The decision and its first journal entries, all or none. Raises LedgerError."""
        body = decision_body(decision)
        with self._appending() as batch:
            batch.add(RecordKind.DECISION, body)
            for entry in entries:
                batch.add_entry(entry)

    def append_entry(self, entry: JournalEntry) -> None:
        """One phase more. Raises LedgerError when it may not follow the last one."""
        with self._appending() as batch:
            batch.add_entry(entry)

    def append_outcome(self, event: Event) -> None:
        """What became of an effect or a replica."""
        body = event_body(event)
        with self._appending() as batch:
            batch.add(RecordKind.OUTCOME, body)

    def latest_entries(self) -> tuple[JournalEntry, ...]:
        """The newest entry of every effect, oldest effect first."""
        with one_line_errors(self._path):
            return tuple(
                decoded_entry(record.body)
                for record in iter_records(self._connection, tail=_LATEST)
            )

    @contextmanager
    def _appending(self) -> Iterator["_Batch"]:
        with one_line_errors(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                batch = _Batch(self._connection, timestamp_seconds=self._clock.timestamp_seconds())
                yield batch
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # some errors have already ended it
                    self._connection.execute("ROLLBACK")
                raise
        self._witness(batch.head)

    def _witness(self, head: LedgerRecord | None) -> None:
        if head is None:
            return
        append_checkpoint(self._path, count=head.seq, head_hash=head.hash)
        self._log.info(
            "ledger_appended", kind=head.kind, record_count=head.seq, head_hash=head.hash.hex()
        )

    def _check_witness(self) -> None:
        heads, _ = read_checkpoints(self._path)  # first: the file only grows meanwhile
        if not heads:
            return
        count = max(heads)
        with one_line_errors(self._path):
            found = next(
                iter_records(self._connection, tail="WHERE seq = ?", values=(count,)), None
            )
        if found is None or found.hash.hex() != heads[count]:
            state = "is missing" if found is None else "is not the one that was written"
            raise LedgerTampered(
                f"ledger: {self._path}: record {count} {state}, as its checkpoint shows; nothing is "
                "carried out on it: run `foresail ledger verify`, then restore it or move both away"
            )


class _Batch:
    """Rows of one open transaction."""

    def __init__(self, connection: sqlite3.Connection, *, timestamp_seconds: float) -> None:
        self._connection = connection
        self._timestamp_seconds = timestamp_seconds
        self.head = read_head(connection)

    def add(self, kind: RecordKind, body: bytes) -> LedgerRecord:
        record = next_record(
            self.head, kind=kind, body=body, timestamp_seconds=self._timestamp_seconds
        )
        self._connection.execute(
            "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?)",
            (
                record.seq,
                record.timestamp_seconds,
                record.kind,
                record.body,
                record.previous_hash,
                record.hash,
            ),
        )
        self.head = record
        return record

    def add_entry(self, entry: JournalEntry) -> None:
        fault = edge_fault(self._latest(entry.effect_id), entry)
        if fault is not None:
            raise LedgerError(f"ledger: {fault}")
        record = self.add(RecordKind.EFFECT, entry_body(entry))
        self._connection.execute(
            "INSERT INTO effect_journal VALUES (?, ?, ?)",
            (record.seq, entry.effect_id, entry.phase.value),
        )

    def _latest(self, effect_id: str) -> JournalEntry | None:
        rows = iter_records(self._connection, tail=_LATEST_OF_ONE, values=(effect_id,))
        record = next(rows, None)
        return decoded_entry(record.body) if record else None
