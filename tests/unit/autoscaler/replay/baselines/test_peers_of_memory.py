"""Laws on KV cache and queues: AIBrix, llm-d's variant autoscaler, llm-d's saturation."""

import pytest

from autoscaler.replay.baselines.aibrix import AibrixApa, AibrixApaAsCoded, apa_replicas
from autoscaler.replay.baselines.llmd import LlmdEppSaturation
from autoscaler.replay.baselines.wva_v1 import WvaV1
from autoscaler.replay.baselines.wva_v2 import WvaV2, capacity_before_saturation
from support.fleet_views import LIMITS, make_setting, make_view


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        pytest.param(1.5, 6, id="up by the ratio"),
        pytest.param(3.0, 8, id="never more than double"),
        pytest.param(1.1, 4, id="within tolerance above"),
        pytest.param(0.9, 4, id="within tolerance below"),
        pytest.param(0.7, 3, id="down by the ratio, rounded up"),
        pytest.param(0.1, 2, id="never below half"),
    ],
)
def test_apa_of_four(ratio, expected):
    assert apa_replicas(ratio, current=4) == expected


def test_apa_averages_three_minutes():
    policy = AibrixApa(setting=make_setting())
    assert policy.desired_replicas(make_view(now=10, loads=[(1, 0, 50_000)] * 2)) == 2
    assert policy.desired_replicas(make_view(now=20, loads=[(1, 0, 100_000)] * 2)) == 3
    assert policy.desired_replicas(make_view(now=189, loads=[(1, 0, 100_000)] * 2)) == 4


@pytest.mark.parametrize(
    ("policy_type", "expected"),
    [
        pytest.param(AibrixApa, 4, id="documented: replicas that start are the answer"),
        pytest.param(AibrixApaAsCoded, 8, id="as coded: they are multiplied again"),
    ],
)
def test_apa_while_replicas_start(policy_type, expected):
    policy = policy_type(setting=make_setting())
    view = make_view(loads=[(1, 0, 100_000)] * 2, pending=2)
    assert policy.desired_replicas(view) == expected


@pytest.mark.parametrize(
    ("policy_type", "expected"),
    [
        pytest.param(AibrixApa, [4, 4, 4], id="documented: the most of five minutes"),
        pytest.param(AibrixApaAsCoded, [4, 4, 2], id="as coded: the least of five minutes"),
    ],
)
def test_apa_going_down(policy_type, expected):
    policy = policy_type(setting=make_setting())
    kv = (50_000, 50_000, 0)
    wanted = [
        policy.desired_replicas(make_view(now=now, loads=[(1, 0, used)] * 4))
        for now, used in zip((10, 20, 250), kv, strict=True)
    ]
    assert wanted == expected
    assert policy.desired_replicas(make_view(now=400, loads=[(0, 0, 0)] * 4)) == 2


def test_apa_holds_without_a_measurement():
    assert AibrixApa(setting=make_setting()).desired_replicas(make_view(pending=2)) == 2


@pytest.mark.parametrize(
    ("loads", "pending", "expected"),
    [
        pytest.param([(1, 0, 50_000)] * 2, 0, 2, id="one alone could not carry it"),
        pytest.param([(1, 0, 75_000)] * 2, 0, 3, id="less than a tenth of the cache to spare"),
        pytest.param([(1, 3, 10_000)] * 2, 0, 3, id="less than three places in the queue to spare"),
        pytest.param([(1, 9, 90_000)] * 2, 0, 3, id="all are saturated"),
        pytest.param([(1, 9, 90_000)] * 2, 1, 3, id="nothing while one starts"),
        pytest.param([(1, 0, 1_000)], 0, 1, id="one is never taken away"),
        pytest.param([(1, 0, 10_000), (1, 0, 90_000)], 0, 2, id="one free, one saturated"),
    ],
)
def test_wva_v1(loads, pending, expected):
    policy = WvaV1(setting=make_setting())
    assert policy.desired_replicas(make_view(loads=loads, pending=pending)) == expected


def test_wva_v1_takes_one_when_four_minutes_asked_for_it():
    policy = WvaV1(setting=make_setting())
    policy.desired_replicas(make_view(now=15, loads=[(1, 0, 50_000)] * 2))
    for now in range(30, 75, 15):  # the peak of the last minute still counts
        assert policy.desired_replicas(make_view(now=now, loads=[(1, 0, 9_000)] * 2)) == 2
    wanted = [
        policy.desired_replicas(make_view(now=now, loads=[(1, 0, 9_000)] * 2))
        for now in range(75, 316, 15)
    ]
    assert wanted.index(1) == (300 - 75) // 15


def test_wva_v2_capacity_is_the_smaller_bound():
    # 1000 x 100 / 1100 = 90.9 sequences x 1050 tokens, against 80 % of 100,000
    assert capacity_before_saturation(LIMITS, lengths=(1000.0, 100.0)) == 80_000
    # 1000 x 400 / 500 = 800, at most 100 sequences x 300 tokens
    assert capacity_before_saturation(LIMITS, lengths=(100.0, 400.0)) == 30_000


@pytest.mark.parametrize(
    ("loads", "pending", "held", "expected"),
    [
        pytest.param([(1, 0, 75_000)] * 2, 0, 0, 3, id="150,000 / 0.85 is more than 160,000"),
        pytest.param([(1, 0, 75_000)] * 2, 1, 0, 3, id="the one that starts is counted"),
        pytest.param([(1, 0, 60_000)] * 2, 0, 0, 2, id="between the thresholds"),
        pytest.param([(1, 0, 60_000)] * 2, 0, 150, 4, id="held prompts are demand: 270,000"),
        pytest.param([(1, 4, 65_000)] * 2, 0, 0, 3, id="so are queued ones: 138,000"),
        pytest.param(
            [(1, 5, 40_000)] * 2, 0, 0, 3, id="a queue at 40,000 tokens shows the capacity"
        ),
    ],
)
def test_wva_v2(loads, pending, held, expected):
    policy = WvaV2(setting=make_setting())
    view = make_view(loads=loads, pending=pending, held=held, completed=10)
    assert policy.desired_replicas(view) == expected


def test_wva_v2_gives_back_whole_replicas():
    policy = WvaV2(setting=make_setting())
    # 240,000 - 60,000 / 0.70 = 154,286: one and a bit
    assert policy.desired_replicas(make_view(loads=[(1, 0, 20_000)] * 3, completed=10)) == 2


def test_wva_v2_holds_before_the_first_answer():
    policy = WvaV2(setting=make_setting())
    assert policy.desired_replicas(make_view(loads=[(100, 99, 99_000)])) == 1


@pytest.mark.parametrize(
    ("loads", "pending", "expected"),
    [
        pytest.param([(1, 0, 84_000)] * 3, 0, 4, id="cache 0.84 of 0.7: 3.6"),
        pytest.param([(1, 0, 70_000)] * 3, 0, 3, id="cache as aimed at"),
        pytest.param([(1, 3, 0)] * 2, 0, 3, id="queue 3 of 2"),
        pytest.param([(1, 4, 10_000)] * 3, 0, 4, id="the larger counts, one more per 3 minutes"),
        pytest.param([(1, 0, 10_000)] * 3, 0, 2, id="one fewer per 5 minutes"),
        pytest.param([], 2, 2, id="nothing ready, nothing changed"),
    ],
)
def test_epp_saturation(loads, pending, expected):
    policy = LlmdEppSaturation(setting=make_setting())
    assert policy.desired_replicas(make_view(loads=loads, pending=pending)) == expected
