"""Three days with a burst at nine: `decide` runs after it on the first, and ahead of it on the third."""

from functools import cache

import numpy as np
import pytest

from autoscaler.replay.decide_policy import DecidePolicy
from autoscaler.replay.run import Conditions, Outcome, replay
from autoscaler.replay.view import FleetView
from autoscaler.replay.workload import Workload
from support.replays import TABLED, make_setting

DAY_SECONDS = 86_400.0
NINE = 9 * 3600.0
DAYS = 3
SETTING = make_setting(costs=TABLED, provision_seconds=120.0, max_replicas=16)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Counted(DecidePolicy):
    """`decide`, with the replicas that were ready at each look."""

    ready: dict[float, int]

    def desired_replicas(self, view: FleetView) -> int:
        """As ever."""
        self.ready[view.now_seconds] = view.ready_replicas
        return super().desired_replicas(view)


@cache
def replayed() -> tuple[Outcome, dict[float, int]]:
    """Two requests a second, eight from nine to twenty past; and the ready replicas by time."""
    random, minutes = np.random.default_rng(3), np.arange(DAYS * 1440)
    is_burst = (minutes % 1440 >= 540) & (minutes % 1440 < 560)
    counts = random.poisson(np.where(is_burst, 8.0, 2.0) * 60.0)
    arrivals = np.sort(np.repeat(minutes * 60.0, counts) + random.uniform(0, 60, counts.sum()))
    prompts, outputs = random.lognormal([[6.0], [4.0]], 0.5, (2, len(arrivals)))
    policy = Counted(SETTING, interval_seconds=60.0)
    policy.ready = {}
    outcome = replay(
        Workload(
            arrival_seconds=arrivals,
            prompt_tokens=np.clip(np.rint(prompts), 1, 4000).astype(np.int64),
            output_tokens=np.clip(np.rint(outputs), 1, 600).astype(np.int64),
        ),
        setting=SETTING,
        policy=policy,
        conditions=Conditions(initial_replicas=1),
        end_seconds=DAYS * DAY_SECONDS,
    )
    return outcome, policy.ready


def attainment_ratio(*, day: int) -> float:
    """Of what arrived from nine to twenty past."""
    begin = day * DAY_SECONDS + NINE
    return replayed()[0].score(begin, begin + 1200.0).attainment_ratio


@pytest.mark.parametrize(
    ("day", "ready"),
    [pytest.param(0, 1, id="first-day"), pytest.param(2, 2, id="third-day")],
)
def test_replicas_serve_before_a_burst_that_past_days_had(day: int, ready: int) -> None:
    at_nine = day * DAY_SECONDS + NINE
    counts = replayed()[1]
    assert counts[at_nine - 3600.0] == 1
    assert counts[at_nine] == ready


def test_requests_of_a_foretold_burst_are_in_time() -> None:
    assert attainment_ratio(day=0) < 0.9
    assert attainment_ratio(day=2) > 0.99


def test_between_bursts_nothing_more_is_kept() -> None:
    outcome, _ = replayed()
    first, *_, third = (
        outcome.score(day * DAY_SECONDS + 11 * 3600.0, (day + 1) * DAY_SECONDS).gpu_hours
        for day in range(DAYS)
    )
    assert third <= 1.02 * first
