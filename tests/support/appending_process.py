"""A writer of many records, one of several: appending_process.py LEDGER COUNT NAME."""

import sys
from pathlib import Path

from support.execution import make_entry, silent_log

from autoscaler.ledger import Ledger
from autoscaler.model.effect import Phase
from collector.clock import SystemClock
from collector.model.ids import DecisionId, ReplicaId

if __name__ == "__main__":
    path, count, name = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    ledger = Ledger(path, clock=SystemClock(), log=silent_log(), busy_timeout_seconds=30.0)
    for number in range(count):
        ledger.append_entry(
            make_entry(
                Phase.PREPARED,
                decision_id=DecisionId(f"{name}{number}"),
                replica_id=ReplicaId(f"{name}-{number}"),
            )
        )
    ledger.close()
