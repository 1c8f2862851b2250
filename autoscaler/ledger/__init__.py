"""The append-only, hash-chained record of decisions, effects and outcomes.

`store.Ledger` is the adapter of the `Journal` port; `verify.verify_ledger` and `reading.read_records`
look at a file while a writer lives. Rows are never changed: what is wrong is answered by a new row.
"""

from autoscaler.ledger.chain import LedgerRecord, RecordKind
from autoscaler.ledger.encoding import decoded_decision, decoded_entry
from autoscaler.ledger.reading import read_records
from autoscaler.ledger.store import Ledger
from autoscaler.ledger.verify import LedgerReport, verify_ledger

__all__ = [
    "Ledger",
    "LedgerRecord",
    "LedgerReport",
    "RecordKind",
    "decoded_decision",
    "decoded_entry",
    "read_records",
    "verify_ledger",
]
