"""What a Prometheus that scrapes vLLM knows of one service: arrivals per bin, lengths per hour.

In: a `RangeReader`, the contract's names, a stretch of time. Out: `BinnedDemand`. Arrivals are requests
that ended plus the change of those in the engines, as completions alone hide demand. Raises
ConfigurationError where the history is not there, SourceError where it cannot be read.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from autoscaler.replay.workload import FloatArray
from collector.errors import ConfigurationError, TransientSourceError
from collector.model.contract import Contract, EngineSignal
from collector.ports import RangeReader, RangeSeries
from foresail.backtest.binned import MIN_MEASURED_RATIO, BinnedDemand, LengthHistogram

SERVICE_LABEL: Final = "model_name"
BIN_SECONDS: Final = (60.0, 300.0)
"""The finest that scrapes are dense enough for is used: two scrapes in each bin."""
STRETCH_SECONDS: Final = 3600.0
SERIES: Final = "$series"
"""Stands in a query for the name, of which there may be several spellings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A stretch of the past."""

    start_timestamp_seconds: float
    end_timestamp_seconds: float

    def aligned(self, step_seconds: float) -> "Window":
        """The whole steps within it."""
        start = math.ceil(self.start_timestamp_seconds / step_seconds) * step_seconds
        end = math.floor(self.end_timestamp_seconds / step_seconds) * step_seconds
        return Window(start_timestamp_seconds=start, end_timestamp_seconds=max(start, end))

    def newest(self, seconds: float) -> "Window":
        """The last part of it, no longer than so many seconds."""
        start = max(self.start_timestamp_seconds, self.end_timestamp_seconds - seconds)
        return Window(
            start_timestamp_seconds=start, end_timestamp_seconds=self.end_timestamp_seconds
        )

    def steps(self, step_seconds: float) -> int:
        """How many steps it has."""
        return round((self.end_timestamp_seconds - self.start_timestamp_seconds) / step_seconds)


class HistoryReader:
    """Asks for one window."""

    def __init__(self, reader: RangeReader, *, contract: Contract, window: Window) -> None:
        self._reader = reader
        self._contract = contract
        self._window = window.aligned(STRETCH_SECONDS)
        if not self._window.steps(STRETCH_SECONDS):
            raise ConfigurationError("--since is less than two hours; ask for more, such as 14d")

    def service(self, asked: str | None) -> str:
        """The one to read: the one asked for, or the only one there is."""
        selected = self._either(
            EngineSignal.FINISHED_REQUESTS_TOTAL, f"group by ({SERVICE_LABEL}) ({SERIES})"
        )
        series = self._series(selected, step_seconds=STRETCH_SECONDS)
        names = sorted({each.labels.get(SERVICE_LABEL, "") for each in series} - {""})
        listed = ", ".join(names) or "none"
        if asked is not None and names and asked not in names:
            raise ConfigurationError(
                f"--service {asked}: Prometheus has no {self._contract.title} of that {SERVICE_LABEL} in this "
                f"time; found: {listed}"
            )
        if not names:
            raise ConfigurationError(
                f"Prometheus has no series of {self._contract.title} in this time; give one that scrapes it, or a "
                "longer --since"
            )
        if asked is None and len(names) != 1:
            raise ConfigurationError(
                f"Prometheus has {len(names)} services of {self._contract.title} in this time; say one with "
                f"--service: {listed}"
            )
        return asked or names[0]

    def demand(self, service: str) -> BinnedDemand:
        """Everything about one service."""
        matcher = f'{{{SERVICE_LABEL}="{escaped(service)}"}}'
        bin_seconds, arrivals, is_measured = self._arrivals(matcher)
        return BinnedDemand(
            bin_seconds=bin_seconds,
            arrivals=arrivals,
            is_measured=is_measured,
            stretch_seconds=STRETCH_SECONDS,
            prompt=self._lengths(EngineSignal.REQUEST_PROMPT_TOKENS, matcher),
            output=self._lengths(EngineSignal.REQUEST_OUTPUT_TOKENS, matcher),
        )

    def _arrivals(self, matcher: str) -> tuple[float, FloatArray, "np.typing.NDArray[np.bool_]"]:
        best = 0.0
        for width in BIN_SECONDS:
            query = f"sum(increase({SERIES}{matcher}[{width:g}s]))"
            ended = self._values(EngineSignal.FINISHED_REQUESTS_TOTAL, query, step_seconds=width)
            is_measured = np.isfinite(ended)
            best = max(best, float(is_measured.mean()))
            if best >= MIN_MEASURED_RATIO:
                change = self._in_flight_change(matcher, step_seconds=width)
                return width, np.nan_to_num(ended) + change, is_measured
        raise ConfigurationError(
            f"Prometheus has only {best:.0%} of this time, and {MIN_MEASURED_RATIO:.0%} are needed; ask "
            "for a shorter --since"
        )

    def _in_flight_change(self, matcher: str, *, step_seconds: float) -> FloatArray:
        """Of requests in the engines over each bin; 0 where either end is unknown."""
        total = np.zeros(self._window.steps(step_seconds))
        for signal in (EngineSignal.RUNNING_REQUESTS, EngineSignal.WAITING_REQUESTS):
            level = self._values(signal, f"sum({SERIES}{matcher})", step_seconds=step_seconds)
            total += np.nan_to_num(np.diff(level, prepend=np.nan))
        return total

    def _lengths(self, signal: EngineSignal, matcher: str) -> tuple[LengthHistogram | None, ...]:
        window = f"[{STRETCH_SECONDS:g}s]"
        step = STRETCH_SECONDS
        buckets = self._either(signal, f"sum by (le) (increase({SERIES}_bucket{matcher}{window}))")
        columns = _by_edge(self._series(buckets, step_seconds=step), self._placed)
        sums = self._values(
            signal, f"sum(increase({SERIES}_sum{matcher}{window}))", step_seconds=step
        )
        if not columns:
            raise ConfigurationError(
                f"Prometheus has no histogram {self._names(signal)[0]} of this service; lengths of requests "
                "are drawn from it"
            )
        return tuple(
            _histogram({edge: values[place] for edge, values in columns.items()}, total=sums[place])
            for place in range(self._window.steps(step))
        )

    def _values(self, signal: EngineSignal, query: str, *, step_seconds: float) -> FloatArray:
        """(n_steps,) of a query that gives one series; NaN where it tells nothing."""
        series = self._series(self._either(signal, query), step_seconds=step_seconds)
        found = np.full(self._window.steps(step_seconds), np.nan)
        for each in series:
            placed = self._placed(each, step_seconds)
            found = np.where(np.isfinite(placed), placed, found)
        return found

    def _placed(self, series: RangeSeries, step_seconds: float) -> FloatArray:
        """(n_steps,): a step is what the query says at its end."""
        found = np.full(self._window.steps(step_seconds), np.nan)
        for at, value in series.points:
            place = round((at - self._window.start_timestamp_seconds) / step_seconds) - 1
            if 0 <= place < len(found):
                found[place] = value
        return found

    def _series(self, query: str, *, step_seconds: float) -> Sequence[RangeSeries]:
        answer = self._reader.read_range(
            query,
            start_timestamp_seconds=self._window.start_timestamp_seconds + step_seconds,
            end_timestamp_seconds=self._window.end_timestamp_seconds,
            step_seconds=step_seconds,
        )
        if answer.errors:
            raise TransientSourceError(
                f"{answer.errors[0]}; --prometheus takes a Prometheus that runs"
            )
        return answer.series

    def _either(self, signal: EngineSignal, query: str) -> str:
        """The query for whichever spelling of the series is there."""
        return " or ".join(query.replace(SERIES, name) for name in self._names(signal))

    def _names(self, signal: EngineSignal) -> tuple[str, ...]:
        names = (name for source in self._contract.rules[signal].sources for name in source.names)
        return tuple(dict.fromkeys(names))


def _by_edge(
    series: Sequence[RangeSeries], placed: Callable[[RangeSeries, float], FloatArray]
) -> dict[float, FloatArray]:
    """{upper edge: cumulative counts per stretch}, rising."""
    found = {
        float(each.labels["le"]): placed(each, STRETCH_SECONDS)
        for each in series
        if "le" in each.labels
    }
    return dict(sorted(found.items()))


def _histogram(cumulative: Mapping[float, float], *, total: float) -> LengthHistogram | None:
    """Of one stretch; None where nothing ended in it or a bucket is unknown."""
    upper = np.array(list(cumulative))
    reached = np.array(list(cumulative.values()))
    if not np.isfinite(reached).all() or reached[-1] <= 0:
        return None
    # Increases are estimates, one by one: a bucket may seem to hold less than the one below it.
    counts = np.maximum(0.0, np.diff(np.maximum.accumulate(reached), prepend=0.0))
    mean = float(total / reached[-1]) if np.isfinite(total) and total > 0 else None
    return LengthHistogram(upper_tokens=upper, counts=counts, mean_tokens=mean)


def escaped(value: str) -> str:
    """As the value of a label stands in a query."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
