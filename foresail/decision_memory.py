"""The last decisions, in memory, for whoever looks at the page.

In: the decisions of each tick. Out: the newest first, all of them or only those that say something
new. Used by the controller behind `ControllerView.decisions`. Must not grow without bound, and is no
record: that is the ledger.
"""

from collections import deque
from collections.abc import Iterable

from autoscaler.model.action import Action, Reason
from autoscaler.model.decision import Decision, Verdict
from collector.model.ids import ServiceName

MAX_DECISIONS = 2000
"""Of each kind. With three services and 15 s ticks: the last three hours of every decision."""


class DecisionMemory:
    """A bounded memory of decisions and, apart from it, of changes, which holds never push out."""

    def __init__(self, *, max_count: int = MAX_DECISIONS) -> None:
        self._all = deque[Decision](maxlen=max_count)
        self._changes = deque[Decision](maxlen=max_count)
        self._last_said: dict[ServiceName, tuple[Action, Reason, Verdict]] = {}

    def add(self, decisions: Iterable[Decision]) -> None:
        """Remembers the decisions of one tick, in the order given."""
        for decision in decisions:
            self._all.append(decision)
            says = (decision.action, decision.reason, decision.verdict)
            if self._last_said.get(decision.service) != says:
                self._changes.append(decision)
            self._last_said[decision.service] = says

    def newest(
        self, *, last_count: int, service: ServiceName | None, changes_only: bool
    ) -> tuple[Decision, ...]:
        """Up to `last_count` decisions, newest first; of every service when `service` is None."""
        found: list[Decision] = []
        for decision in reversed(self._changes if changes_only else self._all):
            if len(found) >= last_count:
                break
            if service is None or decision.service == service:
                found.append(decision)
        return tuple(found)
