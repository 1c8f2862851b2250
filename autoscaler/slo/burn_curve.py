"""How fast each objective's budget burns at which load, learned from what happened. Pure.

The load is the work asked for over what the serving replicas sustain. Where an objective begins to be
missed no formula tells: long prompts that arrive together miss a tight time to first token at a third
of the load at which an engine is busy. In: the events of one look and the load they happened at. Out:
per objective bad over allowed events as a curve over the load that never falls. For `headroom`.
"""

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

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

Counts = npt.NDArray[np.float32]


def with_look(
    curve: BurnCurve, events: Events | None, *, objectives: tuple[Objective, ...], load: float
) -> BurnCurve:
    """The curve with the events of one look at that load, older ones fading; unchanged without any."""
    if events is None or not objectives or events.seconds > MAX_LOOK_SECONDS:
        return curve
    keep = 0.5 ** (events.seconds / HALF_LIFE_SECONDS)
    bad, judged = counts(curve, objectives=objectives)
    bad, judged = bad * np.float32(keep), judged * np.float32(keep)
    place = min(LOAD_BINS - 1, int(max(load, 0.0) / LOAD_STEP))
    bad[:, place] += np.minimum(events.bad, MAX_EVENTS)
    judged[:, place] += np.minimum(events.judged, MAX_EVENTS)
    return replace(curve, key=_key(objectives), bad=_packed(bad), judged=_packed(judged))


def counts(curve: BurnCurve, *, objectives: tuple[Objective, ...]) -> tuple[Counts, Counts]:
    """(bad, judged) events per objective and bin, shapes (n_objectives, LOAD_BINS); none where other
    objectives were watched."""
    shape = (len(objectives), LOAD_BINS)
    if curve.key != _key(objectives):
        return np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
    return _unpacked(curve.bad, shape), _unpacked(curve.judged, shape)


def burn_by_load(
    curve: BurnCurve, *, objectives: tuple[Objective, ...]
) -> tuple[tuple[float, ...], ...]:
    """Burn rate per objective and bin; each rises with the load, the prior filling what was not seen."""
    bad, judged = counts(curve, objectives=objectives)
    return tuple(
        _rising(bad[index].tolist(), judged[index].tolist(), allowed=1.0 - each.target_ratio)
        for index, each in enumerate(objectives)
    )


def burn_rates(curve: BurnCurve, *, objectives: tuple[Objective, ...]) -> tuple[float, ...]:
    """Per objective at whatever load, over the memory of the curve; 1 while nothing was judged."""
    bad, judged = counts(curve, objectives=objectives)
    seen = (judged.sum(axis=1) * [1.0 - each.target_ratio for each in objectives]).tolist()
    missed = bad.sum(axis=1).tolist()
    return tuple(b / a if a > 0 else 1.0 for b, a in zip(missed, seen, strict=True))


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


def burn_at(burns: tuple[float, ...], load: float) -> float:
    """The curve at one load, straight between the middles of bins."""
    place = load / LOAD_STEP - 0.5
    if place <= 0:
        return burns[0]
    left = int(place)
    if left >= LOAD_BINS - 1:
        return burns[-1]
    return burns[left] + (burns[left + 1] - burns[left]) * (place - left)


def _key(objectives: tuple[Objective, ...]) -> str:
    return ";".join(f"{each.sli.value}<={each.threshold_seconds}" for each in objectives)


def _packed(values: Counts) -> bytes:
    return values.astype("<f4").tobytes()


def _unpacked(text: bytes, shape: tuple[int, int]) -> Counts:
    values = np.frombuffer(text, dtype="<f4").reshape(shape).astype(np.float32)
    return np.clip(np.nan_to_num(values, nan=0.0), 0.0, MAX_EVENTS)
