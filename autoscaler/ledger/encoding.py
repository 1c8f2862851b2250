"""Canonical JSON of what is recorded, and back.

In: decisions, journal entries, events. Out: the bytes that are stored and hashed: keys sorted, no
spaces, UTF-8, no NaN. Used by `store` and `verify`. Must not be used to check a hash: the stored
bytes are.
"""

import json
from functools import cache
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from autoscaler.errors import LedgerError
from autoscaler.model.decision import Decision
from autoscaler.model.effect import JournalEntry
from autoscaler.model.event import Event

T = TypeVar("T")


def decision_body(decision: Decision) -> bytes:
    """The bytes of a decision row."""
    return _canonical(_decisions().dump_python(decision, mode="json"))


def entry_body(entry: JournalEntry) -> bytes:
    """The bytes of an effect row."""
    return _canonical(_entries().dump_python(entry, mode="json"))


def event_body(event: Event) -> bytes:
    """The bytes of an outcome row."""
    return _canonical(_events().dump_python(event, mode="json"))


def decoded_entry(body: bytes) -> JournalEntry:
    """The journal entry of an effect row. Raises LedgerError for bytes that are none."""
    return _decoded(body, adapter=_entries(), what="an effect")


def decoded_decision(body: bytes) -> Decision:
    """The decision of a decision row. Raises LedgerError for bytes that are none."""
    return _decoded(body, adapter=_decisions(), what="a decision")


def _decoded(body: bytes, *, adapter: TypeAdapter[T], what: str) -> T:
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        first = error.errors()[0]
        raise LedgerError(
            f"ledger: {what} record cannot be read: {first['msg']} at {first['loc']}; it was "
            "written by another version, or changed: run `foresail ledger verify`"
        ) from error


def _canonical(value: object) -> bytes:
    try:
        text = json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
        return text.encode()
    except ValueError as error:  # NaN, an infinity, half of a surrogate pair
        raise LedgerError(f"ledger: a value cannot be recorded: {error}") from error


# Adapters take milliseconds to build, and nothing may be built at import: made at first use.
@cache
def _decisions() -> TypeAdapter[Decision]:
    return TypeAdapter(Decision)


@cache
def _entries() -> TypeAdapter[JournalEntry]:
    return TypeAdapter(JournalEntry)


@cache
def _events() -> TypeAdapter[Event]:
    return TypeAdapter(Event)
