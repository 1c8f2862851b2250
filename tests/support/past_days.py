"""A past as a `PastReader` tells it, made up: demand by the time of day, with gaps and failures."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from collector.model.history import History, Signal, SignalBins
from collector.model.ids import ServiceName
from collector.ports import PastAnswer

BIN_SECONDS = 60.0
PROMPT_TOKENS = 100.0
"""Of every request."""

Rate = Callable[[float], float | None]
"""Requests per second at a moment; None: not measured."""


@dataclass
class FakePast:
    """Minutes of services whose requests are all alike."""

    rates: Mapping[str, Rate]
    output_tokens: Callable[[float], float] = lambda _: 0.0  # per request, at a moment
    fails_before_timestamp_seconds: float = 0.0
    error: str = "it is gone"
    gate: threading.Event = field(default_factory=threading.Event)  # answers wait for it
    asked: list[tuple[float, float]] = field(default_factory=list)  # (begin, end)
    on_read: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.gate.set()

    def read_past(
        self,
        *,
        services: Sequence[ServiceName],
        begin_timestamp_seconds: float,
        end_timestamp_seconds: float,
        now_timestamp_seconds: float,
    ) -> PastAnswer:
        self.asked.append((begin_timestamp_seconds, end_timestamp_seconds))
        self.on_read()
        assert self.gate.wait(10.0)
        starts = np.arange(begin_timestamp_seconds, end_timestamp_seconds, BIN_SECONDS)
        failed = begin_timestamp_seconds < self.fails_before_timestamp_seconds
        return PastAnswer(
            history=History(
                services=tuple(services),
                bin_seconds=BIN_SECONDS,
                end_timestamp_seconds=end_timestamp_seconds,
                signals=self._signals(services, starts=starts.tolist()),
            ),
            errors=(self.error,) if failed else (),
        )

    def _signals(
        self, services: Sequence[ServiceName], *, starts: list[float]
    ) -> dict[Signal, SignalBins]:
        found = [[self.rates[name](each) for each in starts] for name in services]
        covered = np.array([[0.0 if r is None else BIN_SECONDS for r in row] for row in found])
        requests = np.array([[(r or 0.0) * BIN_SECONDS for r in row] for row in found])
        output = np.array([self.output_tokens(each) for each in starts])
        sums = {
            Signal.ARRIVED_REQUESTS: requests,
            Signal.COMPLETED_REQUESTS: requests,
            Signal.ADMITTED_PROMPT_TOKENS: PROMPT_TOKENS * requests,
            Signal.OUTPUT_TOKENS: output * requests,
        }
        nothing = np.zeros_like(covered)
        return {
            signal: SignalBins(
                sums=sums.get(signal, nothing),
                maxima=nothing,
                covered_seconds=covered if signal in sums else nothing,
            )
            for signal in Signal
        }
