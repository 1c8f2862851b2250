"""How fast budgets burn at which load, out of what happened."""

import numpy as np
import pytest

from autoscaler.model.state import LOAD_BINS, BurnCurve
from autoscaler.slo.budget import Events
from autoscaler.slo.burn_curve import burn_at, burns, counts, with_look
from collector.model.catalogue import Objective, Sli
from support.builders import TTFT_OBJECTIVE

ITL = Objective(
    sli=Sli.INTER_TOKEN_LATENCY, threshold_seconds=0.1, target_ratio=0.9, window_seconds=86_400.0
)
ONE, BOTH = (TTFT_OBJECTIVE,), (TTFT_OBJECTIVE, ITL)
PRIOR = (0.0,) * 8 + (0.5, 3.0, 10.0, 30.0) + (60.0,) * 4
RISING = tuple(float(each) for each in range(LOAD_BINS))


def events(bad: float, judged: float, *, seconds: float = 15.0) -> Events:
    return Events(seconds=seconds, bad=(bad,), judged=(judged,))


def learned(*looks: tuple[float, float, float]) -> BurnCurve:
    """(load, bad, judged) each, in no time."""
    curve = BurnCurve()
    for load, bad, judged in looks:
        curve = with_look(curve, events(bad, judged, seconds=0.0), objectives=ONE, load=load)
    return curve


def by_load(
    curve: BurnCurve, *, objectives: tuple[Objective, ...] = ONE
) -> tuple[tuple[float, ...], ...]:
    return burns(curve, objectives=objectives)


def bins(curve: BurnCurve) -> dict[int, tuple[float, float]]:
    bad, judged = counts(curve, objectives=ONE)
    return {
        place: (bad[0][place], judged[0][place]) for place in range(LOAD_BINS) if judged[0][place]
    }


def test_before_anything_was_seen_the_prior_is_the_curve() -> None:
    (curve,) = by_load(BurnCurve(), objectives=ONE)
    assert curve == pytest.approx(PRIOR)


def test_of_an_objective_that_allows_ten_times_as_much_the_prior_burns_a_tenth() -> None:
    _, curve = by_load(BurnCurve(), objectives=BOTH)
    assert curve == pytest.approx([each / 10 for each in PRIOR])


@pytest.mark.parametrize(
    ("load", "place"),
    [
        pytest.param(0.0, 0, id="idle"),
        pytest.param(-1.0, 0, id="nonsense"),
        pytest.param(0.35, 3, id="a-third"),
        pytest.param(1.05, 10, id="just-too-much"),
        pytest.param(40.0, 15, id="far-too-much"),
    ],
)
def test_events_are_laid_on_the_load_they_happened_at(load: float, place: int) -> None:
    assert bins(learned((load, 2.0, 100.0))) == {place: (2.0, 100.0)}


def test_what_was_seen_outweighs_the_prior() -> None:
    (curve,) = by_load(learned((0.45, 400.0, 10_000.0)), objectives=ONE)
    # Pooled with what the prior says of 0.5 to 0.9, worth two allowed events and 0 to 6 bad ones a bin.
    assert curve[4:10] == pytest.approx([407.0 / 112.0] * 6)


def test_a_handful_of_events_hardly_moves_it() -> None:
    (curve,) = by_load(learned((0.45, 1.0, 10.0)), objectives=ONE)
    assert curve[4:8] == pytest.approx([1.0 / 8.1] * 4)


def test_less_at_a_higher_load_is_chance_and_is_pooled() -> None:
    looks = [(load / 10 + 0.05, 10.0, 9_800.0) for load in range(8)]
    (curve,) = by_load(
        learned(*looks, (0.85, 400.0, 9_800.0), (0.95, 0.0, 9_800.0)), objectives=ONE
    )
    assert curve[:8] == pytest.approx([0.1] * 8)
    # 400 bad ones and those of the prior at 0.95, of a hundred allowed ones each
    assert curve[8:10] == pytest.approx([407.0 / 200.0] * 2)


def test_what_happened_two_days_ago_counts_half() -> None:
    curve = learned((0.25, 64.0, 6_400.0))
    for _ in range(2 * 86_400 // 120):
        curve = with_look(curve, events(0.0, 0.0, seconds=120.0), objectives=ONE, load=1.0)
    assert bins(curve)[2] == pytest.approx((32.0, 3_200.0), rel=1e-3)


@pytest.mark.parametrize(
    ("look", "objectives"),
    [
        pytest.param(None, ONE, id="nothing-was-counted"),
        pytest.param(events(1.0, 2.0, seconds=121.0), ONE, id="over-a-time-of-many-loads"),
        pytest.param(Events(seconds=15.0, bad=(), judged=()), (), id="nothing-is-promised"),
    ],
)
def test_looks_that_tell_nothing_change_nothing(
    look: Events | None, objectives: tuple[Objective, ...]
) -> None:
    before = learned((0.25, 1.0, 100.0))
    assert with_look(before, look, objectives=objectives, load=0.5) == before


def test_other_objectives_begin_anew() -> None:
    before = learned((0.25, 50.0, 100.0))
    assert by_load(before, objectives=BOTH) == by_load(BurnCurve(), objectives=BOTH)
    after = with_look(
        before, Events(seconds=15.0, bad=(0.0, 1.0), judged=(8.0, 9.0)), objectives=BOTH, load=0.2
    )
    bad, judged = counts(after, objectives=BOTH)
    assert ([sum(row) for row in bad], [sum(row) for row in judged]) == ([0.0, 1.0], [8.0, 9.0])


@pytest.mark.parametrize(
    ("load", "burn"),
    [
        pytest.param(0.0, 0.0, id="idle"),
        pytest.param(0.35, 3.0, id="the-middle-of-a-bin"),
        pytest.param(0.4, 3.5, id="between-two"),
        pytest.param(1.54, 14.9, id="before-the-last"),
        pytest.param(1.55, 15.0, id="the-last"),
        pytest.param(99.0, 15.0, id="above-all"),
    ],
)
def test_between_bins_the_curve_is_straight(load: float, burn: float) -> None:
    assert burn_at(RISING, load) == pytest.approx(burn)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -5.0], ids=str)
def test_a_damaged_memory_gives_finite_curves(value: float) -> None:
    row = np.full(LOAD_BINS, value, dtype="<f4").tobytes()
    damaged = BurnCurve(key=learned((0.1, 0.0, 1.0)).key, bad=row, judged=row)
    (curve,) = by_load(damaged, objectives=ONE)
    assert np.isfinite(curve).all()
    assert min(curve) >= 0.0


@pytest.mark.parametrize(
    ("key", "size"),
    [
        pytest.param("", 64, id="of-no-objective"),
        pytest.param("a<=1", 60, id="cut"),
        pytest.param("a<=1;b<=2", 64, id="of-one-of-two"),
    ],
)
def test_a_memory_of_the_wrong_length_is_refused(key: str, size: int) -> None:
    with pytest.raises(ValueError, match="must have"):
        BurnCurve(key=key, bad=bytes(size), judged=bytes(size))
