"""Which knob value a peer gets: the cheapest that holds the target on the tuning days.

In: scores of every value on those days. Out: the value. Pure; knows no policy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from autoscaler.replay.score import Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """The choice."""

    knob: float | None
    reached_target: bool | None  # on the tuning days; None: nothing was tuned


def tuned(scores: Mapping[float | None, Sequence[Score]], *, target_ratio: float) -> Tuned:
    """The cheapest value whose mean attainment reaches the target; the best attaining if none does.

    Between equals the cheaper, then the first. `scores` must not be empty.
    """
    means = {
        knob: (fmean(s.attainment_ratio for s in each), fmean(s.gpu_hours for s in each))
        for knob, each in scores.items()
    }
    good = [knob for knob, (attainment, _) in means.items() if attainment >= target_ratio]
    if good:
        return Tuned(knob=min(good, key=lambda knob: means[knob][1]), reached_target=True)
    best = min(means, key=lambda knob: (-means[knob][0], means[knob][1]))
    return Tuned(knob=best, reached_target=False)
