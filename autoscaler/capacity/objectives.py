"""How busy a replica may be for its objectives to hold, from its step times. Pure.

A step of t seconds leaves 1 - floor / t of its time for tokens, so the longest step that the
objectives allow says how much work fits.
"""

import math

from autoscaler.capacity.steps import StepTimes
from collector.model.catalogue import Objective, Sli

TAIL_RATIO = 1.5
"""Slow requests' mean time between tokens over everybody's; prompts of others come unevenly."""
FIRST_TOKEN_STEPS = 4.0
"""Steps a first token takes where there is no queue: the rest of one, its own, and some waiting."""
MAX_USABLE_RATIO = 0.95
MIN_USABLE_RATIO = 0.1


def usable_ratio(times: StepTimes, *, objectives: tuple[Objective, ...]) -> float:
    """Replica-seconds of work per second within the objectives, 0.1..0.95."""
    usable = 1.0 - times.floor_seconds / longest_step_seconds(objectives)
    return min(MAX_USABLE_RATIO, max(MIN_USABLE_RATIO, usable))


def longest_step_seconds(objectives: tuple[Objective, ...]) -> float:
    """The longest that all objectives allow; infinite where none of them says anything about a step."""
    steps = (step for each in objectives if (step := _longest_step(each)) is not None)
    return min(steps, default=math.inf)


def _longest_step(objective: Objective) -> float | None:
    if objective.threshold_seconds is None:
        return None
    match objective.sli:
        case Sli.INTER_TOKEN_LATENCY:
            return objective.threshold_seconds / TAIL_RATIO
        case Sli.TIME_TO_FIRST_TOKEN:
            return objective.threshold_seconds / FIRST_TOKEN_STEPS
        case Sli.END_TO_END_LATENCY | Sli.AVAILABILITY:
            return None  # says nothing about a single step
