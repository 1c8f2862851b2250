"""Copies of a trace: as many requests, in order, within the same time, and the same every time."""

from foresail.backtest.superpose import superposed
from support.backtests import busy_workload


def test_one_copy_is_the_trace_itself():
    workload = busy_workload(requests=50)
    assert superposed(workload, copies=1, seed=0) is workload


def test_copies_keep_lengths_and_stay_within_the_trace():
    workload = busy_workload(requests=200)
    heavy = superposed(workload, copies=3, seed=0)
    assert len(heavy) == 600
    assert heavy.arrival_seconds[0] >= 0
    assert heavy.end_seconds <= workload.end_seconds
    assert sorted(heavy.prompt_tokens.tolist()) == sorted(3 * workload.prompt_tokens.tolist())
    assert set(workload.arrival_seconds) <= set(heavy.arrival_seconds)


def test_the_seed_decides_the_shifts():
    workload = busy_workload(requests=50)
    same, again, other = (superposed(workload, copies=2, seed=seed) for seed in (1, 1, 2))
    assert same.arrival_seconds.tolist() == again.arrival_seconds.tolist()
    assert same.arrival_seconds.tolist() != other.arrival_seconds.tolist()
