"""Memory goes to the replicas that save the most."""

from typing import Any

import pytest

from autoscaler.plan.allocate import Bid, Budgets, allocate
from collector.model.ids import PoolName, QuotaName, ServiceName, VariantName
from support.builders import BOX


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


def granted(*bids: Bid, budget: int) -> dict[str, int]:
    replicas = allocate(bids, budgets=Budgets(pool_bytes={BOX: budget})).replicas
    return {service: count for (service, _), count in sorted(replicas.items())}


@pytest.mark.parametrize(
    ("bids", "budget", "expected"),
    [
        pytest.param((bid("a"), bid("b")), 20, {"a": 1, "b": 1}, id="room-for-all"),
        pytest.param(
            (bid("a", value_per_hour=1.0), bid("b", value_per_hour=2.0)), 10, {"b": 1}, id="value"
        ),
        pytest.param(
            (
                bid("a", value_per_hour=3.0, memory_bytes=20),
                bid("b", value_per_hour=2.0, memory_bytes=10),
            ),
            20,
            {"b": 1},
            id="value-per-byte-not-value",
        ),
        pytest.param(
            (bid("a", value_per_hour=0.0, is_required=True), bid("b", value_per_hour=9.0)),
            10,
            {"a": 1},
            id="required-before-valuable",
        ),
        pytest.param(
            (bid("a", is_incumbent=True), bid("b", value_per_hour=1.2)),
            10,
            {"a": 1},
            id="incumbent-keeps-against-a-little-more",
        ),
        pytest.param(
            (bid("a", is_incumbent=True), bid("b", value_per_hour=1.3)),
            10,
            {"b": 1},
            id="incumbent-yields-to-clearly-more",
        ),
        pytest.param(
            (bid("a", is_incumbent=True, is_young=True), bid("b", value_per_hour=2.0)),
            10,
            {"a": 1},
            id="young-one-keeps-against-the-most-urgent-equal",
        ),
        pytest.param(
            (bid("a", is_incumbent=True, is_young=True), bid("b", value_per_hour=2.6)),
            10,
            {"b": 1},
            id="young-one-yields-to-far-more",
        ),
        pytest.param((bid("b"), bid("a")), 10, {"a": 1}, id="equal-by-name"),
        pytest.param(
            (bid("a", is_incumbent=True, is_required=True),),
            5,
            {"a": 1},
            id="nothing-required-is-taken-by-a-shrunken-pool",
        ),
        pytest.param((bid("a", is_required=True),), 5, {}, id="required-newcomer-must-fit"),
        pytest.param(
            (
                bid("a", is_required=True),
                bid("b", is_required=True, is_incumbent=True, value_per_hour=0.0),
            ),
            10,
            {"b": 1},
            id="required-incumbent-before-required-newcomer",
        ),
    ],
)
def test_memory_is_given_by_rank(
    bids: tuple[Bid, ...], budget: int, expected: dict[str, int]
) -> None:
    assert granted(*bids, budget=budget) == expected


def test_a_later_replica_never_stands_in_for_a_refused_one() -> None:
    first = bid("a", memory_bytes=30, value_per_hour=9.0)
    second = bid("a", index=1, memory_bytes=10, value_per_hour=1.0)
    allocation = allocate((first, second), budgets=Budgets(pool_bytes={BOX: 20}))
    assert dict(allocation.replicas) == {}
    assert allocation.refused == {(ServiceName("a"), VariantName("v"))}


def test_pools_do_not_lend_to_each_other() -> None:
    other = PoolName("other")
    allocation = allocate(
        (bid("a"), bid("b", pool=other)), budgets=Budgets(pool_bytes={BOX: 0, other: 10})
    )
    assert dict(allocation.replicas) == {(ServiceName("b"), VariantName("v")): 1}


def test_the_order_of_the_bids_does_not_matter() -> None:
    bids = [bid("a", index=i, value_per_hour=5.0 - i) for i in range(3)]
    bids += [bid("b", index=i, value_per_hour=4.5 - i) for i in range(3)]
    assert granted(*bids, budget=40) == granted(*reversed(bids), budget=40) == {"a": 2, "b": 2}


def test_a_quota_limits_replicas_of_several_services_together() -> None:
    lent = QuotaName("lent")
    bids = [
        bid("a", index=0, value_per_hour=5.0, quota=lent),
        bid("a", index=1, value_per_hour=1.0, quota=lent),
        bid("b", value_per_hour=3.0, quota=lent),
        bid("c", value_per_hour=0.5),
    ]
    budgets = Budgets(pool_bytes={BOX: 1000}, quota_replicas={lent: 2})
    allocation = allocate(bids, budgets=budgets)
    assert {service: count for (service, _), count in allocation.replicas.items()} == {
        "a": 1,
        "b": 1,
        "c": 1,
    }
    assert allocation.refused == allocation.over_quota == {("a", "v")}


def test_no_place_of_a_quota_is_taken_by_force() -> None:
    lent = QuotaName("lent")
    runs = bid("a", is_incumbent=True, is_required=True, quota=lent)
    budgets = Budgets(pool_bytes={BOX: 1000}, quota_replicas={lent: 0})
    assert dict(allocate((runs,), budgets=budgets).replicas) == {("a", "v"): 1}
