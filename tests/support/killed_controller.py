"""A real controller that kills itself at one append of its journal: SIGKILL, before or after it.

killed_controller.py SETTINGS NUMBER before|after
"""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from autoscaler.model.decision import Decision
from autoscaler.model.effect import JournalEntry
from autoscaler.model.event import Event
from autoscaler.ports import Journal
from foresail.settings import read_settings
from foresail.wiring.control import run_controller_process


class DeadlyJournal:
    """Passes everything on; at the given append of an effect the process is gone."""

    def __init__(self, journal: Journal, *, number: int, moment: str) -> None:
        self._journal = journal
        self._left = number
        self._moment = moment

    def append_decision(self, decision: Decision, *, entries: Sequence[JournalEntry]) -> None:
        if entries:
            self._meet("before")
        self._journal.append_decision(decision, entries=entries)
        if entries:
            self._meet("after")

    def append_entry(self, entry: JournalEntry) -> None:
        self._meet("before")
        self._journal.append_entry(entry)
        self._meet("after")

    def append_outcome(self, event: Event) -> None:
        self._meet("before")
        self._journal.append_outcome(event)
        self._meet("after")

    def latest_entries(self) -> tuple[JournalEntry, ...]:
        return self._journal.latest_entries()

    def _meet(self, moment: str) -> None:
        if moment != self._moment:
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    path, number, moment = sys.argv[1:]
    run_controller_process(
        read_settings(Path(path), {}),
        journal=lambda it: DeadlyJournal(it, number=int(number), moment=moment),
    )
