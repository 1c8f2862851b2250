"""Past days out of a history that was there before this controller: a profile is told all of them at once. Pure.

In: a service's demand series from before, its calendar, its `DayProfile`. Out: the profile as
`day_profile.told` would have left it, had it been there. Used once per service after a start
(`foresail.past_reading`). It must not read anything, nor touch the state: `learn.apply_event` does.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from autoscaler.forecast.day_profile import (
    BIN_SECONDS,
    DELAY_LEVELS,
    LEAST_GAIN,
    MAX_DAYS,
    MAX_WORK,
    MIN_COVER_RATIO,
    place,
)
from autoscaler.forecast.occurrences import occurrences
from autoscaler.model.demand import DemandSeries
from autoscaler.model.state import PROFILE_BINS, PROFILE_PLACES, DayProfile
from collector.model.catalogue import Control, Service
from collector.model.history import FloatArray

PAST_DAYS: Final = 14
"""How far back history is asked: of a kind of day, those before count for less than a fifth (LEAST_GAIN), or
are a third weekend."""
DAY_SECONDS: Final = 86_400.0
MAX_GAP_SECONDS: Final = DAY_SECONDS
"""A shorter one is let be: every place of the profile was told a day before or after it."""
STEP_SECONDS: Final = 600.0
"""What is asked of history begins and ends at multiples of it, where bins of every kept width do."""

WorkArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class PastWanted:
    """What a profile lacks."""

    base: DayProfile  # what is to be told
    begin_timestamp_seconds: float  # a multiple of STEP_SECONDS, as is the end of all


def past_end(control: Control, *, now: float) -> float:
    """Up to when history tells profiles, epoch seconds; what comes after it is told as time passes."""
    told_late = DELAY_LEVELS * control.level_window_seconds
    return math.floor((now - told_late) / STEP_SECONDS) * STEP_SECONDS


def past_wanted(profile: DayProfile, *, end_timestamp_seconds: float) -> PastWanted | None:
    """The time before `end_timestamp_seconds` (see `past_end`) that history is to be asked for.

    All of it for a profile that was told less than a day; what was missed, for one that was not told for
    more than a day; None for any other.
    """
    oldest = max(0.0, end_timestamp_seconds - PAST_DAYS * DAY_SECONDS)
    if end_timestamp_seconds <= oldest:
        return None  # a clock that was never set
    if profile.next_bin is None or _told_count(profile) < PROFILE_BINS:
        return PastWanted(base=DayProfile(), begin_timestamp_seconds=oldest)
    told_until = profile.next_bin * BIN_SECONDS
    if end_timestamp_seconds - told_until <= MAX_GAP_SECONDS:
        return None
    begin = math.floor(told_until / STEP_SECONDS) * STEP_SECONDS
    return PastWanted(base=profile, begin_timestamp_seconds=max(oldest, begin))


def work_by_bin(series: DemandSeries) -> FloatArray:
    """Mean work in each bin of the profile, oldest first; NaN where too little of it was measured.

    The series begins and ends where such bins do; its own may be wider, and then tell several alike.
    """
    piece = math.gcd(round(series.bin_seconds), round(BIN_SECONDS))
    parts = round(series.bin_seconds / piece)
    covered = np.repeat(series.covered_seconds / parts, parts)
    shape = (-1, round(BIN_SECONDS / piece))
    seconds = covered.reshape(shape).sum(axis=1)
    sums = (np.repeat(series.work, parts) * covered).reshape(shape).sum(axis=1)
    means: FloatArray = np.divide(
        sums,
        seconds,
        out=np.full(len(seconds), np.nan),
        where=seconds >= MIN_COVER_RATIO * BIN_SECONDS,
    )
    return np.minimum(means, MAX_WORK)


def told_past(
    base: DayProfile, *, service: Service, first_bin: int, work: WorkArray | FloatArray
) -> DayProfile:
    """The profile with every bin from `first_bin` on (counted since the epoch), day by day, oldest first.

    `work`: as of `work_by_bin`. What `base` was told already tells nothing, nor does what was not
    measured or is touched by an event of the service's calendar.
    """
    end = first_bin + len(work)
    begin = max(first_bin, base.next_bin or 0)
    tells = np.isfinite(work) & ~_announced(service, first_bin=first_bin, count=len(work))
    means = np.frombuffer(base.work or bytes(4 * PROFILE_PLACES), dtype="<f4").copy()
    days = np.frombuffer(base.days or bytes(PROFILE_PLACES), dtype=np.uint8).copy()
    while begin < end:
        stop = min(end, (begin // PROFILE_BINS + 1) * PROFILE_BINS)
        part = slice(begin - first_bin, stop - first_bin)
        at = slice(place(begin), place(begin) + stop - begin)
        _tell_day(means[at], days[at], work=work[part], tells=tells[part])
        begin = stop
    return DayProfile(work=means.tobytes(), days=days.tobytes(), next_bin=end)


def measured_days(work: WorkArray | FloatArray) -> float:
    """How long all bins that were measured are together, in days."""
    return np.count_nonzero(np.isfinite(work)) / PROFILE_BINS


def was_told_more(profile: DayProfile, *, than: DayProfile) -> bool:
    """Whether more bins have told it."""
    return _told_count(profile) > _told_count(than)


def _told_count(profile: DayProfile) -> int:
    return int(np.frombuffer(profile.days, dtype=np.uint8).sum())


def _tell_day(
    means: WorkArray,
    days: npt.NDArray[np.uint8],
    *,
    work: WorkArray | FloatArray,
    tells: npt.NDArray[np.bool_],
) -> None:
    """Moves the places' means, which are changed, by one more day."""
    known = means[tells].astype(np.float64)
    gain = np.maximum(LEAST_GAIN, 1.0 / (days[tells] + 1.0))
    means[tells] = known + gain * (work[tells] - known)
    days[tells] = np.minimum(MAX_DAYS, days[tells].astype(np.int64) + 1)


def _announced(service: Service, *, first_bin: int, count: int) -> npt.NDArray[np.bool_]:
    """(count,) which bins an event of the calendar touches."""
    begins = (first_bin + np.arange(count)) * BIN_SECONDS
    found = np.zeros(count, dtype=np.bool_)
    if not service.calendar or not count:
        return found
    for each in occurrences(
        service.calendar, begin=float(begins[0]), end=float(begins[-1]) + BIN_SECONDS
    ):
        is_after = begins + BIN_SECONDS >= each.begin_timestamp_seconds
        found |= is_after & (begins <= each.end_timestamp_seconds)
    return found
