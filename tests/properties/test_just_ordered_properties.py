"""Whatever competes: what was just ordered for a service stays, but for a dearer one that is short now."""

from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.plan.allocate import Bid, Budgets
from autoscaler.plan.share import share
from collector.model.ids import PoolName, QuotaName, ServiceName, VariantName

POOLS = (PoolName("p"), PoolName("q"))
LENT = QuotaName("lent")
PRICES = (60.0, 600.0)
SHARES = st.sampled_from([0.0, 1e-6, 0.1, 0.9, 1.0, 2.0])


@st.composite
def services(draw: st.DrawFn, *, name: str, price: float) -> list[Bid]:
    """Replicas that run, the youngest last, then those that are wanted beside them."""
    running, wanted = draw(st.integers(0, 3)), draw(st.integers(0, 2))
    young = draw(st.integers(0, running))
    values = sorted(draw(st.lists(SHARES, min_size=6, max_size=6)), reverse=True)
    size, pool = draw(st.integers(1, 20)), draw(st.sampled_from(POOLS))
    quota = draw(st.sampled_from([None, LENT]))
    is_short = draw(st.booleans())
    return [
        Bid(
            service=ServiceName(name),
            variant=VariantName("v"),
            index=k,
            pool=pool,
            memory_bytes=size,
            value_per_hour=price * values[k],
            is_incumbent=k < running,
            is_young=running - young <= k < running,
            is_required=False,
            quota=quota,
            price_per_hour=price,
            is_short_now=is_short,
        )
        for k in range(running + wanted)
    ]


@st.composite
def contests(draw: st.DrawFn) -> tuple[list[Bid], Budgets]:
    """Several services; what runs fits, and there may be a little more room."""
    prices = draw(st.lists(st.sampled_from(PRICES), min_size=1, max_size=5))
    offered = [
        bid
        for number, price in enumerate(prices)
        for bid in draw(services(name=f"s{number}", price=price))
    ]
    held = Counter({pool: 0 for pool in POOLS})
    for bid in offered:
        held[bid.pool] += bid.memory_bytes * bid.is_incumbent
    lent = sum(bid.is_incumbent for bid in offered if bid.quota == LENT)
    extra = draw(st.integers(0, 30))
    budgets = Budgets(
        pool_bytes={pool: used + extra for pool, used in held.items()},
        quota_replicas={LENT: lent + draw(st.integers(0, 2))},
    )
    return offered, budgets


def lost(offered: list[Bid], *, budgets: Budgets) -> set[str]:
    """Services with a young replica that get fewer than they run."""
    granted = share(offered, budgets=budgets).allocation.replicas
    running = Counter(bid.key for bid in offered if bid.is_incumbent)
    young = {bid.key for bid in offered if bid.is_young}
    return {key[0] for key in young if granted.get(key, 0) < running[key]}


@settings(max_examples=300, deadline=None)
@given(contests())
def test_only_a_dearer_service_that_is_short_now_takes_what_was_just_ordered(
    contest: tuple[list[Bid], Budgets],
) -> None:
    offered, budgets = contest
    dearest = max((b.price_per_hour for b in offered if b.is_short_now), default=0.0)
    price = {bid.service: bid.price_per_hour for bid in offered}
    assert all(price[name] < dearest for name in map(ServiceName, lost(offered, budgets=budgets)))


@settings(max_examples=100, deadline=None)
@given(contests())
def test_among_equals_nothing_is_lost_that_was_just_ordered(
    contest: tuple[list[Bid], Budgets],
) -> None:
    offered, budgets = contest
    equals = [replace(bid, price_per_hour=PRICES[0]) for bid in offered]
    assert lost(equals, budgets=budgets) == set()
