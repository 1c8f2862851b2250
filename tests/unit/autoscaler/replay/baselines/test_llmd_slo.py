"""llm-d's law on latency: signal, dead band, credit for replicas that start, and its HPA's pace."""

import pytest

from autoscaler.replay.baselines.llmd import LlmdSloKeda
from support.fleet_views import make_setting, make_view

QUIET = (0, 0, 0)


def wanted(*, share, ready=4, pending=0, now=15):
    view = make_view(
        now=now, loads=[QUIET] * ready, pending=pending, first_token_seconds=[2.0 * share] * 10
    )
    return LlmdSloKeda(setting=make_setting()).desired_replicas(view)


@pytest.mark.parametrize(
    ("share", "ready", "pending", "expected"),
    [
        pytest.param(1.1, 4, 0, 8, id="double the threshold, double the replicas"),
        pytest.param(0.6, 4, 0, 5, id="4 x (0.6 / 0.55 - 1) = 0.36, rounded up"),
        pytest.param(9.0, 8, 0, 16, id="the signal is capped and the HPA doubles at most"),
        pytest.param(0.5, 4, 0, 4, id="the dead band"),
        pytest.param(0.2, 4, 0, 3, id="half of the lower threshold wants two, one may go"),
        pytest.param(1.1, 4, 4, 8, id="those that start are credited"),
        pytest.param(1.1, 2, 6, 8, id="the credit never asks for fewer"),
    ],
)
def test_law(share, ready, pending, expected):
    assert wanted(share=share, ready=ready, pending=pending) == expected


def test_the_worse_of_both_latencies_counts():
    policy = LlmdSloKeda(setting=make_setting())
    view = make_view(
        loads=[QUIET] * 4, first_token_seconds=[0.1], output_token_seconds=[1.1 * 0.1001]
    )
    assert policy.desired_replicas(view) == 8


def test_the_ninetieth_percentile_counts():
    policy = LlmdSloKeda(setting=make_setting())
    view = make_view(loads=[QUIET] * 4, first_token_seconds=[1.0] * 9 + [100.0])
    assert policy.desired_replicas(view) == 4
    policy = LlmdSloKeda(setting=make_setting())
    view = make_view(loads=[QUIET] * 4, first_token_seconds=[1.0] * 8 + [2.2] * 2)
    assert policy.desired_replicas(view) == 8


def test_a_minute_without_latencies_reads_as_idle():
    policy = LlmdSloKeda(setting=make_setting())
    orders = []
    for now in range(15, 400, 15):
        seconds = [1.0] * 10 if now <= 30 else []
        view = make_view(now=now, loads=[QUIET] * 4, first_token_seconds=seconds)
        orders.append(policy.desired_replicas(view))
    assert orders[0] == 4
    assert orders[-1] == 3


def test_down_one_in_two_minutes():
    policy = LlmdSloKeda(setting=make_setting())
    ready, changed = 6, []
    for now in range(15, 600, 15):
        view = make_view(now=now, loads=[QUIET] * ready, first_token_seconds=[0.2])
        if (ordered := policy.desired_replicas(view)) != ready:
            changed.append(now)
            ready = ordered
    assert changed == [15, 135, 255, 375, 495]
    assert ready == 1
