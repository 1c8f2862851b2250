"""Laws on requests in the service: HPA, KEDA, Knative, Ray Serve, KubeAI."""

import pytest

from autoscaler.replay.baselines.hpa import HpaConcurrency, HpaKv
from autoscaler.replay.baselines.keda import KedaWaiting
from autoscaler.replay.baselines.knative import KnativeKpa
from autoscaler.replay.baselines.kubeai import KubeAi
from autoscaler.replay.baselines.ray_serve import RayServe
from support.fleet_views import make_setting, make_view


def test_hpa_counts_running_and_waiting():
    policy = HpaConcurrency(setting=make_setting(), target_requests=40)
    assert policy.desired_replicas(make_view(loads=[(40, 20, 0), (50, 10, 0)])) == 3


def test_hpa_reads_the_share_of_the_cache():
    policy = HpaKv(setting=make_setting(), target_kv_ratio=0.5)
    assert policy.desired_replicas(make_view(loads=[(1, 0, 80_000), (1, 0, 90_000)])) == 4


def test_hpa_holds_while_nothing_is_ready():
    policy = HpaConcurrency(setting=make_setting(), target_requests=40)
    assert policy.desired_replicas(make_view(pending=3, held=500)) == 3


@pytest.mark.parametrize(
    ("waiting", "held", "expected"),
    [
        pytest.param(23, 0, 5, id="five per replica"),
        pytest.param(10, 0, 2, id="as many as two may have"),
        pytest.param(0, 25, 5, id="held ones wait too"),
    ],
)
def test_keda_divides_the_queue(waiting, held, expected):
    policy = KedaWaiting(setting=make_setting())
    view = make_view(loads=[(9, waiting, 0), (9, 0, 0)], held=held)
    assert policy.desired_replicas(view) == expected


def test_keda_goes_to_zero_after_the_cooldown_and_back_at_the_first_request():
    policy = KedaWaiting(setting=make_setting(min_replicas=0))
    assert policy.desired_replicas(make_view(now=15, loads=[(0, 1, 0)])) == 1
    for now in range(30, 315, 15):
        assert policy.desired_replicas(make_view(now=now, loads=[(0, 0, 0)])) == 1
    assert policy.desired_replicas(make_view(now=315, loads=[(0, 0, 0)])) == 0
    assert policy.desired_replicas(make_view(now=330)) == 0
    assert policy.desired_replicas(make_view(now=345, held=1)) == 1


def test_knative_follows_the_stable_window():
    policy = KnativeKpa(setting=make_setting())
    for now in range(2, 120, 2):
        policy.desired_replicas(make_view(now=now, loads=[(70, 0, 0)] * 3))
    assert policy.desired_replicas(make_view(now=120, loads=[(70, 0, 0)] * 3)) == 3


def test_knative_panics_at_double_and_does_not_go_down_for_a_minute():
    policy = KnativeKpa(setting=make_setting())
    for now in range(2, 100, 2):
        assert policy.desired_replicas(make_view(now=now, loads=[(1, 0, 0)])) == 1
    wanted = [
        policy.desired_replicas(make_view(now=now, loads=[(210, 0, 0)])) for now in (100, 102, 104)
    ]
    assert wanted == [2, 3, 3]  # panic window 6 s: means 70.7, 140.3, 210 over 70
    for now in range(106, 166, 2):
        assert policy.desired_replicas(make_view(now=now, loads=[(0, 0, 0)] * 3)) == 3
    assert policy.desired_replicas(make_view(now=166, loads=[(0, 0, 0)] * 3)) == 1


def test_knative_halves_at_most():
    policy = KnativeKpa(setting=make_setting())
    assert policy.desired_replicas(make_view(now=2, loads=[(0, 0, 0)] * 10)) == 5


def test_knative_with_a_delay_remembers_the_most():
    policy = KnativeKpa(setting=make_setting(), scale_down_delay_seconds=300.0)
    assert policy.desired_replicas(make_view(now=2, loads=[(70, 0, 0)] * 4)) == 4
    assert policy.desired_replicas(make_view(now=300, loads=[(0, 0, 0)] * 4)) == 4
    assert policy.desired_replicas(make_view(now=362, loads=[(0, 0, 0)] * 4)) == 2


def test_ray_acts_after_its_delays():
    policy = RayServe(target_requests=2)
    orders = {
        now: policy.desired_replicas(make_view(now=now, loads=[(7, 1, 0)]))
        for now in (10, 20, 30, 40)
    }
    assert orders == {10: 1, 20: 1, 30: 1, 40: 4}
    idle = [
        policy.desired_replicas(make_view(now=now, loads=[(0, 0, 0)] * 4))
        for now in range(50, 651, 10)
    ]
    assert set(idle[:-1]) == {4}
    assert idle[-1] == 0  # the runner keeps the minimum


def test_ray_starts_at_once_from_zero():
    policy = RayServe()
    assert policy.desired_replicas(make_view(now=10)) == 0
    assert policy.desired_replicas(make_view(now=20, held=1)) == 1


def test_kubeai_averages_ten_minutes_and_asks_down_three_times():
    policy = KubeAi(target_requests=100)
    for now in range(10, 601, 10):
        wanted = policy.desired_replicas(make_view(now=now, loads=[(150, 0, 0)] * 2))
    assert wanted == 3
    orders = [
        policy.desired_replicas(make_view(now=now, loads=[(0, 0, 0)] * 3))
        for now in range(610, 1000, 10)
    ]
    # 300 x (60 - k) / 60 / 100 is at most 2 from the 20th empty look on; three asks are not enough.
    assert orders.index(2) == 22
