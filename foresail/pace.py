"""When the next tick is due and whether it decides. A value object around a clock; no waiting here."""

from dataclasses import dataclass

MIN_WAKE_SPACING_SECONDS = 0.2
"""Wakes closer together than this share one decision: a burst of held requests is one fact."""


@dataclass(slots=True)
class Pace:
    """Times of the next observation and the next decision, on the monotonic clock."""

    ingest_interval_seconds: float
    decide_interval_seconds: float
    next_ingest_monotonic_seconds: float = 0.0
    next_decide_monotonic_seconds: float = 0.0
    last_decide_monotonic_seconds: float = float("-inf")

    def wait_seconds(self, now: float) -> float:
        """Until something is due; 0 when it already is."""
        due = min(self.next_ingest_monotonic_seconds, self.next_decide_monotonic_seconds)
        return max(0.0, due - now)

    def is_decision_due(self, now: float) -> bool:
        """Whether the tick that begins now decides."""
        return now >= self.next_decide_monotonic_seconds

    def wake(self, now: float) -> None:
        """Brings the next decision forward to now, but not right behind the last one."""
        earliest = self.last_decide_monotonic_seconds + MIN_WAKE_SPACING_SECONDS
        self.next_decide_monotonic_seconds = min(
            self.next_decide_monotonic_seconds, max(now, earliest)
        )

    def ticked(self, now: float, *, decided: bool) -> None:
        """Plans the next ones; a tick that took too long is not made up for."""
        self.next_ingest_monotonic_seconds = now + self.ingest_interval_seconds
        if decided:
            self.last_decide_monotonic_seconds = now
            self.next_decide_monotonic_seconds = now + self.decide_interval_seconds
