"""Profiles of days, made up: a level, and what differs from it."""

from struct import pack

from autoscaler.forecast.day_profile import BIN_SECONDS
from autoscaler.model.state import PROFILE_BINS, PROFILE_PLACES, DayProfile


def make_profile(
    *, burst_timestamp_seconds: float, factor: float, days: int = 3, work: float = 100.0
) -> DayProfile:
    """The same work all day but for ten minutes from a moment, on working days and weekends alike.

    All of it was looked at already: nothing is told by a decision of that day.
    """
    means = [work] * PROFILE_BINS
    first = int(burst_timestamp_seconds // BIN_SECONDS)
    for number in range(first, first + 5):
        means[number % PROFILE_BINS] = work * factor
    return DayProfile(
        work=pack(f"<{PROFILE_PLACES}f", *means, *means),
        days=bytes([days]) * PROFILE_PLACES,
        next_bin=first + PROFILE_BINS,
    )
