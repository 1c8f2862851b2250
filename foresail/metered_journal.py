"""The journal with its metrics and the effects under way: counts what passes, changes nothing.

Wraps any `Journal`. In: what the executor and the controller append. Out: the same to the wrapped
journal, series, and `running`, for the page.
"""

from collections.abc import Sequence

from autoscaler.metrics import ControllerMetrics
from autoscaler.model.decision import Decision
from autoscaler.model.effect import TERMINAL, JournalEntry
from autoscaler.model.event import Event
from autoscaler.ports import Journal


class MeteredJournal:
    """Counts effects and remembers which have not ended."""

    def __init__(self, journal: Journal, *, metrics: ControllerMetrics) -> None:
        self._journal = journal
        self._metrics = metrics
        self._running: dict[str, JournalEntry] = {}

    @property
    def running(self) -> tuple[JournalEntry, ...]:
        """The newest phase of every effect that has not ended."""
        return tuple(self._running.values())

    def append_decision(self, decision: Decision, *, entries: Sequence[JournalEntry]) -> None:
        """As the wrapped journal; first entries count as begun effects."""
        self._journal.append_decision(decision, entries=entries)
        for entry in entries:
            self._note(entry)

    def append_entry(self, entry: JournalEntry) -> None:
        """As the wrapped journal."""
        self._journal.append_entry(entry)
        self._note(entry)

    def append_outcome(self, event: Event) -> None:
        """As the wrapped journal."""
        self._journal.append_outcome(event)

    def latest_entries(self) -> tuple[JournalEntry, ...]:
        """As the wrapped journal; what is found open counts as running from now on."""
        entries = self._journal.latest_entries()
        self._running.update(
            {entry.effect_id: entry for entry in entries if entry.phase not in TERMINAL}
        )
        return entries

    def _note(self, entry: JournalEntry) -> None:
        self._metrics.record_effect(entry)
        if entry.phase in TERMINAL:
            self._running.pop(entry.effect_id, None)
        else:
            self._running[entry.effect_id] = entry
