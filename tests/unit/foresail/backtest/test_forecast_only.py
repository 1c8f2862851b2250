"""The walk-forward score of a recorded series."""

import numpy as np
import pytest

from collector.model.ids import ServiceName
from foresail.backtest.forecast_only import (
    CountSeries,
    score_forecasts,
    table_rows,
    without_outages,
)

DAY_BINS = 144


def series(counts: np.ndarray) -> CountSeries:
    return CountSeries(
        services=(ServiceName("chat"),),
        counts=counts[None, :],
        is_measured=without_outages(counts[None, :]),
        request_size=np.ones(1),
    )


def test_a_noisy_daily_wave_is_forecast_better_than_by_either_naive() -> None:
    wave = 300 + 200 * np.sin(2 * np.pi * np.arange(6 * DAY_BINS) / DAY_BINS)
    counts = np.random.default_rng(5).poisson(wave).astype(np.float64)
    shares: list[float] = []
    scores = score_forecasts(series(counts), on_progress=shares.append)
    assert [each.horizon_seconds for each in scores] == [600.0, 3600.0, 21600.0, 86400.0]
    assert all(each.wape_ratio <= each.better_naive_wape_ratio for each in scores)
    assert all(0.87 <= each.p90_coverage_ratio <= 0.95 for each in scores)
    assert scores[0].left_out_ratio == 0.0
    assert scores[0].scored_bins == 5 * DAY_BINS
    assert shares[-1] == 1.0
    assert len(list(table_rows(scores))) == 5


def test_nothing_that_comes_later_is_seen() -> None:
    counts = np.random.default_rng(6).poisson(100.0, 2 * DAY_BINS).astype(np.float64)
    changed = counts.copy()
    changed[-1] = 5000.0
    plain, other = score_forecasts(series(counts))[0], score_forecasts(series(changed))[0]
    # the last bin's forecast is the same, so its error grows by just what was added
    scored = counts[DAY_BINS:]
    errors = plain.wape_ratio * scored.sum()
    added = other.wape_ratio * (scored.sum() + 5000.0 - counts[-1]) - errors
    assert added == pytest.approx(5000.0 - counts[-1], abs=2 * counts.max())


def test_an_outage_and_the_bin_after_it_are_left_out() -> None:
    counts = np.full(2 * DAY_BINS, 100.0)
    counts[200:203] = 0.0
    counts[203] = 7.0
    assert np.flatnonzero(~without_outages(counts[None, :])[0]).tolist() == [200, 201, 202, 203]


def test_a_quiet_service_has_quiet_bins_and_no_outages() -> None:
    counts = np.tile([0.0, 3.0], DAY_BINS)
    assert without_outages(counts[None, :]).all()


def test_less_than_two_days_cannot_be_scored() -> None:
    with pytest.raises(ValueError, match=r"1\.0 days.*needs 2"):
        score_forecasts(series(np.full(DAY_BINS, 5.0)))
