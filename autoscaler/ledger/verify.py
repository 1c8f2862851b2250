"""Whether a ledger is still what was written.

In: the path of a ledger, which a writer may hold open. Out: a `LedgerReport` with every finding in
one line: a changed byte, a removed or moved row, a cut tail (by the checkpoint), a journal that does
not agree with the chain, a missing trigger. Must not write, and never raises for what it is to find.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from autoscaler.errors import LedgerError
from autoscaler.ledger.chain import GENESIS_HASH, LedgerRecord, RecordKind, chain_fault
from autoscaler.ledger.checkpoint import checkpoint_path, read_checkpoints
from autoscaler.ledger.database import SCHEMA, iter_records, opened_for_reading
from autoscaler.ledger.encoding import decoded_entry

MAX_FINDINGS = 20
"""More lines than this help nobody; the first one is where to look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerReport:
    """What verification found."""

    record_count: int  # rows that could be read
    head_hash: str  # of the last row that could be read, in hex; zeros when there is none
    is_intact: bool
    findings: tuple[str, ...]  # one line each, empty when intact; at most MAX_FINDINGS


def verify_ledger(path: Path) -> LedgerReport:
    """What is wrong with the ledger at `path`. Raises LedgerError only when there is no file."""
    # The checkpoint is read first: a writer appends to it last, so the rows it names exist.
    heads, findings = read_checkpoints(path)
    check = _Check(heads=heads, findings=list(findings))
    if not path.is_file() and heads:
        check.findings.append(f"{path} is gone; its checkpoint knows {max(heads)} records")
        return check.report()
    try:
        with opened_for_reading(path) as connection:
            check.findings.extend(_schema_faults(connection))
            check.walk(connection)
            check.findings.extend(_page_faults(connection))
    except LedgerError as error:
        if not path.is_file():
            raise
        check.findings.append(str(error).removeprefix("ledger: "))
    check.compare_tail(path)
    return check.report()


class _Check:
    """The walk along the chain."""

    def __init__(self, *, heads: Mapping[int, str], findings: list[str]) -> None:
        self.findings = findings
        self._heads = heads
        self._head: LedgerRecord | None = None
        self._count = 0

    def walk(self, connection: sqlite3.Connection) -> None:
        journal = dict[int, tuple[str, str]](
            (seq, (effect_id, phase))
            for seq, effect_id, phase in connection.execute("SELECT * FROM effect_journal")
        )
        for record in iter_records(connection):
            self.findings.extend(self._record_faults(record, journal.pop(record.seq, None)))
            self._head, self._count = record, self._count + 1
        if journal:
            self.findings.append(f"the journal points to record {min(journal)}, which is not there")

    def _record_faults(
        self, record: LedgerRecord, journaled: tuple[str, str] | None
    ) -> Iterator[str]:
        fault = chain_fault(record, head=self._head)
        if fault is not None:
            yield fault
        witnessed = self._heads.get(record.seq)
        if witnessed is not None and witnessed != record.hash.hex():
            yield f"record {record.seq} is not the one its checkpoint knows"
        if fault is None and journaled != _told(record):
            yield f"record {record.seq} and the effect journal do not agree"

    def compare_tail(self, path: Path) -> None:
        last = self._head.seq if self._head else 0
        if self._heads and max(self._heads) > last:
            self.findings.append(
                f"the tail was cut: the checkpoint knows {max(self._heads)} records, the last one "
                f"here is {last}"
            )
        if last and not self._heads:
            self.findings.append(
                f"{checkpoint_path(path)} is missing: a cut tail could not be seen"
            )

    def report(self) -> LedgerReport:
        head_hash = self._head.hash if self._head else GENESIS_HASH
        return LedgerReport(
            record_count=self._count,
            head_hash=head_hash.hex(),
            is_intact=not self.findings,
            findings=tuple(self.findings[:MAX_FINDINGS]),
        )


def _told(record: LedgerRecord) -> tuple[str, str] | None:
    """(effect id, phase) a record's body tells; None for one that is no effect."""
    if record.kind != RecordKind.EFFECT:
        return None
    entry = decoded_entry(record.body)
    return entry.effect_id, entry.phase.value


def _schema_faults(connection: sqlite3.Connection) -> Iterator[str]:
    rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    found = dict(rows.fetchall())
    for name in SCHEMA:
        if found.get(name) != SCHEMA[name]:
            state = "was changed" if name in found else "is missing"
            yield f"the file's `{name}` {state}: rows may have been changed unseen"
    for name in found.keys() - SCHEMA.keys():
        yield f"the file holds `{name}`, which a ledger does not have"


def _page_faults(connection: sqlite3.Connection) -> Iterator[str]:
    for (line,) in connection.execute(f"PRAGMA integrity_check({MAX_FINDINGS})"):
        if line != "ok":
            yield f"the file is damaged: {line}"
