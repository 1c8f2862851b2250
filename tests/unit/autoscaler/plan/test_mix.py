"""How a mix of variants grows, shrinks, and when it is enough."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.plan.mix import Part, Wanted, carried, grown, is_enough, settled, shrunk


def part(worth: float, cost: float, **fields: Any) -> Part:
    given: dict[str, Any] = {
        "is_proven": True,
        "lead_time_seconds": 60.0,
        "is_spot": False,
        "least": 0,
        "most": 100,
        **fields,
    }
    return Part(worth=worth, cost_per_hour=cost, **given)


BIG, SMALL, DEAR = part(4.0, 4.0), part(1.0, 1.5), part(1.0, 3.0)


@pytest.mark.parametrize(
    ("parts", "counts", "replicas", "expected"),
    [
        pytest.param((BIG, SMALL), (0, 0), 8.0, (2, 0), id="best-money-per-work"),
        pytest.param((BIG, SMALL), (0, 0), 9.0, (2, 1), id="a-small-rest-on-the-cheapest-single"),
        pytest.param((BIG, SMALL), (0, 0), 10.0, (2, 2), id="two-small-for-less-than-a-big"),
        pytest.param((BIG, SMALL), (0, 0), 11.0, (3, 0), id="a-big-for-less-than-three-small"),
        pytest.param((SMALL, DEAR), (0, 2), 3.0, (1, 2), id="what-runs-stays"),
        pytest.param((SMALL, DEAR), (0, 2), 2.0, (0, 2), id="enough-is-not-moved-about"),
        pytest.param(
            (part(1.0, 1.0, most=2), DEAR), (0, 0), 3.0, (2, 1), id="full-leaves-the-rest-to-others"
        ),
        pytest.param((part(1.0, 1.0, most=2),), (0,), 9.0, (2,), id="never-above-the-most"),
        pytest.param((BIG, SMALL), (0, 0), 0.0, (0, 0), id="nothing-wanted"),
        pytest.param((part(1.0, 0.0), part(4.0, 0.0)), (0, 0), 4.0, (4, 0), id="free-as-declared"),
        pytest.param(
            (part(1.0, 0.1, is_proven=False), DEAR), (0, 0), 2.0, (0, 2), id="unknown-comes-last"
        ),
    ],
)
def test_growth_is_the_cheapest(
    parts: tuple[Part, ...], counts: tuple[int, ...], replicas: float, expected: tuple[int, ...]
) -> None:
    assert grown(counts, parts=parts, wanted=Wanted(replicas=replicas)) == expected


@pytest.mark.parametrize(
    ("is_urgent", "expected"),
    [pytest.param(True, (0, 1), id="short-now"), pytest.param(False, (1, 0), id="short-later")],
)
def test_of_equal_prices_the_sooner_one_comes_where_it_is_short_now(
    is_urgent: bool, expected: tuple[int, ...]
) -> None:
    parts = (part(1.0, 1.0, lead_time_seconds=300.0), part(1.0, 1.0, lead_time_seconds=20.0))
    wanted = Wanted(replicas=0.5, is_urgent=is_urgent)
    assert grown((0, 0), parts=parts, wanted=wanted) == expected


@pytest.mark.parametrize(
    ("parts", "counts", "replicas", "step", "expected"),
    [
        pytest.param((SMALL, DEAR), (2, 2), 2.0, None, (2, 0), id="the-dearest-first"),
        pytest.param((SMALL, DEAR), (2, 2), 2.0, 1, (2, 1), id="no-more-than-the-step"),
        pytest.param((BIG, SMALL), (2, 3), 8.0, None, (2, 0), id="the-dearest-per-work"),
        pytest.param((SMALL, part(4.0, 12.0)), (3, 1), 4.0, None, (0, 1), id="too-big-to-spare"),
        pytest.param((SMALL, part(1.0, 3.0, least=1)), (2, 1), 1.0, None, (0, 1), id="its-least"),
        pytest.param((SMALL,), (3,), 2.1, None, (3,), id="not-even-one"),
        pytest.param(
            (SMALL, part(1.0, 0.1, is_proven=False)), (2, 3), 2.0, None, (2, 0), id="unknown-may-go"
        ),
        pytest.param(
            (SMALL, part(1.0, 0.1, is_proven=False)),
            (2, 3),
            3.0,
            None,
            (2, 3),
            id="nothing-goes-that-only-the-unknown-could-carry",
        ),
    ],
)
def test_shrinking_takes_the_dearest_that_can_be_spared(
    parts: tuple[Part, ...],
    counts: tuple[int, ...],
    replicas: float,
    step: int | None,
    expected: tuple[int, ...],
) -> None:
    assert shrunk(counts, parts=parts, wanted=Wanted(replicas=replicas), step=step) == expected


SPOT = part(1.0, 0.5, is_spot=True)


@pytest.mark.parametrize(
    ("parts", "counts", "firm_ratio", "expected"),
    [
        pytest.param((SPOT, SMALL), (0, 0), 0.5, (2, 2), id="half-of-it-is-firm"),
        pytest.param((SPOT, SMALL), (4, 0), 0.5, (2, 2), id="even-where-spot-is-enough"),
        pytest.param((SPOT, SMALL), (0, 4), 0.5, (0, 4), id="firm-that-runs-stays"),
        pytest.param((SPOT, SMALL), (0, 0), 0.0, (4, 0), id="all-on-spot"),
        pytest.param((SPOT, SMALL), (0, 0), 1.0, (0, 4), id="none-on-spot"),
        pytest.param((SPOT,), (0,), 0.5, (4,), id="nothing-but-spot"),
        pytest.param((SPOT, part(1.0, 1.0, most=1)), (0, 0), 0.5, (3, 1), id="too-little-firm"),
    ],
)
def test_only_so_much_is_on_spot(
    parts: tuple[Part, ...], counts: tuple[int, ...], firm_ratio: float, expected: tuple[int, ...]
) -> None:
    wanted = Wanted(replicas=4.0, firm_ratio=firm_ratio)
    once = settled(counts, parts=parts, wanted=wanted)
    assert settled(once, parts=parts, wanted=wanted) == expected


def test_one_is_wanted_however_little_is_needed() -> None:
    wanted = Wanted(replicas=0.0, at_least_one=True)
    assert grown((0, 0), parts=(DEAR, SMALL), wanted=wanted) == (0, 1)
    assert shrunk((1, 1), parts=(DEAR, SMALL), wanted=wanted) == (0, 1)
    assert not is_enough((0, 0), parts=(DEAR, SMALL), wanted=wanted)


any_part = st.builds(
    part,
    st.sampled_from([0.25, 0.5, 1.0, 3.0]),
    st.sampled_from([0.0, 1.0, 2.5]),
    is_proven=st.booleans(),
    is_spot=st.booleans(),
    least=st.integers(0, 1),
    most=st.integers(1, 6),
)
mixes = st.lists(st.tuples(any_part, st.integers(0, 6)), min_size=1, max_size=4).map(
    lambda pairs: (tuple(p for p, _ in pairs), tuple(min(c, p.most) for p, c in pairs))
)


@given(mix=mixes, replicas=st.floats(0.0, 12.0), more=st.floats(0.0, 6.0))
def test_more_demand_never_means_less_capacity(
    mix: tuple[tuple[Part, ...], tuple[int, ...]], replicas: float, more: float
) -> None:
    parts, counts = mix
    little = grown(counts, parts=parts, wanted=Wanted(replicas=replicas, firm_ratio=0.5))
    much = grown(counts, parts=parts, wanted=Wanted(replicas=replicas + more, firm_ratio=0.5))
    can_be = carried(tuple(part.most for part in parts), parts=parts)
    assert carried(much, parts=parts) >= min(replicas + more, can_be) - 1e-6
    assert carried(little, parts=parts) >= min(replicas, can_be) - 1e-6
    assert all(after >= before for after, before in zip(little, counts, strict=True))
    assert all(count <= part.most for count, part in zip(much, parts, strict=True))


@given(mix=mixes, replicas=st.floats(0.0, 12.0))
def test_what_shrinks_is_still_enough_and_firm(
    mix: tuple[tuple[Part, ...], tuple[int, ...]], replicas: float
) -> None:
    parts, counts = mix
    wanted = Wanted(replicas=replicas, firm_ratio=0.5)
    left = shrunk(counts, parts=parts, wanted=wanted)
    if left != counts:
        assert is_enough(left, parts=parts, wanted=wanted)
        again = shrunk(left, parts=parts, wanted=wanted)
        assert again == left
    assert all(0 <= after <= before for after, before in zip(left, counts, strict=True))


@given(mix=mixes, replicas=st.floats(0.0, 12.0))
def test_growth_costs_no_more_than_any_one_variant_alone(
    mix: tuple[tuple[Part, ...], tuple[int, ...]], replicas: float
) -> None:
    known = tuple(p for p in mix[0] if p.is_proven and not p.is_spot)
    nothing = (0,) * len(known)
    bigger = grown(nothing, parts=known, wanted=Wanted(replicas=replicas))
    cost = sum(count * p.cost_per_hour for count, p in zip(bigger, known, strict=True))
    for p in known:
        alone = math.ceil(replicas / p.worth - 1e-9)
        if alone <= p.most:
            assert cost <= alone * p.cost_per_hour + 1e-9
