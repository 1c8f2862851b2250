"""What overflows have cost, out of the gateway's counters. Pure.

In: a service's view, the state of its overflow. Out: the state with what was spent since the last look.
Before `overflow`, which closes what has spent its limit.
"""

import math
from dataclasses import replace

from autoscaler.model.overflow import OverflowState, Spending
from collector.model.catalogue import Overflow
from collector.model.reading import fresh_value
from collector.model.snapshot import ServiceView

HOUR_SECONDS = 3600.0
MINUTE_SECONDS = 60.0


def with_spending(
    state: OverflowState, *, view: ServiceView | None, overflow: Overflow, now: float
) -> OverflowState:
    """The state after this look. Counters that are not told are forgotten as totals, never taken for 0.

    A counter below its last total began anew. Without a last total all of it counts as spent now: when
    it was, nobody knows, and a limit must not be passed for that.
    """
    traffic = view.traffic if view else None
    prompt = fresh_value(traffic.overflow_prompt_tokens_total) if traffic else None
    output = fresh_value(traffic.overflow_output_tokens_total) if traffic else None
    if prompt is None or output is None:
        return replace(state, spending=_of_last_hour(state.spending, now=now), is_counted=False)
    cost = overflow.cost(
        prompt_tokens=_increase(state.prompt_tokens_total, prompt),
        output_tokens=_increase(state.output_tokens_total, output),
    )
    return replace(
        state,
        prompt_tokens_total=prompt,
        output_tokens_total=output,
        is_counted=True,
        spending=_added(_of_last_hour(state.spending, now=now), cost=cost, now=now),
    )


def spent_last_hour(state: OverflowState, *, now: float) -> float | None:
    """Money spent in the hour before `now`; None when the gateway did not say at the last look."""
    if not state.is_counted:
        return None
    return math.fsum(each.cost for each in _of_last_hour(state.spending, now=now))


def _increase(before: float | None, now: float) -> float:
    return max(0.0, now if before is None or now < before else now - before)


def _of_last_hour(spending: tuple[Spending, ...], *, now: float) -> tuple[Spending, ...]:
    """What was spent ahead of `now`, before the clock went back, stays. An entry is of the whole minute
    that began with it, and goes when all of that is an hour ago."""
    kept = HOUR_SECONDS + MINUTE_SECONDS
    return tuple(each for each in spending if now - each.timestamp_seconds < kept)


def _added(spending: tuple[Spending, ...], *, cost: float, now: float) -> tuple[Spending, ...]:
    if cost <= 0:
        return spending
    if spending and abs(now - spending[-1].timestamp_seconds) < MINUTE_SECONDS:
        last = spending[-1]
        return (*spending[:-1], replace(last, cost=last.cost + cost))
    return (*spending, Spending(timestamp_seconds=now, cost=cost))
