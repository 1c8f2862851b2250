"""Three days of history before the start: the second day of running meets a burst at nine in time.

Without them that day is the first one that past days say anything of, and the third is the first that is ready
(`test_past_days`).
"""

from functools import cache

import numpy as np
import pytest

from autoscaler.forecast.past_days import DAY_SECONDS, PastWanted
from autoscaler.learn import apply_event
from autoscaler.model.event import PastDaysTold
from autoscaler.model.state import ControllerState, DayProfile
from autoscaler.replay.catalogue import SERVICE, replay_catalogue
from autoscaler.replay.decide_policy import DecidePolicy
from autoscaler.replay.run import Conditions, Outcome, replay
from autoscaler.replay.seen_service import START_TIMESTAMP_SECONDS
from autoscaler.replay.view import FleetView
from autoscaler.replay.workload import Workload
from collector.clock import VirtualClock
from collector.model.catalogue import Control
from foresail.past_reading import PastReading, Wish
from support.past_days import FakePast
from support.replays import TABLED, make_setting

NINE = 9 * 3600.0
SETTING = make_setting(costs=TABLED, provision_seconds=120.0, max_replicas=16)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Counted(DecidePolicy):
    """`decide`, with the replicas that were ready at each look."""

    ready: dict[float, int]

    def desired_replicas(self, view: FleetView) -> int:
        """As ever."""
        self.ready[view.now_seconds] = view.ready_replicas
        return super().desired_replicas(view)


def rate(timestamp_seconds: float) -> float:
    """Two requests a second, eight from nine to twenty past."""
    return 8.0 if 0.0 <= timestamp_seconds % DAY_SECONDS - NINE < 1200.0 else 2.0


def workload(*, days: int) -> Workload:
    random, minutes = np.random.default_rng(3), np.arange(days * 1440)
    counts = random.poisson([60.0 * rate(60.0 * each) for each in minutes])
    arrivals = np.sort(np.repeat(minutes * 60.0, counts) + random.uniform(0, 60, counts.sum()))
    prompts, outputs = random.lognormal([[6.0], [4.0]], 0.5, (2, len(arrivals)))
    return Workload(
        arrival_seconds=arrivals,
        prompt_tokens=np.clip(np.rint(prompts), 1, 4000).astype(np.int64),
        output_tokens=np.clip(np.rint(outputs), 1, 600).astype(np.int64),
    )


def told_by_history(*, days: int) -> ControllerState:
    """The state of a controller that was told so many days before it starts."""
    (service,) = replay_catalogue(SETTING, control=Control()).services
    begin = START_TIMESTAMP_SECONDS - days * DAY_SECONDS
    found = PastReading(
        FakePast({SERVICE: rate}, output_tokens=lambda _: 14.0),
        wishes=[
            Wish(
                service=service,
                wanted=PastWanted(base=DayProfile(), begin_timestamp_seconds=begin),
            )
        ],
        state=ControllerState(),
        end_timestamp_seconds=START_TIMESTAMP_SECONDS,
        clock=VirtualClock(START_TIMESTAMP_SECONDS),
    ).read()
    return apply_event(ControllerState(), PastDaysTold(profiles=found.profiles))


@cache
def replayed(past_days: int) -> tuple[Outcome, dict[float, int]]:
    """Two days of running, and the ready replicas by time."""
    state = told_by_history(days=past_days) if past_days else ControllerState()
    policy = Counted(SETTING, interval_seconds=60.0, state=state)
    policy.ready = {}
    outcome = replay(
        workload(days=2),
        setting=SETTING,
        policy=policy,
        conditions=Conditions(initial_replicas=1),
        end_seconds=2 * DAY_SECONDS,
    )
    return outcome, policy.ready


@pytest.mark.parametrize(
    ("past_days", "ready"),
    [pytest.param(0, 1, id="no-history"), pytest.param(3, 2, id="three-days-of-history")],
)
def test_the_second_day_begins_with_what_history_told(past_days: int, ready: int) -> None:
    """What a day told is worth was learned on one day only: a minute late, in place of four."""
    counts, nine = replayed(past_days)[1], DAY_SECONDS + NINE
    assert counts[nine - 3600.0] == 1
    assert counts[nine + 120.0] == ready


def test_requests_of_the_second_days_burst_are_in_time() -> None:
    nine = DAY_SECONDS + NINE
    without, told = (
        replayed(days)[0].score(nine, nine + 1200.0).attainment_ratio for days in (0, 3)
    )
    assert without < 0.9
    assert told > 0.95


def test_between_bursts_nothing_more_is_kept() -> None:
    without, told = (
        replayed(days)[0].score(DAY_SECONDS + 11 * 3600.0, 2 * DAY_SECONDS).gpu_hours
        for days in (0, 3)
    )
    assert told <= 1.02 * without
