"""Whatever variants there are: a mix moves for its price, gets cheaper by it, and comes to rest."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.model.action import Reason
from autoscaler.plan.cheaper import LEAST_SAVING_RATIO
from autoscaler.plan.mix import carried
from support.plan_loop import PlanLoop, variant_of

NAMES = ("one", "two", "three")
SETTLING_TICKS = 60  # two and a half hours
noises = st.lists(st.floats(0.97, 1.03), min_size=40, max_size=40)


@st.composite
def loops(draw: st.DrawFn) -> PlanLoop:
    names = NAMES[: draw(st.integers(2, 3))]
    variants = [
        (
            variant_of(
                name,
                cost=draw(st.sampled_from([0.0, 0.3, 1.0, 1.5, 3.0, 8.0])),
                is_spot=draw(st.booleans()),
                min_replicas=draw(st.sampled_from([0, 0, 1])),
                max_replicas=draw(st.sampled_from([2, 30])),
            ),
            draw(st.sampled_from([0.5, 1.0, 2.0, 4.0, 7.0])),
        )
        for name in names
    ]
    counts = {
        each.name: max(each.min_replicas, min(draw(st.integers(0, 12)), each.max_replicas))
        for each, _ in variants
    }
    return PlanLoop(variants, counts)


rates = st.sampled_from([0.2, 0.8, 2.5, 5.0, 11.0])


@settings(max_examples=25, deadline=None)
@given(loops(), rates)
def test_under_flat_demand_every_move_for_its_price_pays_and_they_end(
    loop: PlanLoop, rate: float
) -> None:
    before: list[float] = []
    for _ in range(SETTLING_TICKS):
        cost = loop.cost_per_hour
        if loop.tick(rate).reason is Reason.CHEAPER_MIX:
            before.append(cost)
    for dear, cheap in pairwise([*before, loop.cost_per_hour] if before else []):
        assert cheap <= dear * (1.0 - LEAST_SAVING_RATIO) + 1e-9
    loop.changes.clear()
    for _ in range(20):
        loop.tick(rate)
    assert loop.changes == []


@settings(max_examples=25, deadline=None)
@given(loops(), rates, noises)
def test_demand_that_sways_moves_no_mix_back_and_forth(
    loop: PlanLoop, rate: float, noise: list[float]
) -> None:
    for _ in range(SETTLING_TICKS):
        loop.tick(rate)
    loop.changes.clear()
    for factor in noise:
        loop.tick(rate * factor)
    for_price = [action for _, reason, action in loop.changes if reason is Reason.CHEAPER_MIX]
    assert len(for_price) <= 1


@settings(max_examples=25, deadline=None)
@given(loops(), rates, noises)
def test_a_mix_that_was_enough_stays_enough_while_it_moves(
    loop: PlanLoop, rate: float, noise: list[float]
) -> None:
    was_enough = False
    for factor in noise:
        need = loop.tick(rate * factor).intent.need
        assert need.wanted is not None
        counts = tuple(loop.counts[fleet.variant.name] for fleet in loop.fleets)
        is_enough = carried(counts, parts=need.parts) >= need.wanted.replicas - 1e-9
        assert is_enough or not was_enough or need.is_capped
        was_enough = is_enough
