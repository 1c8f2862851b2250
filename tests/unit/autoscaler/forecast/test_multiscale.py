"""Weights of windows are learned from what came after them."""

import numpy as np
import pytest

from autoscaler.forecast.multiscale import (
    PRIOR,
    learn_row,
    point,
    scale_means,
    window_bins,
    with_change,
)
from autoscaler.model.state import ScaleFit
from collector.model.history import FloatArray

WINDOWS = (1, 2, 3, 4, 6)  # bins; the fourth is the anchor


def means(work: list[float], covered: list[float] | None = None) -> list[float] | None:
    seconds = np.full(len(work), 15.0) if covered is None else np.array(covered, dtype=float)
    found = scale_means(np.array(work, dtype=float), seconds, bins=WINDOWS)
    return None if found is None else found.tolist()


@pytest.mark.parametrize(
    ("work", "covered", "expected"),
    [
        pytest.param([9, 8, 3, 4, 1, 2], None, [2, 1.5, 7 / 3, 2.5, 4.5], id="means-of-the-last"),
        pytest.param([4, 2], None, [2, 3, 3, 3, 3], id="as-long-as-there-is"),
        pytest.param(
            [9, 9, 9, 6, 5, 77], [15, 15, 15, 15, 15, 0], [5, 5, 5.5, 20 / 3, 7.6], id="a-blind-bin"
        ),
        pytest.param(
            [1, 1, 1, 1, 1, 7],
            [15, 15, 15, 15, 15, 5],
            [7, 2.5, 13 / 7, 1.6, 1.375],
            id="an-open-bin-counts-for-its-seconds",
        ),
        pytest.param([5, 5, 0, 0, 0, 0], [15, 15, 0, 0, 0, 0], None, id="blind-anchor"),
        pytest.param([], [], None, id="no-bins"),
    ],
)
def test_means_over_windows_are_those_of_covered_time(
    work: list[float], covered: list[float] | None, expected: list[float] | None
) -> None:
    found = means(work, covered)
    assert found == (None if expected is None else pytest.approx(expected))


def test_windows_are_multiples_of_the_level_window() -> None:
    assert window_bins(level_window_seconds=60.0, bin_seconds=15.0) == (2, 6, 20, 60, 180)
    assert window_bins(level_window_seconds=6.0, bin_seconds=15.0) == (1, 1, 2, 6, 18)


def test_before_any_lesson_the_prior_decides() -> None:
    assert point(ScaleFit(), np.array([5.0, 4.0, 3.0, 2.0, 1.0, 9.0])) == pytest.approx(3.1)


def test_no_forecast_is_below_a_twentieth_of_the_anchor() -> None:
    fit = ScaleFit(weights=(0.0, 0.0, 0.0, 0.0, -1.0))
    assert point(fit, np.array([9.0, 9.0, 9.0, 4.0, 9.0, 0.0])) == pytest.approx(0.2)


def lessons(came_from: int, *, count: int, scale: float = 1.0) -> ScaleFit:
    """What comes is always the mean of one of the windows; the others are noise."""
    noise = np.random.default_rng(7).uniform(0.5, 1.5, size=(count, 6)) * scale
    noise[:, 5] -= scale
    fit = ScaleFit()
    for row in noise:
        fit = learn_row(fit, columns=row, came=float(row[came_from]), is_solved=False)
    return learn_row(fit, columns=noise[0], came=float(noise[0][came_from]), is_solved=True)


@pytest.mark.parametrize(
    "window", [pytest.param(0, id="last-value"), pytest.param(3, id="15-minute-mean")]
)
def test_what_always_tells_gets_all_the_weight(window: int) -> None:
    weights = lessons(window, count=1500).weights
    assert weights[window] > 0.85
    assert sum(abs(each) for index, each in enumerate(weights) if index != window) < 0.2


def test_few_rows_hardly_move_the_prior() -> None:
    weights = lessons(0, count=2).weights
    assert weights == pytest.approx(PRIOR, abs=0.07)


def test_a_busy_service_and_a_quiet_one_learn_the_same() -> None:
    assert lessons(1, count=200, scale=1e6).weights == pytest.approx(
        lessons(1, count=200, scale=1e-3).weights
    )


def test_a_row_without_demand_teaches_nothing() -> None:
    zero: FloatArray = np.zeros(6)
    assert learn_row(ScaleFit(), columns=zero, came=0.0, is_solved=True) == ScaleFit()


def test_a_burst_counts_as_five_times_the_anchor_at_most() -> None:
    ones: FloatArray = np.ones(6)
    burst = learn_row(ScaleFit(), columns=ones, came=1e9, is_solved=True)
    assert burst == learn_row(ScaleFit(), columns=ones, came=5.0, is_solved=True)


def test_what_past_days_saw_is_counted_in_the_anchors_unit() -> None:
    columns = with_change(np.array([5.0, 5.0, 5.0, 4.0, 5.0]), 1.5)
    assert columns.tolist() == [5.0, 5.0, 5.0, 4.0, 5.0, 6.0]


def test_what_past_days_saw_counts_once_it_has_come_true() -> None:
    """Steady demand which doubles whenever past days doubled."""
    fit = ScaleFit()
    assert point(fit, with_change(np.full(5, 10.0), 1.0)) == pytest.approx(10.0)
    for number in range(400):
        change = 1.0 if number % 20 == 0 else 0.0
        columns = with_change(np.full(5, 10.0), change)
        came = 10.0 * (1.0 + change)
        fit = learn_row(fit, columns=columns, came=came, is_solved=True)
    assert point(fit, with_change(np.full(5, 10.0), 1.0)) == pytest.approx(15.0, abs=0.2)
    assert point(fit, with_change(np.full(5, 10.0), 0.0)) == pytest.approx(10.0, abs=0.3)


def test_what_was_learned_without_past_days_goes_on_as_it_was() -> None:
    row = np.array([1.0, 2.0, 1.0, 1.0, 1.0])
    old = ScaleFit(
        gram=tuple(np.outer(row, row)[np.triu_indices(5)]),
        moment=tuple(2.0 * row),
        weights=PRIOR[:5],
    )
    new = learn_row(ScaleFit(), columns=with_change(row, 0.0), came=2.0, is_solved=True)
    assert point(old, with_change(row, 3.0)) == pytest.approx(1.3)
    again = learn_row(old, columns=with_change(row, 0.0), came=2.0, is_solved=True)
    twice = learn_row(new, columns=with_change(row, 0.0), came=2.0, is_solved=True)
    assert again.weights == pytest.approx(twice.weights, rel=1e-3)
