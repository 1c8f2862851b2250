"""Binned past of the services' signals: what the history port returns and `decide` reads.

Columnar: per signal float64 arrays of shape (n_services, n_bins) with the seconds each bin is
covered by data beside the values, so that a bin nobody measured is never taken for a quiet one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from collector.model.ids import ServiceName

MAX_PER_SECOND = 1e12
"""No signal of a service reaches it; a nonsensical counter must not turn sums into infinities."""

FloatArray = npt.NDArray[np.float64]


class Signal(StrEnum):
    """Signals that are kept, all per service. Sums for counters, maxima for gauges."""

    ARRIVED_REQUESTS = "arrived_requests"
    COMPLETED_REQUESTS = "completed_requests"
    OVERFLOW_COMPLETED_REQUESTS = "overflow_completed_requests"  # of these, not by our replicas
    FAILED_REQUESTS = "failed_requests"
    ABORTED_REQUESTS = "aborted_requests"
    SHED_REQUESTS = "shed_requests"
    ADMITTED_PROMPT_TOKENS = "admitted_prompt_tokens"
    OUTPUT_TOKENS = "output_tokens"  # of completed requests, when they complete
    ENGINE_OUTPUT_TOKENS = "engine_output_tokens"  # as the engines produce them
    PENDING_REQUESTS = "pending_requests"  # in flight + held; gauge
    # Per objective: events that count for it, and those at or under its threshold. Requests that were
    # shed or failed are judged, and bad, for time to first token and availability.
    TIME_TO_FIRST_TOKEN_GOOD_EVENTS = "time_to_first_token_good_events"  # noqa: S105  not a secret
    TIME_TO_FIRST_TOKEN_JUDGED_EVENTS = "time_to_first_token_judged_events"  # noqa: S105
    INTER_TOKEN_LATENCY_GOOD_EVENTS = "inter_token_latency_good_events"  # noqa: S105
    INTER_TOKEN_LATENCY_JUDGED_EVENTS = "inter_token_latency_judged_events"  # noqa: S105
    END_TO_END_LATENCY_GOOD_EVENTS = "end_to_end_latency_good_events"
    END_TO_END_LATENCY_JUDGED_EVENTS = "end_to_end_latency_judged_events"
    AVAILABILITY_GOOD_EVENTS = "availability_good_events"
    AVAILABILITY_JUDGED_EVENTS = "availability_judged_events"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """One width of bins and how far back it is kept."""

    bin_seconds: float  # > 0
    keep_seconds: float  # >= bin_seconds

    def __post_init__(self) -> None:
        if self.bin_seconds <= 0 or self.keep_seconds < self.bin_seconds:
            raise ValueError(
                "0 < bin_seconds <= keep_seconds must hold, got "
                f"{self.bin_seconds} and {self.keep_seconds}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalBins:
    """One signal. Shapes: all (n_services, n_bins), oldest bin first, the last one still open."""

    sums: FloatArray  # counter: increase within the bin; gauge: sum of value x seconds
    maxima: FloatArray  # largest increase of one step, or largest gauge value
    covered_seconds: FloatArray  # 0..bin_seconds; 0: nothing is known about this bin


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All signals over the same bins."""

    services: tuple[ServiceName, ...]
    bin_seconds: float
    end_timestamp_seconds: float  # end of the last (open) bin
    signals: Mapping[Signal, SignalBins]
    _rows: Mapping[ServiceName, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rows = {name: row for row, name in enumerate(self.services)}
        object.__setattr__(self, "_rows", rows)  # frozen: the one place that may fill it in

    def rates(
        self, signal: Signal, service: ServiceName, *, window_seconds: float
    ) -> tuple[FloatArray, FloatArray]:
        """(rates per second, covered seconds) of the bins that end within the window, oldest first.

        Both of shape (k,), k <= window/bin; rates are at most MAX_PER_SECOND. Bins without cover
        have rate 0 and cover 0: weigh by cover. An unknown service gives empty arrays.
        """
        count = max(1, round(window_seconds / self.bin_seconds))
        bins = self.signals.get(signal)
        row = self._rows.get(service)
        if bins is None or row is None:
            return np.zeros(0), np.zeros(0)
        sums, covered = bins.sums[row, -count:], bins.covered_seconds[row, -count:]
        rates = np.divide(sums, covered, out=np.zeros(sums.shape, sums.dtype), where=covered > 0)
        return np.minimum(rates, MAX_PER_SECOND, out=rates), covered
