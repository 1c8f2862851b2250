"""One reading of the days before the start: history in, profiles out. Blocks, so it runs in a worker thread.

In: services whose `DayProfile` lacks days, a `PastReader`, a limit of time. Out: their profiles, told, and
what could not be read. Newest days first, all services together, so that a fleet for which time is too
short has the last days of every service. It must not touch the controller's state.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Final

import numpy as np

from autoscaler.capacity.token_costs import output_weight
from autoscaler.forecast.day_profile import BIN_SECONDS
from autoscaler.forecast.demand import demand_series, mean_lengths
from autoscaler.forecast.past_days import (
    DAY_SECONDS,
    STEP_SECONDS,
    PastWanted,
    WorkArray,
    measured_days,
    told_past,
    work_by_bin,
)
from autoscaler.model.state import ControllerState, DayProfile, ServiceState
from collector.clock import Clock
from collector.model.catalogue import Service
from collector.model.history import History
from collector.model.ids import ServiceName
from collector.ports import PastReader

LIMIT_SECONDS: Final = 120.0
"""Of one reading. Bins that are told meanwhile come again for a quarter of an hour (`learn.apply_event`)."""
MOST_SERVICE_MINUTES: Final = 150_000
"""Read at once: 60 MB of bins where they are a minute wide."""
LEAD_SECONDS: Final = STEP_SECONDS
"""Read before each piece and left out: output tokens are counted from what changed since."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """One service that lacks days."""

    service: Service
    wanted: PastWanted


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRead:
    """What one reading gave."""

    profiles: Mapping[ServiceName, DayProfile]  # of those that something was found for
    days: Mapping[ServiceName, float]  # of all: how much was measured
    read_seconds: float  # of the past, back from its end
    wanted_seconds: float
    error: str | None = None  # why not all of it, in one line


class PastReading:
    """Reads for some services at one moment."""

    def __init__(
        self,
        reader: PastReader,
        *,
        wishes: Sequence[Wish],
        state: ControllerState,
        end_timestamp_seconds: float,
        clock: Clock,
    ) -> None:
        """`state` says what an output token is worth. `end_timestamp_seconds`: see `past_end`."""
        self._reader = reader
        self._wishes = wishes
        self._clock = clock
        self._end = end_timestamp_seconds
        self._begin = min(each.wanted.begin_timestamp_seconds for each in wishes)
        self._names = tuple(each.service.name for each in wishes)
        self._weights = [output_weight(each.service, state=state) for each in wishes]
        self._known = [state.service(name) for name in self._names]
        self._first_bin = round(self._begin / BIN_SECONDS)
        self._work: WorkArray = np.zeros((0, 0), dtype=np.float32)  # until `read`
        self._is_stopped = False

    def stop(self) -> None:
        """Ends it before its next piece; may be called from another thread."""
        self._is_stopped = True

    def read(self) -> PastRead:
        """Reads until all is read, the time is up, or something cannot be read."""
        bins = round((self._end - self._begin) / BIN_SECONDS)
        self._work = np.full((len(self._wishes), bins), np.nan, dtype=np.float32)
        deadline = self._clock.monotonic_seconds() + LIMIT_SECONDS
        begin, error = self._end, None
        for piece_begin, piece_end in self._pieces():
            error = self._why_no_more(deadline) or self._read_piece(piece_begin, piece_end)
            if error is not None:
                break
            begin = piece_begin
        return self._told(read_seconds=self._end - begin, error=error)

    def _why_no_more(self, deadline_monotonic_seconds: float) -> str | None:
        if self._is_stopped:
            return "the controller ends"
        if self._clock.monotonic_seconds() >= deadline_monotonic_seconds:
            return f"the {LIMIT_SECONDS:.0f} s for it were over"
        return None

    def _pieces(self) -> Iterator[tuple[float, float]]:
        """(begin, end), newest first; none reaches over midnight, since files are of a day."""
        length = _piece_seconds(len(self._wishes))
        end = self._end
        while end > self._begin:
            begin = max(self._begin, (-(-end // length) - 1) * length)
            yield begin, end
            end = begin

    def _read_piece(self, begin: float, end: float) -> str | None:
        """Takes the work of every service over; what was wrong, if anything was."""
        answer = self._reader.read_past(
            services=self._names,
            begin_timestamp_seconds=begin - LEAD_SECONDS,
            end_timestamp_seconds=end,
            now_timestamp_seconds=self._clock.timestamp_seconds(),
        )
        if answer.errors:
            return answer.errors[0]
        first = round(begin / BIN_SECONDS) - self._first_bin
        count, left_out = round((end - begin) / BIN_SECONDS), round(LEAD_SECONDS / BIN_SECONDS)
        for row in range(len(self._wishes)):
            work = self._work_of(row, history=answer.history, seconds=end - begin + LEAD_SECONDS)
            self._work[row, first : first + count] = work[left_out:]
        return None

    def _work_of(self, row: int, *, history: History, seconds: float) -> "WorkArray":
        """Of one service, in the bins of the profile.

        All of the past is counted with one mean length, the newest that is known: shapes of days are
        compared, and those that differ in that alone must not differ.
        """
        name = self._names[row]
        known = self._known[row]
        if known.output_tokens_per_request is None:
            prompt, output = mean_lengths(
                history,
                service=name,
                window_seconds=seconds - LEAD_SECONDS,
                state=ServiceState(),
            )
            known = replace(
                known, prompt_tokens_per_request=prompt, output_tokens_per_request=output
            )
            self._known[row] = known
        series = demand_series(
            history,
            service=name,
            state=known,
            window_seconds=seconds,
            output_weight=self._weights[row],
        )
        return work_by_bin(series).astype(np.float32)

    def _told(self, *, read_seconds: float, error: str | None) -> PastRead:
        days = {
            name: measured_days(work) for name, work in zip(self._names, self._work, strict=True)
        }
        profiles = {
            wish.service.name: told_past(
                wish.wanted.base, service=wish.service, first_bin=self._first_bin, work=work
            )
            for wish, work in zip(self._wishes, self._work, strict=True)
            if days[wish.service.name]
        }
        return PastRead(
            profiles=profiles,
            days=days,
            read_seconds=read_seconds,
            wanted_seconds=self._end - self._begin,
            error=error,
        )


def _piece_seconds(service_count: int) -> float:
    """A day, or as many whole parts of it as keep a piece small; at least ten minutes."""
    most = 60.0 * MOST_SERVICE_MINUTES / service_count
    parts = (1, 2, 4, 6, 8, 12, 24, 48, 72, 144)
    too_long = takewhile(lambda each: DAY_SECONDS / each > most, parts)
    return DAY_SECONDS / parts[min(len(list(too_long)), len(parts) - 1)]
