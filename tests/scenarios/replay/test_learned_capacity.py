"""What a replica sustains, learned from a simulated engine, against what that engine really does."""

from dataclasses import replace

import numpy as np
import pytest

from autoscaler.capacity.estimate import estimate_capacity
from autoscaler.model.demand import Rates
from autoscaler.replay.catalogue import SERVICE, VARIANT, replay_catalogue
from autoscaler.replay.decide_policy import DecidePolicy
from autoscaler.replay.run import Conditions, replay
from autoscaler.replay.service_plant import ServicePlant
from autoscaler.replay.view import Setting
from autoscaler.replay.workload import IntArray, Workload
from collector.model.catalogue import Control
from support.replays import TABLED, make_setting

HOURS = 3.0
REPLICAS = 2
PROMPT_TOKENS, OUTPUT_TOKENS = 500, 100


def setting_of(slots: int) -> Setting:
    setting = make_setting(costs=TABLED, min_replicas=REPLICAS, max_replicas=REPLICAS)
    return replace(setting, limits=replace(setting.limits, max_sequence_count=slots))


def lengths(random: np.random.Generator, *, median: int, count: int) -> IntArray:
    drawn = random.lognormal(np.log(median), 0.6, count)
    return np.clip(np.rint(drawn), 1, 8 * median).astype(np.int64)


def requests(random: np.random.Generator, arrivals: np.ndarray) -> Workload:
    return Workload(
        arrival_seconds=arrivals,
        prompt_tokens=lengths(random, median=PROMPT_TOKENS, count=len(arrivals)),
        output_tokens=lengths(random, median=OUTPUT_TOKENS, count=len(arrivals)),
    )


def most_requests_per_second(setting: Setting) -> float:
    """Of one replica with a queue that never ends."""
    plant = ServicePlant(
        workload=requests(np.random.default_rng(2), np.zeros(2000)),
        costs=setting.costs,
        limits=setting.limits,
    )
    plant.open_replica(plant.add_replica())
    plant.advance(86_400.0)
    ends = np.sort(plant.finished_seconds)
    return 1000.0 / float(ends[1500] - ends[500])


@pytest.mark.parametrize(
    ("slots", "load_ratio"),
    [
        pytest.param(1, 0.75, id="one-slot"),
        pytest.param(2, 0.75, id="two-slots"),
        pytest.param(4, 0.25, id="four-slots-hardly-used"),
        pytest.param(4, 0.6, id="four-slots"),
        pytest.param(16, 0.25, id="sixteen-slots-hardly-used"),
    ],
)
def test_engines_with_small_batches_leave_the_prior(slots: int, load_ratio: float) -> None:
    setting = setting_of(slots)
    most = most_requests_per_second(setting)
    random = np.random.default_rng(3)
    minutes = np.arange(round(HOURS * 60))
    swell = 1.0 + 0.3 * np.sin(2 * np.pi * minutes / 60)
    counts = random.poisson(60.0 * load_ratio * REPLICAS * most * swell)
    arrivals = np.repeat(minutes * 60.0, counts) + random.uniform(0, 60, counts.sum())
    workload = requests(random, np.sort(arrivals))
    policy = DecidePolicy(setting)
    replay(
        workload,
        setting=setting,
        policy=policy,
        conditions=Conditions(initial_replicas=REPLICAS),
    )
    assert learned_requests_per_second(policy, setting=setting, workload=workload) == pytest.approx(
        most, rel=0.12
    )


def learned_requests_per_second(
    policy: DecidePolicy, *, setting: Setting, workload: Workload
) -> float:
    state = policy.state.variant(SERVICE, VARIANT)
    assert state.step_fit.costs is not None
    (service,) = replay_catalogue(setting, control=Control()).services
    capacity = estimate_capacity(service.variants[0], state=state, objectives=service.objectives)
    assert capacity is not None
    request = Rates(
        requests_per_second=1.0,
        prompt_tokens_per_second=float(workload.prompt_tokens.mean()),
        output_tokens_per_second=float(workload.output_tokens.mean()),
    )
    return capacity.low_ratio / capacity.work_ratio(request)
