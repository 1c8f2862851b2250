"""How much more than the point forecast a service is sized for, so that its budgets just last. Pure.

In: the scenarios of the forecast, how fast budgets burn at which load, and how fast they burned over
days. Out: a factor on the point forecast, the least with which the expected burn is what is allowed.
Unspent budget is money, overspent budget is a broken promise. For `size`.
"""

import math
from collections.abc import Sequence
from typing import Final

from autoscaler.model.demand import factor_at
from autoscaler.slo.burn_curve import burn_at

UNJUDGED_DEVIATES: Final = 1.5
"""Without objectives: about the P93 of demand."""
MIN_DEVIATES: Final = -0.5
MAX_STRETCH: Final = 3.0
"""Times the P93. What that many replicas do not cure, still more will not."""
ACCEPTED_RATIO: Final = 0.25
"""Above the least burn that replicas can bring it to: nearer to that, each costs more than it cures."""
OUTCOMES: Final = (
    (-1.525, 0.1587), (-0.460, 0.3413), (0.327, 0.2486), (0.950, 0.1511), (1.446, 0.0498), (1.960, 0.0505),
)  # fmt: skip
"""(deviate, share) of slices of a normal distribution with cuts at -1, 0, 0.67, 1.28 and 1.645. The last
stands at the P97.5 and not at its mean: what lies beyond is rarer than forecasts can say, and dear."""
HALVINGS: Final = 7
NO_DEMAND: Final = 1e-9
"""Times the point forecast: nothing that a load could be told of."""
TIGHTENING: Final = 0.7
"""Power of the burn over days by which less is allowed. Savings are not spent: the curve has them."""
LEAST_ALLOWED: Final = 1.0 / 3.0


def allowed_burn(burn_rate: float, *, watched_ratio: float) -> float:
    """The burn to size for, 1/3 to 1: less while a budget is overspent over days.

    `watched_ratio` (0..1): how much `burn_rate` is worth by now.
    """
    overspent = max(burn_rate, 1.0)
    return float(max(LEAST_ALLOWED, overspent ** -(TIGHTENING * watched_ratio)))


def headroom_factor(
    factors: tuple[float, ...],
    *,
    limits: Sequence[tuple[tuple[float, ...], float]],
) -> float:
    """What the point forecast is multiplied with; at least 0, and 0 only where no demand is foreseen at all.

    `factors`: scenarios over the point forecast, rising, of equal weight. `limits`, per
    objective: how fast its budget burns by load, and the burn to size for. Loads are counted as if the sized
    demand were all that replicas sustain; the target utilisation is kept free on top of it.
    """
    usual = factor_at(factors, UNJUDGED_DEVIATES)
    if not limits or usual < NO_DEMAND:
        return usual
    outcomes = [(factor_at(factors, deviate), share) for deviate, share in OUTCOMES]
    least = factor_at(factors, MIN_DEVIATES)
    return max(
        _least_factor(outcomes, by_load=by_load, allowed=allowed, usual=usual, least=least)
        for by_load, allowed in limits
    )


def _least_factor(
    outcomes: list[tuple[float, float]],
    *,
    by_load: tuple[float, ...],
    allowed: float,
    usual: float,
    least: float,
) -> float:
    """For one objective. What no replica cures is not fought: errors burn at any load."""

    def expected(factor: float) -> float:
        burn = 0.0
        for demand, share in outcomes:
            burn += share * burn_at(by_load, demand / factor)
        return burn

    high = MAX_STRETCH * usual
    low = max(least, high / 64.0)
    allowed = max(allowed, (1.0 + ACCEPTED_RATIO) * expected(high))
    for _ in range(HALVINGS):
        middle = math.sqrt(low * high)
        if expected(middle) <= allowed:
            high = middle
        else:
            low = middle
    return high
