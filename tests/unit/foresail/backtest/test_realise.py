"""Requests drawn from bins and histograms: as many, as long, and never quiet where nothing was measured."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foresail.backtest.binned import BinnedDemand, LengthHistogram, filled
from foresail.backtest.realise import realise


def lengths(*, mean_tokens=None, upper=(10.0, 100.0, np.inf), counts=(1.0, 3.0, 0.0)):
    return LengthHistogram(
        upper_tokens=np.array(upper), counts=np.array(counts), mean_tokens=mean_tokens
    )


def demand(arrivals, *, measured=None, prompt=None, output=None):
    count = -(-len(arrivals) // 60)
    return BinnedDemand(
        bin_seconds=60.0,
        arrivals=np.array(arrivals, np.float64),
        is_measured=np.array([True] * len(arrivals) if measured is None else measured),
        stretch_seconds=3600.0,
        prompt=prompt or (lengths(),) * count,
        output=output or (lengths(),) * count,
    )


def test_a_hole_is_bridged_and_is_no_quiet_time():
    asked = demand([4.0, 0.0, 0.0, 10.0], measured=[True, False, False, True])
    assert filled(asked).tolist() == [4.0, 6.0, 8.0, 10.0]
    assert asked.measured_ratio == 0.5


def test_the_ends_are_as_the_nearest_measured_bin():
    asked = demand([0.0, 5.0, 0.0], measured=[False, True, False])
    assert filled(asked).tolist() == [5.0, 5.0, 5.0]


def test_nothing_measured_is_no_demand():
    with pytest.raises(ValueError, match="no bin was measured"):
        filled(demand([1.0], measured=[False]))


@given(st.lists(st.integers(min_value=0, max_value=30), min_size=1, max_size=90), st.integers(0, 9))
def test_every_bin_gets_as_many_requests_as_it_had(arrivals, seed):
    workload = realise(demand(arrivals), seed=seed)
    bins = (workload.arrival_seconds // 60).astype(int)
    assert np.bincount(bins, minlength=len(arrivals)).tolist() == arrivals


def test_shares_of_requests_are_kept_on_average():
    assert len(realise(demand([0.25] * 4000), seed=3)) == pytest.approx(1000, rel=0.1)


def test_lengths_stay_within_their_buckets_while_no_mean_is_told():
    found = realise(demand([400.0], output=(lengths(counts=(0.0, 1.0, 0.0)),)), seed=0)
    assert found.output_tokens.min() >= 10
    assert found.output_tokens.max() <= 100


def test_the_mean_that_was_told_is_met():
    asked = demand([20_000.0], prompt=(lengths(mean_tokens=50.0, counts=(0.0, 1.0, 0.0)),))
    assert realise(asked, seed=1).prompt_tokens.mean() == pytest.approx(50.0, rel=0.02)


def test_an_hour_without_lengths_has_those_of_the_nearest():
    short, long = lengths(counts=(1.0, 0.0, 0.0)), lengths(counts=(0.0, 0.0, 1.0))
    asked = demand([5.0] * 180, prompt=(short, None, long), output=(short, short, short))
    tokens = realise(asked, seed=0).prompt_tokens
    assert tokens[:600].max() <= 10
    assert tokens[-300:].min() >= 100
    assert tokens.max() <= 200  # twice the last edge


def test_no_lengths_at_all_is_no_demand():
    with pytest.raises(ValueError, match="no lengths"):
        realise(demand([5.0], prompt=(None,), output=(lengths(),)), seed=0)


def test_the_seed_decides():
    asked = demand([5.0] * 60)
    same, again, other = (realise(asked, seed=seed) for seed in (1, 1, 2))
    assert same.arrival_seconds.tolist() == again.arrival_seconds.tolist()
    assert same.arrival_seconds.tolist() != other.arrival_seconds.tolist()
