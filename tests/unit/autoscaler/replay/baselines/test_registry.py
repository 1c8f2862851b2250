"""Every baseline: complete, deterministic, sane on anything it may see, and able to run a replay."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.replay.baselines.peer_setup import PeerSetup
from autoscaler.replay.baselines.registry import BASELINES
from autoscaler.replay.run import Conditions, replay
from autoscaler.replay.workload import Workload
from support.fleet_views import make_setting, make_view
from support.replays import is_conserved

NAMES = [
    "hpa_concurrency",
    "hpa_concurrency_paced",
    "hpa_kv",
    "keda_waiting",
    "knative_kpa",
    "knative_kpa_delayed",
    "aibrix_apa",
    "aibrix_as_coded",
    "wva_v1",
    "wva_v2",
    "llmd_slo_keda",
    "llmd_epp_saturation",
    "dynamo_throughput_constant",
    "dynamo_throughput_arima",
    "dynamo_throughput_kalman",
    "dynamo_load",
    "phpa_holt_winters",
    "sageserve",
    "ray_serve",
    "kubeai",
    "work_rule",
    "static",
    "clairvoyant",
]


def make_workload():
    """Twenty minutes: 4 requests a second, 12 in the middle."""
    quiet = np.arange(0, 1200, 0.25)
    busy = np.arange(400, 800, 0.125) + 0.01
    arrivals = np.sort(np.concatenate([quiet, busy]))
    return Workload(
        arrival_seconds=arrivals,
        prompt_tokens=np.full(len(arrivals), 1000),
        output_tokens=np.full(len(arrivals), 100),
    )


def make_setup(**limits):
    return PeerSetup.learned(
        setting=make_setting(**limits), workload=make_workload(), training_seconds=1200.0
    )


SETUP = make_setup()


def run(name, setup, *, knob=None):
    baseline = BASELINES[name]
    policy = baseline.build(setup, baseline.default(setup) if knob is None else knob)
    return replay(
        setup.workload,
        setting=setup.setting,
        policy=policy,
        conditions=Conditions(initial_replicas=2, seed=3),
        end_seconds=1200.0,
    )


def test_all_are_there():
    assert list(BASELINES) == NAMES


def test_a_setup_knows_the_engine_and_the_peak():
    assert SETUP.sustained.batch_requests == 80
    assert SETUP.requests_at(1.0) == 80
    assert SETUP.requests_at(7.14 / 8.0) == 50
    assert SETUP.kv_ratio_at(1.0) == pytest.approx(0.84)
    busiest = (
        (200 * 12 + 100 * 4) / 300 * SETUP.work.of_totals(prompt_tokens=1000, output_tokens=100)
    )
    assert SETUP.peak_work() == pytest.approx(busiest, rel=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_knob_and_interval_are_as_registered(name):
    baseline = BASELINES[name]
    grid = baseline.grid(SETUP)
    assert baseline.name == name
    assert 5 <= len(grid) <= 8
    assert list(grid) == sorted(grid)
    assert baseline.default(SETUP) in grid
    policy = baseline.build(SETUP, grid[0])
    assert policy.interval_seconds == baseline.interval_seconds


@pytest.mark.parametrize("name", NAMES)
def test_a_replay_runs_and_is_the_same_twice(name):
    outcome = run(name, SETUP)
    score = outcome.score()
    assert is_conserved(score)
    assert score.offered_requests == 8000
    assert run(name, SETUP).schedule == outcome.schedule


@pytest.mark.parametrize("name", NAMES)
def test_limits_hold(name):
    setup = make_setup(min_replicas=2, max_replicas=3)
    ordered = {change.ordered_replicas for change in run(name, setup).schedule}
    assert ordered <= {2, 3}


@pytest.mark.parametrize(
    "name", [name for name in NAMES if BASELINES[name].is_adaptive and name != "sageserve"]
)
def test_some_knob_follows_the_load(name):
    """SageServe is left out: it plans by the hour and this is a third of one."""
    lowest = BASELINES[name].grid(SETUP)[0]
    highest = BASELINES[name].grid(SETUP)[-1]
    ordered = {
        change.ordered_replicas
        for knob in (lowest, highest)
        for change in run(name, SETUP, knob=knob).schedule
    }
    assert len(ordered) > 1


LOADS = st.tuples(
    st.integers(min_value=0, max_value=100),
    st.integers(min_value=0, max_value=500),
    st.integers(min_value=0, max_value=100_000),
)
MOMENTS = st.fixed_dictionaries(
    {
        "loads": st.lists(LOADS, max_size=4),
        "pending": st.integers(min_value=0, max_value=3),
        "held": st.integers(min_value=0, max_value=100),
        "first_token_seconds": st.lists(st.floats(min_value=0.0, max_value=100.0), max_size=3),
    }
)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=15, deadline=None)
@given(moments=st.lists(MOMENTS, min_size=1, max_size=8), step=st.integers(0, 1000))
def test_whatever_is_seen_gives_a_count_and_the_same_one_again(name, moments, step):
    baseline = BASELINES[name]
    knob = baseline.default(SETUP)
    policies = [baseline.build(SETUP, knob), baseline.build(SETUP, knob)]
    for tick, moment in enumerate(moments, start=1):
        view = make_view(
            now=tick * baseline.interval_seconds,
            arrived=tick * step,
            completed=tick * step // 2,
            **moment,
        )
        counts = [policy.desired_replicas(view) for policy in policies]
        assert counts[0] == counts[1]
        assert type(counts[0]) is int
        assert counts[0] >= 0
