"""Which starts hang, and who stands in for them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.plan.replacement import Hanging, hanging

LIMIT_SECONDS = 100.0


@pytest.mark.parametrize(
    ("ordered", "now", "expected"),
    [
        pytest.param([], 500.0, (0, 0), id="nothing-starts"),
        pytest.param([450.0], 500.0, (0, 0), id="a-start-under-way"),
        pytest.param([400.0], 500.0, (0, 0), id="at-the-limit-it-may-come"),
        pytest.param([399.0], 500.0, (1, 1), id="beyond-it-it-hangs"),
        pytest.param([300.0, 300.0, 300.0], 500.0, (3, 3), id="three-at-once"),
        pytest.param([300.0, 450.0], 500.0, (1, 1), id="one-stands-in-and-is-on-its-way"),
        pytest.param([100.0, 250.0], 500.0, (2, 1), id="a-stand-in-that-hangs-too-is-not-replaced"),
        pytest.param([100.0, 150.0], 500.0, (2, 2), id="ordered-before-the-other-hung"),
        pytest.param([4000.0], 500.0, (0, 0), id="ordered-by-a-clock-that-went-back"),
    ],
)
def test_what_hangs(ordered: list[float], now: float, expected: tuple[int, int]) -> None:
    found = hanging(ordered, limit_seconds=LIMIT_SECONDS, now=now)
    assert found == Hanging(count=expected[0], replaceable=expected[1])


@given(
    ordered=st.lists(st.floats(0.0, 2000.0), max_size=20).map(sorted),
    now=st.floats(0.0, 4000.0),
)
def test_no_more_are_replaced_than_hang(ordered: list[float], now: float) -> None:
    found = hanging(ordered, limit_seconds=LIMIT_SECONDS, now=now)
    assert 0 <= found.replaceable <= found.count <= len(ordered)


@given(count=st.integers(1, 6), rounds=st.integers(1, 12))
def test_where_every_start_hangs_orders_end(count: int, rounds: int) -> None:
    """`count` starts hang, and so does whatever is ordered in their place."""
    ordered = [0.0] * count
    for number in range(1, rounds + 1):
        now = number * 2.0 * LIMIT_SECONDS
        found = hanging(ordered, limit_seconds=LIMIT_SECONDS, now=now)
        ordered += [now] * max(0, count + found.replaceable - len(ordered))
    assert len(ordered) <= 2 * count
