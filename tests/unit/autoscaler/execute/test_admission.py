"""Memory admission: what is taken, promised and left decides whether one more replica fits."""

import pytest

from autoscaler.execute.admission import MemoryHolder, memory_refusal
from collector.model.catalogue import MemoryPool, PoolKind
from collector.model.ids import PoolName

MIB = 2**20
POOL = MemoryPool(
    name=PoolName("box"), kind=PoolKind.UNIFIED, capacity_bytes=1100 * MIB, reserve_bytes=100 * MIB
)


def serving(measured: float | None, *, footprint: int = 400) -> MemoryHolder:
    held = None if measured is None else measured * MIB
    return MemoryHolder(footprint_bytes=footprint * MIB, measured_bytes=held, is_growing=False)


def loading(measured: float | None, *, footprint: int = 400) -> MemoryHolder:
    held = None if measured is None else measured * MIB
    return MemoryHolder(footprint_bytes=footprint * MIB, measured_bytes=held, is_growing=True)


FULL = "do not fit pool box"
HOST = "the host has"
CASES: dict[str, tuple[list[MemoryHolder], int, float | None, str | None]] = {
    "empty_pool": ([], 1000, None, None),
    "larger_than_the_budget": ([], 1001, None, FULL),
    "the_reserve_is_not_given_out": ([], 1100, 9999, FULL),
    "measured_counts_instead_of_declared": ([serving(100)], 900, None, None),
    "one_byte_too_much_by_measure": ([serving(101)], 900, None, FULL),
    "unmeasured_counts_as_declared": ([serving(None)], 601, None, FULL),
    "unmeasured_is_not_zero": ([serving(None), serving(None)], 300, None, FULL),
    "loading_counts_with_its_footprint": ([loading(10)], 601, None, FULL),
    "loading_beyond_its_footprint": ([loading(500)], 501, None, FULL),
    "host_has_enough": ([serving(100)], 500, 500, None),
    "host_is_used_by_others": ([serving(100)], 500, 499, HOST),
    "host_memory_promised_to_one_that_loads": ([loading(100)], 300, 599, HOST),
    "promised_and_still_enough": ([loading(100)], 300, 600, None),
    "unmeasured_loading_is_promised_all": ([loading(None)], 300, 699, HOST),
    "host_unknown_leaves_the_budget_to_decide": ([serving(100)], 500, None, None),
}


@pytest.mark.parametrize(("holders", "needed", "available", "reason"), CASES.values(), ids=CASES)
def test_admission(
    holders: list[MemoryHolder], needed: int, available: float | None, reason: str | None
) -> None:
    refusal = memory_refusal(
        needed_bytes=needed * MIB,
        holders=holders,
        pool=POOL,
        available_bytes=None if available is None else available * MIB,
    )
    if reason is None:
        assert refusal is None
    else:
        assert refusal is not None
        assert reason in refusal


def test_a_refusal_says_what_is_needed_and_what_is_taken() -> None:
    refusal = memory_refusal(
        needed_bytes=700 * MIB, holders=[serving(400)], pool=POOL, available_bytes=None
    )
    assert refusal == (
        "memory: 700 MiB more do not fit pool box: 400 MiB of 1000 MiB are taken by 1 replicas"
    )
