"""How fast each objective's budget burns at which load, learned from what happened. Pure.

The load is the work asked for over what the serving replicas sustain. Where an objective begins to be
missed no formula tells: long prompts that arrive together miss a tight time to first token at a third
of the load at which an engine is busy. In: the events of one look and the load they happened at. Out:
per objective bad over allowed events as a curve over the load that never falls. For `headroom`.
"""

from dataclasses import replace
from functools import lru_cache
from struct import Struct
from typing import Final

from autoscaler.model.state import LOAD_BINS, BurnCurve
from autoscaler.slo.budget import Events
from collector.model.catalogue import Objective

LOAD_STEP: Final = 0.1
"""Width of a bin of the load; the last one holds all that is above."""
HALF_LIFE_SECONDS: Final = 2 * 86400.0
PRIOR_EVENTS: Final = 2.0
"""Allowed events that a bin's prior is worth: 200 requests at a target of 99 %."""
PRIOR_MISS_RATIO: Final = (0.0,) * 8 + (0.005, 0.03, 0.1, 0.3) + (0.6,) * 4
"""Before anything was seen: all is well up to eight tenths of what replicas sustain."""
MAX_LOOK_SECONDS: Final = 120.0
"""What happened over a longer time did not happen at the load of now."""

MAX_EVENTS: Final = 1e15
"""More than any service answers in days, and far from the end of 32-bit floats."""

Counts = list[list[float]]
"""Per objective, per bin."""
_ROW: Final = Struct(f"<{LOAD_BINS}f")


def with_look(
    curve: BurnCurve, events: Events | None, *, objectives: tuple[Objective, ...], load: float
) -> BurnCurve:
    """The curve with the events of one look at that load, older ones fading; unchanged without any."""
    if events is None or not objectives or events.seconds > MAX_LOOK_SECONDS:
        return curve
    keep = 0.5 ** (events.seconds / HALF_LIFE_SECONDS)
    place = min(LOAD_BINS - 1, int(max(load, 0.0) / LOAD_STEP))
    bad, judged = counts(curve, objectives=objectives)
    return replace(
        curve,
        key=_key(objectives),
        bad=_counted(bad, events.bad, keep=keep, place=place),
        judged=_counted(judged, events.judged, keep=keep, place=place),
    )


def _counted(counted: Counts, new: tuple[float, ...], *, keep: float, place: int) -> bytes:
    rows = []
    for row, events in zip(counted, new, strict=True):
        faded = [each * keep for each in row]
        faded[place] += min(events, MAX_EVENTS)
        rows.append(_ROW.pack(*faded))
    return b"".join(rows)


def counts(curve: BurnCurve, *, objectives: tuple[Objective, ...]) -> tuple[Counts, Counts]:
    """(bad, judged) events per objective and bin; none where other objectives were watched."""
    if curve.key != _key(objectives):
        none = [[0.0] * LOAD_BINS for _ in objectives]
        return none, none
    return _rows(curve.bad), _rows(curve.judged)


def _rows(text: bytes) -> Counts:
    """What is no number, or none that can be, is nothing: a damaged memory must not spread."""
    return [
        [each if 0.0 <= each <= MAX_EVENTS else 0.0 for each in row]
        for row in _ROW.iter_unpack(text)
    ]


def burns(curve: BurnCurve, *, objectives: tuple[Objective, ...]) -> tuple[tuple[float, ...], ...]:
    """Per objective bad over allowed events by bin of the load, rising; the prior fills what was not
    seen."""
    bad, judged = counts(curve, objectives=objectives)
    rows = zip(bad, judged, objectives, strict=True)
    return tuple(
        _rising(missed, seen, allowed=1.0 - each.target_ratio) for missed, seen, each in rows
    )


def _rising(bad: list[float], judged: list[float], *, allowed: float) -> tuple[float, ...]:
    """Isotonic regression: neighbours that fall are pooled, weighted by allowed events."""
    pools: list[tuple[float, float, int]] = []  # bad events, allowed ones, bins
    for missed, seen, prior in zip(bad, judged, PRIOR_MISS_RATIO, strict=True):
        pool = (missed + PRIOR_EVENTS * prior / allowed, seen * allowed + PRIOR_EVENTS, 1)
        while pools and pools[-1][0] * pool[1] > pool[0] * pools[-1][1]:
            before = pools.pop()
            pool = (before[0] + pool[0], before[1] + pool[1], before[2] + pool[2])
        pools.append(pool)
    return tuple(rate for missed, seen, bins in pools for rate in (missed / seen,) * bins)


def burn_at(by_load: tuple[float, ...], load: float) -> float:
    """The curve at one load, straight between the middles of bins."""
    place = load / LOAD_STEP - 0.5
    if place <= 0:
        return by_load[0]
    left = int(place)
    if left >= LOAD_BINS - 1:
        return by_load[-1]
    return by_load[left] + (by_load[left + 1] - by_load[left]) * (place - left)


@lru_cache(maxsize=4096)
def _key(objectives: tuple[Objective, ...]) -> str:
    return ";".join(f"{each.sli.value}<={each.threshold_seconds}" for each in objectives)
