"""One cell of a backtest: one policy with one knob value under one seed, replayed and scored.

In: a `Problem` and a `Cell`. Out: a `CellResult`; same inputs, same result, in whatever process. All
that is sent to worker processes and back is defined here.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from autoscaler.replay.baselines.peer_setup import PeerSetup
from autoscaler.replay.decide_policy import DecidePolicy
from autoscaler.replay.run import Change, Conditions, replay
from autoscaler.replay.score import Score
from autoscaler.replay.view import FleetView, Policy, Setting
from autoscaler.replay.workload import Workload
from foresail.backtest.policies import build_policy

_START_SECONDS: Final = 900.0
_START_UTILISATION: Final = 0.7


class Stage(StrEnum):
    """What a replay is for."""

    TUNING = "tuning"  # of the first days only, to choose a knob
    SCORING = "scoring"  # of all days, scored on those after the tuning


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Everything that all cells share."""

    workloads: tuple[Workload, ...]  # one for all seeds, or one per seed
    setting: Setting
    tuning_seconds: float  # 0: nothing is tuned, everything is scored
    end_seconds: float  # of the replay

    def workload(self, seed: int) -> Workload:
        """The requests under that seed."""
        return self.workloads[seed % len(self.workloads)]

    def setup(self, seed: int) -> PeerSetup:
        """What policies may be told: lengths and costs of the tuning days; of all without them."""
        return PeerSetup.learned(
            setting=self.setting,
            workload=self.workload(seed),
            training_seconds=self.tuning_seconds or self.end_seconds + 1.0,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What to replay."""

    policy: str
    knob: float | None
    seed: int
    stage: Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a policy that forecasts said at one look, in replica-seconds per second of its own measure."""

    time_seconds: float
    now_ratio: float
    upper_ratio: float  # P90 of when an order could take effect, backlog included


@dataclass(frozen=True, slots=True, kw_only=True)
class CellResult:
    """What came of it."""

    cell: Cell
    score: Score  # on the days the stage is about
    tuning_score: Score | None  # of a scoring stage: on the first days; None without such days
    schedule: tuple[Change, ...]
    expected: tuple[Expected, ...]  # empty for policies that tell none


def run_cell(problem: Problem, cell: Cell) -> CellResult:
    """Replays and scores it."""
    is_tuning = cell.stage is Stage.TUNING
    end = problem.tuning_seconds if is_tuning else problem.end_seconds
    workload = problem.workload(cell.seed)
    setup = problem.setup(cell.seed)
    policy = _Watched(build_policy(cell.policy, knob=cell.knob, setup=setup))
    outcome = replay(
        workload.between(0.0, end) if is_tuning else workload,
        setting=problem.setting,
        policy=policy,
        conditions=Conditions(
            seed=cell.seed, initial_replicas=initial_replicas(setup, workload=workload)
        ),
        end_seconds=end,
    )
    start = 0.0 if is_tuning else problem.tuning_seconds
    has_first = not is_tuning and problem.tuning_seconds > 0
    return CellResult(
        cell=cell,
        score=outcome.score(start, end),
        tuning_score=outcome.score(0.0, problem.tuning_seconds) if has_first else None,
        schedule=() if is_tuning else outcome.schedule,
        expected=() if is_tuning else tuple(policy.expected),
    )


def initial_replicas(setup: PeerSetup, *, workload: Workload) -> int:
    """What every policy starts with: enough for the first quarter of an hour at 70 %."""
    first = workload.between(0.0, _START_SECONDS)
    work = float(setup.work.per_request(first).sum()) / _START_SECONDS
    setting = setup.setting
    wanted = math.ceil(work / _START_UTILISATION)
    return min(max(1, setting.min_replicas, wanted), setting.max_replicas)


class _Watched:
    """A policy, and what it expected whenever it was asked."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.expected: list[Expected] = []

    @property
    def interval_seconds(self) -> float:
        return self._policy.interval_seconds

    def desired_replicas(self, view: FleetView) -> int:
        wanted = self._policy.desired_replicas(view)
        if isinstance(self._policy, DecidePolicy) and self._policy.decision is not None:
            evidence = self._policy.decision.evidence
            now, upper = evidence.demand_work_ratio, evidence.expected_work_ratio
            if now is not None and upper is not None:
                self.expected.append(
                    Expected(time_seconds=view.now_seconds, now_ratio=now, upper_ratio=upper)
                )
        return wanted
