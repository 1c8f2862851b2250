"""How much margin a service is given, from how fast it spends its error budget. Pure.

In: the long-run burn rate. Out: a deviate of the demand forecast, in standard deviations: above 0
more than the median demand is provided for, below 0 less. Each service should end its window at its
objective: unspent budget is money, overspent budget is a broken promise.
"""

import math

INITIAL_DEVIATES = 1.5
"""Before anything was judged: about the P93 of demand."""
MIN_DEVIATES = -0.5
MAX_DEVIATES = 3.0
DEVIATES_PER_DOUBLING = 0.4
"""Change per doubling of the burn rate. A margin that follows every bad hour is wide after it and
narrow before it: at equal attainment a steady one is cheaper."""
LEAST_BURN = 1.0 / 64.0


def headroom_deviates(burn_rate: float | None, *, watched_ratio: float) -> float:
    """Where in its forecast a service is sized; rises with the burn rate, within bounds.

    `watched_ratio` (0..1): how much the burn rate is worth; at 0 the initial margin stays.
    """
    if burn_rate is None:
        return INITIAL_DEVIATES
    doublings = math.log2(max(burn_rate, LEAST_BURN))
    wanted = NEUTRAL_DEVIATES + DEVIATES_PER_DOUBLING * doublings
    wanted = min(MAX_DEVIATES, max(MIN_DEVIATES, wanted))
    return INITIAL_DEVIATES + watched_ratio * (wanted - INITIAL_DEVIATES)


NEUTRAL_DEVIATES = 1.75
"""At a burn rate of 1: what is spent is what is allowed."""
