"""What goes wrong in a replay, as data: which fault, from when to when. Pure.

Written by tests and backtests into `Conditions`; asked by the fleet about starts and by the lookout about
what can be seen. Times are seconds since the start of the trace. It must not act: it only answers.
"""

from dataclasses import dataclass
from enum import StrEnum


class SeriesFault(StrEnum):
    """What is wrong with the series that are read."""

    NONE = "none"
    TWICE = "twice"  # everything is told twice, in the same words
    CONTRADICTING = "contradicting"  # told twice with different values: normalise refuses both


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of the trace, [start, end)."""

    start_seconds: float
    end_seconds: float

    def __post_init__(self) -> None:
        if not 0 <= self.start_seconds < self.end_seconds:
            raise ValueError(
                f"a fault from {self.start_seconds} s to {self.end_seconds} s is no stretch of "
                "time; give a start of 0 or more and a later end"
            )

    def holds(self, at_seconds: float) -> bool:
        """Whether that moment lies within it."""
        return self.start_seconds <= at_seconds < self.end_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowStarts:
    """Starts ordered within the span take `factor` times as long."""

    span: Span
    factor: float

    def __post_init__(self) -> None:
        if not 0 < self.factor < float("inf"):
            raise ValueError(
                f"factor is {self.factor}; give a number above 0, or a stuck start instead"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatedSeries:
    """All series of the service and its replicas are told twice within the span."""

    span: Span
    kind: SeriesFault = SeriesFault.TWICE


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowReplica:
    """The oldest ready replica's steps take `factor` times as long from then on; none ready: nothing."""

    at_seconds: float
    factor: float

    def __post_init__(self) -> None:
        if not 0 < self.factor < float("inf"):
            raise ValueError(f"factor is {self.factor}; give a number above 0, or a death instead")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockJump:
    """The host's clock is set forward (above 0) or back, and stays so."""

    at_seconds: float
    by_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """All of one replay. Without any, everything works."""

    metric_outages: tuple[Span, ...] = ()  # nothing is read; who was started is still known
    stuck_starts: tuple[Span, ...] = ()  # ordered within: never ready, until the start times out
    slow_starts: tuple[SlowStarts, ...] = ()
    repeated_series: tuple[RepeatedSeries, ...] = ()
    clock_jumps: tuple[ClockJump, ...] = ()
    deaths_seconds: tuple[float, ...] = ()  # the oldest ready replica dies, if there is one
    slow_replicas: tuple[SlowReplica, ...] = ()

    def start_factor(self, ordered_seconds: float) -> float:
        """How many times its usual length a start ordered then takes; infinity: it never ends."""
        if any(span.holds(ordered_seconds) for span in self.stuck_starts):
            return float("inf")
        factors = [each.factor for each in self.slow_starts if each.span.holds(ordered_seconds)]
        return max(factors, default=1.0)

    def is_dark(self, at_seconds: float) -> bool:
        """Whether no metric can be read."""
        return any(span.holds(at_seconds) for span in self.metric_outages)

    def series_fault(self, at_seconds: float) -> SeriesFault:
        """What is wrong with the series that are read then; the first one declared counts."""
        found = (each.kind for each in self.repeated_series if each.span.holds(at_seconds))
        return next(found, SeriesFault.NONE)

    def clock_seconds(self, at_seconds: float) -> float:
        """What the host's clock shows, as seconds since the start of the trace."""
        passed = (each.by_seconds for each in self.clock_jumps if each.at_seconds <= at_seconds)
        return at_seconds + sum(passed)
