"""The best use of memory for replicas of different sizes, against greedy and against trying all."""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.plan.allocate import Allocation, Bid, Budgets, Key, allocate, rank
from autoscaler.plan.allocate_exactly import MAX_BIDS, Inexact, allocate_exactly, worth
from autoscaler.plan.share import MAX_EXACT_BIDS, Effort, share
from collector.model.ids import PoolName, QuotaName, ServiceName, VariantName
from support.builders import BOX

LENT = QuotaName("lent")
OTHER = PoolName("other")


def bid(service: str, *, index: int = 0, **fields: Any) -> Bid:
    given: dict[str, Any] = {
        "variant": VariantName("v"),
        "pool": BOX,
        "memory_bytes": 10,
        "value_per_hour": 1.0,
        "is_incumbent": False,
        "is_young": False,
        "is_required": False,
        **fields,
    }
    return Bid(service=ServiceName(service), index=index, **given)


def hard(pool: str, *, count: int = 60) -> list[Bid]:
    """Nearly equal values per byte, in sizes that fit together badly: no proof within MAX_NODES."""
    rng = np.random.default_rng(1)
    sizes = [int(each) * 7919 for each in rng.integers(1000, 2000, count)]
    values = [size * float(f) for size, f in zip(sizes, rng.uniform(1.0, 1.01, count), strict=True)]
    return [
        bid(f"{pool}-{n}", pool=PoolName(pool), memory_bytes=size, value_per_hour=value)
        for n, (size, value) in enumerate(zip(sizes, values, strict=True))
    ]


def test_after_a_search_without_proof_nothing_more_is_searched_in_the_tick() -> None:
    offered = [*hard("one"), *hard("two")]
    budgets = Budgets(
        pool_bytes={
            PoolName(name): sum(b.memory_bytes for b in hard(name)) // 2 for name in ("one", "two")
        }
    )
    effort = Effort()
    inexact = share(offered, budgets=budgets, effort=effort).inexact
    assert (effort.has_failed, effort.left_bids) == (True, MAX_EXACT_BIDS - 60)
    assert set(inexact) == {each.service for each in offered}
    assert set(inexact.values()) == {Inexact.NO_PROOF}


def granted(allocation: Allocation) -> dict[str, int]:
    return {service: count for (service, _), count in sorted(allocation.replicas.items())}


LARGE_AND_SMALL = (
    bid("a", value_per_hour=3.0, memory_bytes=20),
    bid("b", value_per_hour=2.0, memory_bytes=10),
)


def test_one_large_replica_may_be_worth_more_than_a_small_one_of_better_value_per_byte() -> None:
    budgets = Budgets(pool_bytes={BOX: 20})
    assert granted(allocate(LARGE_AND_SMALL, budgets=budgets)) == {"b": 1}
    assert granted(share(LARGE_AND_SMALL, budgets=budgets).allocation) == {"a": 1}


@pytest.mark.parametrize(
    ("bids", "budget", "expected"),
    [
        pytest.param(
            (
                bid("a", value_per_hour=3.0, memory_bytes=20),
                bid("b", value_per_hour=2.5, is_incumbent=True),
            ),
            20,
            {"b": 1},
            id="what-runs-is-worth-more",
        ),
        pytest.param(
            (
                bid("a", value_per_hour=9.0, memory_bytes=20),
                bid("b", value_per_hour=0.0, is_required=True),
            ),
            20,
            {"b": 1},
            id="required-before-valuable",
        ),
        pytest.param(
            (
                bid("a", value_per_hour=9.0, memory_bytes=20),
                bid("b", value_per_hour=0.0, is_incumbent=True),
                bid("c", value_per_hour=1.0, memory_bytes=30),
            ),
            35,
            {"a": 1, "b": 1},
            id="what-is-worth-nothing-stays-where-there-is-room",
        ),
    ],
)
def test_bonuses_requirements_and_order_hold(
    bids: tuple[Bid, ...], budget: int, expected: dict[str, int]
) -> None:
    found = allocate_exactly(bids, budgets=Budgets(pool_bytes={BOX: budget}))
    assert isinstance(found, Allocation)
    assert granted(found) == expected


def test_too_many_bids_are_shared_greedily_and_it_is_said() -> None:
    bids = [bid(f"s{i:03}", memory_bytes=10 + i % 3) for i in range(MAX_BIDS + 1)]
    budgets = Budgets(pool_bytes={BOX: 500})
    assert allocate_exactly(bids, budgets=budgets) is Inexact.TOO_MANY_BIDS
    found = share(bids, budgets=budgets)
    assert found.allocation == allocate(bids, budgets=budgets)
    assert found.inexact == {each.service: Inexact.TOO_MANY_BIDS for each in bids}


def test_without_scipy_memory_is_shared_greedily_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    found = share(LARGE_AND_SMALL, budgets=Budgets(pool_bytes={BOX: 20}))
    assert granted(found.allocation) == {"b": 1}
    assert found.inexact == {
        ServiceName("a"): Inexact.NO_SOLVER,
        ServiceName("b"): Inexact.NO_SOLVER,
    }


def test_nothing_is_searched_where_all_fit_or_are_of_one_size() -> None:
    many = [bid(f"s{i:03}") for i in range(MAX_BIDS + 1)]
    for pool_bytes in (10_000, 500):
        found = share(many, budgets=Budgets(pool_bytes={BOX: pool_bytes}))
        assert found.inexact == {}


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[Bid], Budgets]:
    bids: list[Bid] = []
    for service in ("a", "b", "c"):
        size, quota = draw(st.integers(1, 12)), draw(st.sampled_from([None, LENT]))
        pool = draw(st.sampled_from([BOX, OTHER]))
        values = sorted(draw(st.lists(st.integers(0, 9), max_size=3)), reverse=True)
        runs = draw(st.integers(0, len(values)))
        must = draw(st.integers(0, 1))
        bids += [
            bid(
                service,
                index=index,
                pool=pool,
                quota=quota,
                memory_bytes=size,
                value_per_hour=float(value),
                is_incumbent=index < runs,
                is_required=index < must,
            )
            for index, value in enumerate(values)
        ]
    pools = {BOX: draw(st.integers(0, 40)), OTHER: draw(st.integers(0, 40))}
    return bids, Budgets(pool_bytes=pools, quota_replicas={LENT: draw(st.integers(0, 5))})


def is_possible(bids: list[Bid], counts: dict[Key, int], *, budgets: Budgets) -> bool:
    left, places = dict(budgets.pool_bytes), budgets.quota_replicas[LENT]
    for each in first_of(bids, counts):
        left[each.pool] -= each.memory_bytes
        places -= each.quota is not None
    return places >= 0 and min(left.values()) >= 0


def first_of(bids: list[Bid], counts: dict[Key, int]) -> Iterator[Bid]:
    seen: Counter[Key] = Counter()
    for each in sorted(bids, key=rank):
        seen[each.key] += 1
        if seen[each.key] <= counts.get(each.key, 0):
            yield each


def best_of_all(bids: list[Bid], *, budgets: Budgets, least: dict[Key, int]) -> float:
    """By trying every number of replicas of every variant, the required ones given."""
    keys = sorted({each.key for each in bids})
    sizes = [sum(each.key == key for each in bids) for key in keys]
    best = 0.0
    for counts in product(*(range(size + 1) for size in sizes)):
        tried = dict(zip(keys, counts, strict=True))
        if all(tried[key] >= count for key, count in least.items()) and is_possible(
            bids, tried, budgets=budgets
        ):
            total = sum(
                each.worth_per_hour for each in first_of(bids, tried) if not each.is_required
            )
            best = max(best, total)
    return best


@settings(max_examples=80, deadline=None)
@given(worlds())
def test_exact_is_what_trying_all_finds_and_never_less_than_greedy(
    world: tuple[list[Bid], Budgets],
) -> None:
    bids, budgets = world
    found = allocate_exactly(bids, budgets=budgets)
    assert isinstance(found, Allocation)
    greedy = allocate(bids, budgets=budgets)
    assert worth(bids, allocation=found) >= worth(bids, allocation=greedy)
    required = allocate([each for each in bids if each.is_required], budgets=budgets)
    if required.refused or not is_possible(bids, dict(required.replicas), budgets=budgets):
        return  # what must be exceeds what there is: nothing to try
    best = best_of_all(bids, budgets=budgets, least=dict(required.replicas))
    assert worth(bids, allocation=found) == pytest.approx(best, rel=1e-6)
    assert is_possible(bids, dict(found.replicas), budgets=budgets)


@settings(max_examples=80, deadline=None)
@given(worlds(), st.integers(1, 12))
def test_greedy_is_exact_where_all_are_of_one_size(
    world: tuple[list[Bid], Budgets], size: int
) -> None:
    bids = [
        bid(
            each.service,
            index=each.index,
            memory_bytes=size,
            value_per_hour=each.value_per_hour,
            is_incumbent=each.is_incumbent,
        )
        for each in world[0]
    ]
    budgets = Budgets(pool_bytes=world[1].pool_bytes)
    found = allocate_exactly(bids, budgets=budgets)
    assert found == allocate(bids, budgets=budgets)


@settings(max_examples=80, deadline=None)
@given(worlds(), st.integers(1, 12))
def test_greedy_is_exact_where_a_quota_is_a_part_of_one_pool(
    world: tuple[list[Bid], Budgets], size: int
) -> None:
    bids = [
        replace(each, memory_bytes=size, quota=LENT if each.service != "a" else None, pool=BOX)
        for each in world[0]
    ]
    found = share(bids, budgets=world[1])
    best = allocate_exactly(bids, budgets=world[1])
    assert isinstance(best, Allocation)
    assert worth(bids, allocation=found.allocation) == pytest.approx(worth(bids, allocation=best))


@settings(max_examples=40, deadline=None)
@given(worlds(), st.randoms(use_true_random=False))
def test_what_is_shared_does_not_depend_on_the_order_of_bids_and_never_exceeds_what_there_is(
    world: tuple[list[Bid], Budgets], random: Any
) -> None:
    bids, budgets = world
    mixed = list(bids)
    random.shuffle(mixed)
    found = share(bids, budgets=budgets)
    assert share(mixed, budgets=budgets) == found
    kept = [each for each in bids if each.is_required and each.is_incumbent]
    taken = dict(found.allocation.replicas)
    if is_possible(bids, dict(Counter(each.key for each in kept)), budgets=budgets):
        assert is_possible(bids, taken, budgets=budgets)
