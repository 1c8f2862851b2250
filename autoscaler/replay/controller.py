"""The controller's part of a replay: keeps history and state, and asks `decide` once per tick.

In: events and snapshots, in order of time. Out: decisions. The same store and the same function as live
control; beside them it adds nothing.
"""

from collections.abc import Iterable

from autoscaler.decide import decide
from autoscaler.forecast.lead_time import look_back_seconds
from autoscaler.learn import apply_event
from autoscaler.model.decision import Decision
from autoscaler.model.event import Event
from autoscaler.model.state import ControllerState
from autoscaler.remember import with_clock_set
from collector.history.memory import MemoryHistoryStore
from collector.increments import clock_was_set, increments
from collector.model.catalogue import Catalogue
from collector.model.snapshot import Snapshot


class ReplayController:
    """One controller over one catalogue."""

    def __init__(self, catalogue: Catalogue, *, state: ControllerState) -> None:
        self._catalogue = catalogue
        self._state = state
        self._store = MemoryHistoryStore(bin_seconds=15.0, keep_seconds=6 * 3600.0)
        self._previous: Snapshot | None = None
        self._elapsed_seconds = 0.0

    @property
    def state(self) -> ControllerState:
        """Everything learned so far."""
        return self._state

    def apply(self, events: Iterable[Event]) -> None:
        """What happened since the last tick, before the next one."""
        for event in events:
            self._state = apply_event(self._state, event)

    def tick(
        self, snapshot: Snapshot, *, now: float, elapsed_seconds: float
    ) -> tuple[Decision, ...]:
        """One decision per service at `now` (epoch seconds); `elapsed_seconds` since the start of the
        trace, whatever the clock says.
        """
        self._record(snapshot, elapsed_seconds=elapsed_seconds)
        decided = decide(
            snapshot=snapshot,
            history=self._store.history(
                services=tuple(each.name for each in self._catalogue.services),
                window_seconds=look_back_seconds(self._catalogue.control),
                now_timestamp_seconds=now,
            ),
            catalogue=self._catalogue,
            state=self._state,
            now=now,
        )
        self._state = decided.next_state
        return decided.decisions

    def _record(self, snapshot: Snapshot, *, elapsed_seconds: float) -> None:
        before, self._elapsed_seconds = self._elapsed_seconds, elapsed_seconds
        previous, self._previous = self._previous, snapshot
        if previous is None:
            return
        wall = snapshot.taken_timestamp_seconds - previous.taken_timestamp_seconds
        elapsed = elapsed_seconds - before
        if clock_was_set(wall_seconds=wall, elapsed_seconds=elapsed):
            self._store.move(by_seconds=wall - elapsed)
            self._state = with_clock_set(self._state, by_seconds=wall - elapsed)
        else:
            found = increments(previous, snapshot, catalogue=self._catalogue)
            self._store.append(
                start_timestamp_seconds=found.start_timestamp_seconds,
                end_timestamp_seconds=found.end_timestamp_seconds,
                increases=found.increases,
                levels=found.levels,
            )
