"""Level and upward slope of demand."""

import numpy as np
import pytest

from autoscaler.forecast.level_slope import growth_ratio, level, smoothed_peak
from autoscaler.model.demand import DemandSeries


def series(tokens: list[float], *, covered: list[float] | None = None) -> DemandSeries:
    """Prompt tokens per second by bin of 15 s; a tenth of that are requests."""
    prompt = np.array(tokens, dtype=float)
    return DemandSeries(
        bin_seconds=15.0,
        requests_per_second=prompt / 10,
        prompt_tokens_per_second=prompt,
        output_tokens_per_second=np.zeros(len(tokens)),
        covered_seconds=np.array(covered if covered is not None else [15.0] * len(tokens)),
    )


def test_the_level_is_the_mean_of_the_window() -> None:
    rates = level(series([1000, 10, 20, 30, 40]), window_seconds=60.0)
    assert rates is not None
    assert (rates.prompt_tokens_per_second, rates.requests_per_second) == (25.0, 2.5)


def test_bins_nobody_measured_do_not_count_as_quiet() -> None:
    rates = level(series([20, 0, 0, 40], covered=[15, 0, 0, 15]), window_seconds=60.0)
    assert rates is not None
    assert rates.prompt_tokens_per_second == 30.0


def test_a_bin_just_begun_counts_for_the_seconds_it_has() -> None:
    rates = level(series([10, 10, 10, 70], covered=[15, 15, 15, 5]), window_seconds=60.0)
    assert rates is not None
    assert rates.prompt_tokens_per_second == pytest.approx(16.0)


@pytest.mark.parametrize(
    "unmeasured",
    [
        pytest.param(series([]), id="no-bins"),
        pytest.param(series([5, 5, 0, 0, 0, 0], covered=[15, 15, 0, 0, 0, 0]), id="blind-window"),
    ],
)
def test_an_unmeasured_window_has_no_level(unmeasured: DemandSeries) -> None:
    assert level(unmeasured, window_seconds=60.0) is None


def growth(tokens: list[float], *, horizon_seconds: float, covered: list[float] | None = None):
    given = series(tokens, covered=covered)
    now = level(given, window_seconds=60.0)
    assert now is not None
    return growth_ratio(given, now=now, slope_window_seconds=300.0, horizon_seconds=horizon_seconds)


RAMP = [float(10 * i) for i in range(1, 21)]  # 10 more every 15 s; the last minute's mean is 185


@pytest.mark.parametrize(
    ("tokens", "horizon_seconds", "ratio"),
    [
        pytest.param(RAMP, 60.0, 1 + 20 / 185, id="half-of-the-slope-over-the-horizon"),
        pytest.param(RAMP, 600.0, 1 + 50 / 185, id="at-most-half-the-look-back"),
        pytest.param(RAMP[::-1], 60.0, 1.0, id="falling-counts-as-level"),
        pytest.param([7.0] * 20, 60.0, 1.0, id="flat"),
        pytest.param([0.0] * 20, 60.0, 1.0, id="nothing"),
        pytest.param([5.0, 9.0], 60.0, 1.0, id="too-little-seen"),
    ],
)
def test_growth_is_upward_only(tokens: list[float], horizon_seconds: float, ratio: float) -> None:
    assert growth(tokens, horizon_seconds=horizon_seconds) == pytest.approx(ratio)


def test_a_gap_in_the_data_is_no_slope() -> None:
    tokens = [10.0] * 8 + [0.0] * 8 + [10.0] * 4
    covered = [15.0] * 8 + [0.0] * 8 + [15.0] * 4
    assert growth(tokens, horizon_seconds=60.0, covered=covered) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("values", "covered", "bins", "peak"),
    [
        pytest.param([1, 5, 3], [15, 15, 15], 1, 5.0, id="one-bin"),
        pytest.param([1, 5, 3], [15, 15, 15], 2, 4.0, id="mean-of-two"),
        pytest.param([1, 5, 3], [15, 15, 15], 9, 3.0, id="more-bins-than-there-are"),
        pytest.param([1, 0, 3], [15, 0, 15], 2, 3.0, id="uncovered-has-no-weight"),
        pytest.param([1, 0, 3], [0, 0, 0], 1, None, id="nothing-covered"),
        pytest.param([], [], 1, None, id="nothing-at-all"),
    ],
)
def test_the_peak_is_the_highest_smoothed_mean(
    values: list[float], covered: list[float], bins: int, peak: float | None
) -> None:
    result = smoothed_peak(np.array(values, dtype=float), np.array(covered, dtype=float), bins=bins)
    assert result == (None if peak is None else pytest.approx(peak))
