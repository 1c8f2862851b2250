"""Dynamo's planner: performance of an engine, predictors, throughput and load mode."""

import pytest

from autoscaler.replay.baselines.dynamo_load import DynamoLoad
from autoscaler.replay.baselines.dynamo_predictors import (
    Arima,
    Kalman,
    PredictorKind,
    new_predictor,
)
from autoscaler.replay.baselines.dynamo_throughput import DynamoThroughput
from autoscaler.replay.baselines.engine_performance import EnginePerformance, Mix
from support.fleet_views import make_setting, make_view

MIX = Mix(prompt_tokens=1000, output_tokens=100)


def test_a_step_is_a_mean_over_those_with_and_without_a_prompt():
    engine = EnginePerformance(make_setting())
    # 50 sequences: half of the steps take a prompt of 100 ms, half 20 ms; 10 ms for the sequences
    step = engine.mean_step_seconds(batch=50, kv_tokens=0, mix=MIX)
    assert step == pytest.approx(0.070)


def test_a_first_token_waits_for_the_prompts_before_it():
    engine = EnginePerformance(make_setting())
    seconds = engine.first_token_seconds(queued_tokens=800, batch=80, kv_tokens=0, mix=MIX)
    assert seconds == pytest.approx(0.100 + 0.080 + 2 * 0.016)


def test_sustained_is_the_largest_batch_within_both_objectives():
    setting = make_setting()
    found = EnginePerformance(setting).sustained(MIX, objectives=setting.objectives)
    assert found.batch_requests == 80  # 80 x 0.8 ms + 20 ms + 80 x 0.2 ms = 100 ms
    assert found.requests_per_second == pytest.approx(8.0)


def test_sustained_is_limited_by_the_cache():
    setting = make_setting()
    long = Mix(prompt_tokens=20_000, output_tokens=10_000)
    found = EnginePerformance(setting).sustained(long, objectives=setting.objectives, scale=100)
    assert found.batch_requests == 4


def test_batch_at_rate_is_the_first_that_carries_it():
    engine = EnginePerformance(make_setting())
    # 50 requests: 50 / (100 x 70 ms) = 7.14 a second
    assert engine.batch_at_rate(7.14, mix=MIX, most_requests=80) == 50
    assert engine.batch_at_rate(99.0, mix=MIX, most_requests=80) == 80
    assert engine.batch_at_rate(0.0, mix=MIX, most_requests=80) in {1, 2}


def test_kalman_by_hand():
    kalman = Kalman()
    assert kalman.predicted() == 0
    kalman.add(0.0)  # idle before the first load is no load
    kalman.add(100.0)
    assert kalman.predicted() == 100
    kalman.add(110.0)
    # gain 2001 / 2011, trend gain 1000 / 2011, surprise 10
    assert kalman.predicted() == pytest.approx(100 + 9.95027 + 4.97265, abs=1e-4)


def test_kalman_follows_a_ramp():
    kalman = Kalman()
    for value in range(100, 200, 5):
        kalman.add(value)
    assert kalman.predicted() == pytest.approx(200, abs=0.5)


def test_arima_says_the_last_value_until_it_can_be_fitted():
    arima = Arima()
    assert arima.predicted() == 0
    for value in (0.0, 7.0, 9.0):
        arima.add(value)
    assert arima.predicted() == 9


def test_arima_of_a_constant_is_that_constant():
    arima = Arima()
    for _ in range(50):
        arima.add(5.0)
    assert arima.predicted() == 5


def test_arima_uses_what_alternates():
    arima = Arima()
    for step in range(60):
        arima.add(100.0 + (10 if step % 2 else -10) + (step * 7 % 5))
    assert arima.predicted() < 98  # after a high value comes a low one


def throughput(kind=PredictorKind.CONSTANT):
    return DynamoThroughput(setting=make_setting(), predictor=kind)


@pytest.mark.parametrize("kind", PredictorKind)
@pytest.mark.parametrize(
    ("arrived", "loads", "pending", "expected"),
    [
        pytest.param(2700, 1, 0, 2, id="15 a second over 8 each"),
        pytest.param(2900, 1, 0, 3, id="16.1 a second"),
        pytest.param(28_000, 1, 0, 9, id="eight more at most"),
        pytest.param(180, 12, 0, 4, id="eight fewer at most"),
        pytest.param(2900, 1, 1, 2, id="no more while one starts"),
        pytest.param(180, 4, 1, 1, id="fewer also while one starts"),
    ],
)
def test_throughput_mode(kind, arrived, loads, pending, expected):
    view = make_view(
        now=180, loads=[(0, 0, 0)] * loads, pending=pending, arrived=arrived, completed=arrived
    )
    assert throughput(kind).desired_replicas(view) == expected


def test_throughput_mode_holds_until_lengths_are_known():
    view = make_view(now=180, loads=[(9, 0, 0)] * 3, arrived=2900)
    assert throughput().desired_replicas(view) == 3


def test_throughput_mode_counts_each_interval_alone():
    policy = throughput()
    policy.desired_replicas(make_view(now=180, loads=[(0, 0, 0)], arrived=2900, completed=2900))
    view = make_view(now=360, loads=[(0, 0, 0)] * 3, arrived=2900 + 180, completed=3000)
    assert policy.desired_replicas(view) == 1


@pytest.mark.parametrize(
    ("loads", "pending", "expected"),
    [
        pytest.param([(90, 0, 0)] * 2, 0, 3, id="steps of 110 ms everywhere"),
        pytest.param([(90, 0, 0), (10, 0, 0)], 0, 2, id="one engine is still quick"),
        pytest.param([(10, 25, 0)] * 2, 0, 3, id="25 prompts of 100 ms before the first token"),
        pytest.param([(90, 0, 0)] * 2, 1, 3, id="nothing while one starts"),
        pytest.param([(30, 0, 0)] * 2, 0, 1, id="one carries 60 in 80 ms, less than 80.08"),
        pytest.param([(31, 0, 0)] * 2, 0, 2, id="62 would take 82 ms"),
        pytest.param([(10, 0, 50_000)] * 2, 0, 2, id="the cache of one would be full"),
        pytest.param([(10, 8, 0)] * 2, 0, 2, id="16 queued would take too long for one"),
        pytest.param([(1, 0, 0)], 0, 1, id="the last one stays"),
        pytest.param([], 0, 0, id="nothing to see"),
    ],
)
def test_load_mode(loads, pending, expected):
    policy = DynamoLoad(setting=make_setting())
    view = make_view(loads=loads, pending=pending, completed=10)
    assert policy.desired_replicas(view) == expected


def test_predictors_by_name():
    assert type(new_predictor(PredictorKind("kalman"))) is Kalman
