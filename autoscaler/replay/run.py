"""One policy against one workload on a virtual clock, from the first request to the last.

In: workload, setting, policy, conditions, seed. Out: what became of every request and replica. Same
inputs, same bytes. Knows no policy by name.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from autoscaler.replay.faults import Faults
from autoscaler.replay.fleet import Fleet, Life, Provisioning
from autoscaler.replay.lookout import Lookout
from autoscaler.replay.score import Score, Served, score
from autoscaler.replay.service_plant import RequestStatus, ServicePlant
from autoscaler.replay.view import Policy, Setting
from autoscaler.replay.workload import Workload

GRACE_SECONDS = 600.0
"""After the last arrival nothing is decided any more; what has not ended by then never will."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Everything about a replay that is neither demand nor policy."""

    seed: int = 0
    initial_replicas: int = 1
    provisioning: Provisioning = field(default_factory=Provisioning)
    max_held_requests: int | None = None
    hold_timeout_seconds: float | None = None
    faults: Faults = field(default_factory=Faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A step of the schedule."""

    time_seconds: float
    ordered_replicas: int
    ready_replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All that happened."""

    served: Served
    lives: tuple[Life, ...]
    change_seconds: tuple[float, ...]  # one per replica ordered or taken back
    schedule: tuple[Change, ...]
    setting: Setting
    end_seconds: float

    def score(self, start_seconds: float = 0.0, end_seconds: float | None = None) -> Score:
        """Of a window; of the whole trace without one."""
        end = self.end_seconds if end_seconds is None else end_seconds
        if start_seconds < end and end >= self.end_seconds:
            end = math.nextafter(end, math.inf)  # the last request arrives at the very end
        return score(
            self.served,
            lives=self.lives,
            change_seconds=self.change_seconds,
            setting=self.setting,
            window_seconds=(start_seconds, end),
        )


def replay(
    workload: Workload,
    *,
    setting: Setting,
    policy: Policy,
    conditions: Conditions,
    end_seconds: float | None = None,
) -> Outcome:
    """Runs it. The policy is asked every `interval_seconds`, first after one interval."""
    run = _Run(workload, setting=setting, policy=policy, conditions=conditions)
    end = workload.end_seconds if end_seconds is None else end_seconds
    run.fleet.begin(conditions.initial_replicas)
    ticks = int(end / policy.interval_seconds)
    for tick in range(1, ticks + 1):
        run.step(tick * policy.interval_seconds)
    run.fleet.advance(end + GRACE_SECONDS)
    return run.outcome(end)


class _Run:
    def __init__(
        self, workload: Workload, *, setting: Setting, policy: Policy, conditions: Conditions
    ) -> None:
        self._workload = workload
        self._setting = setting
        self._policy = policy
        self._strikes = _strikes(conditions.faults)
        plant = ServicePlant(
            workload=workload,
            costs=setting.costs,
            limits=setting.limits,
            max_held_requests=conditions.max_held_requests,
            hold_timeout_seconds=conditions.hold_timeout_seconds,
        )
        self.fleet = Fleet(
            plant=plant,
            setting=setting,
            provisioning=conditions.provisioning,
            random=np.random.default_rng(conditions.seed),
            faults=conditions.faults,
        )
        self._lookout = Lookout(self.fleet, faults=conditions.faults)
        self._changes: list[float] = []
        self._schedule: list[Change] = []

    def step(self, now: float) -> None:
        """Everything until `now`, then one look and one order."""
        while self._strikes and self._strikes[-1][0] <= now:
            at, factor = self._strikes.pop()
            self.fleet.advance(at)
            if factor is None:
                self.fleet.kill()
            else:
                self.fleet.slow(factor)
        self.fleet.advance(now)
        view = self._lookout.look()
        wanted = self._policy.desired_replicas(view)
        limits = self._setting
        wanted = max(limits.min_replicas, min(wanted, limits.max_replicas))
        self._changes += [now] * self.fleet.order(wanted)
        self._note(now, ready=view.ready_replicas)

    def _note(self, now: float, *, ready: int) -> None:
        ordered = self.fleet.ordered_replicas
        last = self._schedule[-1] if self._schedule else None
        if last is None or (last.ordered_replicas, last.ready_replicas) != (ordered, ready):
            self._schedule.append(
                Change(time_seconds=now, ordered_replicas=ordered, ready_replicas=ready)
            )

    def outcome(self, end_seconds: float) -> Outcome:
        """The result, once everything was run."""
        return Outcome(
            served=served(self.fleet.plant, workload=self._workload),
            lives=tuple(self.fleet.lives),
            change_seconds=tuple(self._changes),
            schedule=tuple(self._schedule),
            setting=self._setting,
            end_seconds=end_seconds,
        )


def _strikes(faults: Faults) -> list[tuple[float, float | None]]:
    """(when, how many times slower; None: dead) for what strikes a replica, the last first."""
    deaths: list[tuple[float, float | None]] = [(at, None) for at in faults.deaths_seconds]
    slow = [(each.at_seconds, each.factor) for each in faults.slow_replicas]
    return sorted((*deaths, *slow), key=lambda strike: strike[0], reverse=True)


def served(plant: ServicePlant, *, workload: Workload) -> Served:
    """What became of every request, once everything was run."""
    first = plant.first_token_seconds - workload.arrival_seconds
    spent = plant.finished_seconds - plant.first_token_seconds
    after_first = workload.output_tokens - 1
    mean = np.divide(spent, after_first, out=np.zeros_like(spent), where=after_first > 0)
    mean[plant.status != RequestStatus.DONE] = np.nan
    return Served(
        workload=workload,
        status=plant.status,
        first_token_seconds=first,
        output_token_seconds=mean,
    )
