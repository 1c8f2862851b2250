"""A controller that dies: runs a real runner and a real ledger, and SIGKILLs itself at one append.

    killed_executor.py STATE_DIR STARTS_FILE APPEND (before|after)

Starts one replica, starts a second, stops the first. The appends in their order: 1 decision and
prepared, 2 spawning, 3 spawned, 4 verified, 5 outcome; 6-10 the same again; 11 decision and prepared,
12 draining, 13 terminating, 14 verified.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from autoscaler.actuators.process import ProcessRunner
from autoscaler.ledger import Ledger
from autoscaler.model.decision import Decision
from autoscaler.model.effect import JournalEntry
from autoscaler.model.event import Event
from collector.clock import SystemClock
from collector.model.ids import DecisionId
from support.execution import (
    FIRST,
    FIRST_REPLICA,
    SECOND,
    World,
    base_environment,
    catalogue_of,
    make_decision,
    make_executor,
    scale_in,
    scale_out,
    silent_log,
    small_engine_variant,
)

THIRD = DecisionId("cccccccc33333333")


class KillingJournal:
    """The ledger, with a shot at one append."""

    def __init__(self, ledger: Ledger, *, append: int, is_after: bool) -> None:
        self._ledger = ledger
        self._left = append
        self._is_after = is_after

    def append_decision(self, decision: Decision, *, entries: Sequence[JournalEntry]) -> None:
        with self._shot():
            self._ledger.append_decision(decision, entries=entries)

    def append_entry(self, entry: JournalEntry) -> None:
        with self._shot():
            self._ledger.append_entry(entry)

    def append_outcome(self, event: Event) -> None:
        with self._shot():
            self._ledger.append_outcome(event)

    def latest_entries(self) -> tuple[JournalEntry, ...]:
        return self._ledger.latest_entries()

    @contextmanager
    def _shot(self) -> Iterator[None]:
        self._left -= 1
        if self._left == 0 and not self._is_after:
            os.kill(os.getpid(), signal.SIGKILL)
        yield
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


async def run(state_dir: Path, *, starts_file: str, append: int, is_after: bool) -> None:
    world = World(catalogue=catalogue_of(small_engine_variant("--starts-file", starts_file)))
    ledger = Ledger(state_dir / "ledger.db", clock=SystemClock(), log=silent_log())
    journal = KillingJournal(ledger, append=append, is_after=is_after)
    runner = ProcessRunner(state_dir=state_dir, base_environment=base_environment())
    executor = make_executor(world, journal=journal, runner=runner)
    await executor.recover()
    for decision_id, action in (
        (FIRST, scale_out()),
        (SECOND, scale_out()),
        (THIRD, scale_in(FIRST_REPLICA)),
    ):
        await executor.submit(make_decision(action, decision_id=decision_id), now=0.0)
        await executor.wait_idle()


if __name__ == "__main__":
    asyncio.run(
        run(
            Path(sys.argv[1]),
            starts_file=sys.argv[2],
            append=int(sys.argv[3]),
            is_after=sys.argv[4] == "after",
        )
    )
