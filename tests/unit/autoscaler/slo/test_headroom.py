"""The margin over the forecast follows what misses cost at which load."""

import pytest

from autoscaler.model.demand import factor_at
from autoscaler.slo.headroom import allowed_burn, headroom_factor

FIVE = (0.6, 0.8, 1.0, 1.25, 1.5)
USUAL = factor_at(FIVE, 1.5)
LEAST = factor_at(FIVE, -0.5)
CLEAN = (0.0,) * 16


def cliff(place: int, *, burn: float = 50.0, before: float = 0.0) -> tuple[float, ...]:
    """Well up to a load, then overspent."""
    return (before,) * place + (burn,) * (16 - place)


@pytest.mark.parametrize(
    ("burn_rate", "watched_ratio", "allowed"),
    [
        pytest.param(1.0, 1.0, 1.0, id="spends-exactly-its-budget"),
        pytest.param(0.0, 1.0, 1.0, id="savings-are-not-spent"),
        pytest.param(2.0, 1.0, 0.6155722, id="overspent"),
        pytest.param(2.0, 0.5, 0.7845840, id="half-known-counts-half"),
        pytest.param(2.0, 0.0, 1.0, id="a-bad-first-moment-is-no-bad-service"),
        pytest.param(1e9, 1.0, 1 / 3, id="burns-without-bound"),
    ],
)
def test_less_is_allowed_while_the_budget_is_overspent(
    burn_rate: float, watched_ratio: float, allowed: float
) -> None:
    assert allowed_burn(burn_rate, watched_ratio=watched_ratio) == pytest.approx(allowed)


def test_without_objectives_the_p93_is_provided_for() -> None:
    assert headroom_factor(FIVE, limits=()) == USUAL


def test_of_no_demand_there_is_no_margin() -> None:
    assert headroom_factor((0.0,) * 5, limits=((cliff(9), 1.0),)) == 0.0


@pytest.mark.parametrize(
    ("curve", "factor"),
    [
        pytest.param(CLEAN, LEAST, id="never-missed"),
        # Only the slice at the P97.5, 1.73 times the forecast, burns 50 x 0.05 = 2.5: it must stay where
        # the straight line from 0 at 0.85 to 50 at 0.95 has not risen above 20.
        pytest.param(cliff(9), 1.94, id="missed-where-replicas-are-full"),
        pytest.param(cliff(4), 4.5, id="missed-at-a-third-of-that"),
        pytest.param(cliff(9, before=0.5), 2.0, id="half-spent-on-what-happens-anyway"),
    ],
)
def test_the_least_margin_that_keeps_the_budget(curve: tuple[float, ...], factor: float) -> None:
    found = headroom_factor(FIVE, limits=((curve, 1.0),))
    assert found == pytest.approx(factor, rel=0.03)


@pytest.mark.parametrize("burn", [2.0, 100.0])
def test_what_no_replica_cures_is_not_fought(burn: float) -> None:
    """Errors burn at any load."""
    assert headroom_factor(FIVE, limits=(((burn,) * 16, 1.0),)) <= USUAL


def test_what_is_hardly_cured_is_brought_near_the_best() -> None:
    found = headroom_factor(FIVE, limits=((cliff(6, burn=20.0, before=4.0), 1.0),))
    assert USUAL < found < 3.0 * USUAL


def test_the_objective_that_needs_most_decides() -> None:
    tight, loose = cliff(4), cliff(9)
    both = headroom_factor(FIVE, limits=((loose, 1.0), (tight, 1.0)))
    assert both == headroom_factor(FIVE, limits=((tight, 1.0),))
