"""What the same time of past days foretells: a mean day per service, told as time passes. Pure.

In: a service's demand series and its `DayProfile`. Out: the profile with what was measured since (what
was before the start, `past_days` tells it); and the change that past days saw between now and the lead time, one column of the regression in
`multiscale`. What it is worth there is learned there; this module only says what was.

Days are UTC days of 86,400 s, those of the weekend apart: where the clocks change, or the week ends on
other days, the profile follows within days or says less (docs/adr/0006).
"""

from collections.abc import Callable
from math import ceil, floor
from struct import pack_into, unpack_from
from typing import Final

from autoscaler.forecast.multiscale import ANCHOR, MAX_SURPRISE, SCALE_LEVELS
from autoscaler.model.demand import DemandSeries
from autoscaler.model.state import PROFILE_BINS, PROFILE_PLACES, DayProfile
from collector.model.catalogue import Control

BIN_SECONDS: Final = 86_400.0 / PROFILE_BINS
DELAY_LEVELS: Final = 45.0
"""A bin is told so late that no forecast and no lesson finds its own outcome in the profile."""
MIN_COVER_RATIO: Final = 0.9
LEAST_GAIN: Final = 1.0 - 0.5 ** (1.0 / 3.0)
"""A day counts half after three more of its kind."""
MAX_DAYS: Final = 255
MAX_WORK: Final = 1e30
"""Far above any demand, and still a number in 32 bits."""
FIRST_WEEKDAY: Final = 3
"""The epoch began on a Thursday."""
WORKING_DAYS: Final = 5


def told(
    profile: DayProfile,
    *,
    series: DemandSeries,
    control: Control,
    end_timestamp_seconds: float,
    is_announced: Callable[[float, float], bool],
) -> DayProfile:
    """The profile with all bins that are old enough by now; each counts once.

    `end_timestamp_seconds`: of the series' last bin. `is_announced`: whether an event of the calendar
    touches the time between two timestamps. That time tells nothing, nor does time nobody measured.
    """
    delay_seconds = DELAY_LEVELS * control.level_window_seconds
    until = floor((end_timestamp_seconds - delay_seconds) / BIN_SECONDS)
    if until == profile.next_bin:
        return profile
    start = end_timestamp_seconds - len(series.work) * series.bin_seconds
    first = max(profile.next_bin or 0, ceil(start / BIN_SECONDS))
    work = bytearray(profile.work or 4 * PROFILE_PLACES)
    days = bytearray(profile.days or PROFILE_PLACES)
    for number in range(first, until):  # none after the clock went back: they come again
        begin = number * BIN_SECONDS
        mean = _mean_measured(series, begin_seconds=begin - start)
        if mean is not None and not is_announced(begin, begin + BIN_SECONDS):
            _tell(work, days, at=place(number), mean=mean)
    return DayProfile(work=bytes(work), days=bytes(days), next_bin=until)


def change_ratio(
    profile: DayProfile,
    *,
    asked_timestamp_seconds: float,
    horizon_seconds: float,
    control: Control,
) -> float:
    """What past days added to their demand by the end of the horizon, over it; -1 to MAX_SURPRISE.

    Their demand was the mean over the regression's anchor window. 0, which says nothing, where a part
    of either was never told.
    """
    window_seconds = control.level_window_seconds
    asked, came = asked_timestamp_seconds, asked_timestamp_seconds + horizon_seconds
    then = _mean_told(profile, begin=asked - SCALE_LEVELS[ANCHOR] * window_seconds, end=asked)
    there = _mean_told(profile, begin=came, end=came + window_seconds)
    if then is None or there is None or then <= 0:
        return 0.0
    return min(MAX_SURPRISE, max(-1.0, there / then - 1.0))


def place(number: int) -> int:
    """Where in the profile a bin, counted since the epoch, is told."""
    day, of_day = divmod(number, PROFILE_BINS)
    is_weekend = (day + FIRST_WEEKDAY) % 7 >= WORKING_DAYS
    return PROFILE_BINS * is_weekend + of_day


def _mean_measured(series: DemandSeries, *, begin_seconds: float) -> float | None:
    """Of one bin that begins so long after the series; None where too little of it was measured."""
    first = round(begin_seconds / series.bin_seconds)
    last = round((begin_seconds + BIN_SECONDS) / series.bin_seconds)
    covered = series.covered_seconds[first:last]
    seconds = float(covered.sum())
    if seconds < MIN_COVER_RATIO * BIN_SECONDS:
        return None
    return float((series.work[first:last] * covered).sum()) / seconds


def _tell(work: bytearray, days: bytearray, *, at: int, mean: float) -> None:
    """Moves the place's mean by one more day."""
    (known,) = unpack_from("<f", work, 4 * at)
    gain = max(LEAST_GAIN, 1.0 / (days[at] + 1))
    pack_into("<f", work, 4 * at, known + gain * (min(mean, MAX_WORK) - known))
    days[at] = min(MAX_DAYS, days[at] + 1)


def _mean_told(profile: DayProfile, *, begin: float, end: float) -> float | None:
    """Of all bins that the time touches; None unless each was told."""
    first, last = floor(begin / BIN_SECONDS), ceil(end / BIN_SECONDS)
    if not profile.days or last - first > PROFILE_BINS:
        return None
    total, number = 0.0, first
    while number < last:  # day by day
        stop = min(last, (number // PROFILE_BINS + 1) * PROFILE_BINS)
        part = _sum_told(profile, first=place(number), count=stop - number)
        if part is None:
            return None
        total += part
        number = stop
    return total / (last - first)


def _sum_told(profile: DayProfile, *, first: int, count: int) -> float | None:
    """Of so many places; on a service's first weekend, or in its first week after one, those of the
    other kind of day."""
    for start in (first, (first + PROFILE_BINS) % PROFILE_PLACES):
        if all(profile.days[start : start + count]):
            return float(sum(unpack_from(f"<{count}f", profile.work, 4 * start)))
    return None
