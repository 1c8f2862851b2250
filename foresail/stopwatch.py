"""How the ticks go: count, last success, and the seconds of each step. Fed by the controller."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from autoscaler.series import TickStep
from collector.clock import Clock
from foresail.ports import TickReport


@dataclass(slots=True)
class Stopwatch:
    """Times one tick after another."""

    clock: Clock
    step_seconds: dict[TickStep, float] = field(default_factory=dict)
    _count: int = 0
    _last_success_timestamp_seconds: float | None = None
    _last_success_monotonic_seconds: float | None = None
    _problem: str | None = None

    def begin(self) -> None:
        """Starts a tick."""
        self._count += 1
        self.step_seconds = {}

    @contextmanager
    def step(self, step: TickStep) -> Iterator[None]:
        """Times one step, also when it fails."""
        started = self.clock.monotonic_seconds()
        try:
            yield
        finally:
            self.step_seconds[step] = self.clock.monotonic_seconds() - started

    def end(self, *, problem: str | None) -> None:
        """Ends the tick; None: it succeeded."""
        self._problem = problem
        if problem is None:
            self._last_success_timestamp_seconds = self.clock.timestamp_seconds()
            self._last_success_monotonic_seconds = self.clock.monotonic_seconds()

    def report(self) -> TickReport:
        """For the page and for readiness."""
        succeeded = self._last_success_monotonic_seconds
        age = None if succeeded is None else self.clock.monotonic_seconds() - succeeded
        return TickReport(
            tick_count=self._count,
            last_success_timestamp_seconds=self._last_success_timestamp_seconds,
            last_success_age_seconds=age,
            last_problem=self._problem,
            step_seconds=dict(self.step_seconds),
        )
