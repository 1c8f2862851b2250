"""What one record is, and the hash that ties it to all before it.

In: kind, time and body bytes. Out: `LedgerRecord`s whose hashes form a chain. Used by `store`,
`reading` and `verify`. Must not open files: the bytes that were stored are what is hashed, so that
nothing is ever re-encoded to be checked.
"""

import hashlib
import struct
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

GENESIS_HASH: Final = bytes(32)
"""What the first record follows."""


class RecordKind(StrEnum):
    """What a record tells."""

    DECISION = "decision"
    EFFECT = "effect"  # one phase in the journal
    OUTCOME = "outcome"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRecord:
    """One row, exactly as stored. `kind` stays text: a later version may know more kinds."""

    seq: int  # 1, 2, 3, … without a gap
    timestamp_seconds: float  # when it was written, by the writer's clock
    kind: str
    body: bytes  # canonical JSON
    previous_hash: bytes  # 32 bytes
    hash: bytes  # 32 bytes


def record_hash(
    *, previous_hash: bytes, seq: int, timestamp_seconds: float, kind: str, body: bytes
) -> bytes:
    """The 32 bytes that seal a record and everything before it.

    Every field is covered, and fields of variable length carry their length, so that no two
    records share an input: sha256(previous | seq | timestamp | len(kind) | kind | body).
    """
    name = kind.encode()
    header = struct.pack(">QdI", seq, timestamp_seconds, len(name))
    return hashlib.sha256(previous_hash + header + name + body).digest()


def next_record(
    head: LedgerRecord | None, *, kind: RecordKind, body: bytes, timestamp_seconds: float
) -> LedgerRecord:
    """The record that follows `head`; the first one of a ledger when that is None."""
    seq = head.seq + 1 if head else 1
    previous = head.hash if head else GENESIS_HASH
    return LedgerRecord(
        seq=seq,
        timestamp_seconds=timestamp_seconds,
        kind=kind.value,
        body=body,
        previous_hash=previous,
        hash=record_hash(
            previous_hash=previous,
            seq=seq,
            timestamp_seconds=timestamp_seconds,
            kind=kind.value,
            body=body,
        ),
    )


def chain_fault(record: LedgerRecord, *, head: LedgerRecord | None) -> str | None:
    """What is wrong with a record as the successor of `head`, in one line; None when it fits."""
    expected_seq = head.seq + 1 if head else 1
    if record.seq != expected_seq:
        return f"record {expected_seq} is missing: record {record.seq} stands in its place"
    if record.previous_hash != (head.hash if head else GENESIS_HASH):
        return f"record {record.seq} does not follow record {record.seq - 1}: the chain is broken"
    sealed = record_hash(
        previous_hash=record.previous_hash,
        seq=record.seq,
        timestamp_seconds=record.timestamp_seconds,
        kind=record.kind,
        body=record.body,
    )
    if sealed != record.hash:
        return f"record {record.seq} ({record.kind}) was changed after it was written"
    return None
