"""One of several writers: appending_process.py LEDGER DECISIONS NAME.

Each decision is appended with three effects, four records in one transaction.
"""

import sys
from pathlib import Path

from autoscaler.ledger import Ledger
from autoscaler.model.effect import JournalEntry, Phase
from collector.clock import SystemClock
from collector.model.ids import DecisionId, ReplicaId
from support.execution import make_decision, make_entry, scale_out, silent_log


def prepared(decision_id: DecisionId, number: int) -> JournalEntry:
    return make_entry(
        Phase.PREPARED,
        decision_id=decision_id,
        effect_id=f"{decision_id}/{number}",
        replica_id=ReplicaId(f"chat-{decision_id}-{number}"),
    )


def append_decisions(path: Path, *, count: int, name: str) -> None:
    ledger = Ledger(path, clock=SystemClock(), log=silent_log(), busy_timeout_seconds=30.0)
    for serial in range(count):
        decision_id = DecisionId(f"{name}{serial}")
        decision = make_decision(scale_out(replicas=3), decision_id=decision_id)
        entries = tuple(prepared(decision_id, number) for number in (1, 2, 3))
        ledger.append_decision(decision, entries=entries)
    ledger.close()


if __name__ == "__main__":
    append_decisions(Path(sys.argv[1]), count=int(sys.argv[2]), name=sys.argv[3])
