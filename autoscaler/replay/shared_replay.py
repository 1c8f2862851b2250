"""Several services on one inventory against one policy, on a virtual clock, step by step or at once.

In: services with their requests, accelerators, a policy, a seed. Out: what became of every request and
replica, per service. Same inputs, same bytes, however the time is cut into steps. Knows no policy by name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from autoscaler.replay.fleet import Provisioning
from autoscaler.replay.run import GRACE_SECONDS, Change, Outcome, served
from autoscaler.replay.shared_fleet import SharedFleet, SharedService
from autoscaler.replay.shared_policy import SharedPolicy
from autoscaler.replay.tally import Counter, Tally
from collector.model.ids import ServiceName

PLACE_INTERVAL_SECONDS = 15.0
"""How often room is looked for, for orders that wait, where the policy is asked less often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedConditions:
    """Everything about such a replay that is neither demand nor policy."""

    gpus: int
    end_seconds: float
    seed: int = 0
    provisioning: Provisioning = field(default_factory=Provisioning)


class SharedReplay:
    """One run; call `step` until it says that it is over, then `outcomes`."""

    def __init__(
        self,
        services: Sequence[SharedService],
        *,
        policy: SharedPolicy,
        conditions: SharedConditions,
    ) -> None:
        self.services = {each.name: each for each in services}
        self.policy = policy
        self.conditions = conditions
        self.now_seconds = 0.0
        self.fleet = SharedFleet(
            services,
            gpus=conditions.gpus,
            provisioning=conditions.provisioning,
            seed=conditions.seed,
        )
        self._counters = {
            each.name: Counter(
                self.fleet.fleets[each.name].plant,
                workload=each.workload,
                objectives=each.setting.objectives,
            )
            for each in services
        }
        self._ticks = 0
        self._places = 0
        self._changes: dict[ServiceName, list[float]] = {each.name: [] for each in services}
        self._schedules: dict[ServiceName, list[Change]] = {each.name: [] for each in services}

    @property
    def changes(self) -> int:
        """Replicas ordered or taken back so far, of all services."""
        return sum(len(each) for each in self._changes.values())

    @property
    def is_over(self) -> bool:
        """Whether nothing is decided any more."""
        return self.next_step_seconds > self.conditions.end_seconds

    @property
    def next_step_seconds(self) -> float:
        """When the policy is asked, or room looked for, next."""
        return min(self._next_tick_seconds, (self._places + 1) * PLACE_INTERVAL_SECONDS)

    @property
    def _next_tick_seconds(self) -> float:
        return (self._ticks + 1) * self.policy.interval_seconds

    def step(self) -> None:
        """Everything until the next step, then one look and one order if it is the policy's turn."""
        now = self.next_step_seconds
        is_tick = now == self._next_tick_seconds
        self._note_changes(self.fleet.advance(now), now=now)
        self.now_seconds = now
        self._places = int(now / PLACE_INTERVAL_SECONDS)
        if not is_tick:
            return
        self._ticks += 1
        views = self.fleet.look()
        self._note_changes(self.fleet.order(self.policy.desired_replicas(views)), now=now)
        for name, view in views.items():
            self._note(name, now=now, ready=view.ready_replicas)

    def finish(self) -> None:
        """What is under way at the end may still end."""
        for fleet in self.fleet.fleets.values():
            fleet.advance(self.conditions.end_seconds)
        self.now_seconds = self.conditions.end_seconds
        for fleet in self.fleet.fleets.values():
            fleet.advance(self.conditions.end_seconds + GRACE_SECONDS)

    def tally(self, service: ServiceName) -> Tally:
        """How it has done so far."""
        return self._counters[service].count(self.fleet.fleets[service].now_seconds)

    def gpu_hours(self, service: ServiceName) -> float:
        """From each order to its drained end, so far."""
        hours = sum(life.hours(0.0, self.now_seconds) for life in self.fleet.fleets[service].lives)
        return hours * self.services[service].setting.gpus_per_replica

    def outcomes(self) -> Mapping[ServiceName, Outcome]:
        """Per service, once it is finished."""
        return {
            name: Outcome(
                served=served(self.fleet.fleets[name].plant, workload=service.workload),
                lives=tuple(self.fleet.fleets[name].lives),
                change_seconds=tuple(self._changes[name]),
                schedule=tuple(self._schedules[name]),
                setting=service.setting,
                end_seconds=self.conditions.end_seconds,
            )
            for name, service in self.services.items()
        }

    def _note_changes(self, changes: Mapping[ServiceName, int], *, now: float) -> None:
        for name, count in changes.items():
            self._changes[name] += [now] * count

    def _note(self, name: ServiceName, *, now: float, ready: int) -> None:
        ordered = self.fleet.fleets[name].ordered_replicas
        schedule = self._schedules[name]
        last = schedule[-1] if schedule else None
        if last is None or (last.ordered_replicas, last.ready_replicas) != (ordered, ready):
            schedule.append(
                Change(time_seconds=now, ordered_replicas=ordered, ready_replicas=ready)
            )


def replay_shared(
    services: Sequence[SharedService], *, policy: SharedPolicy, conditions: SharedConditions
) -> Mapping[ServiceName, Outcome]:
    """All of it at once. The policy is asked every `interval_seconds`, first after one interval."""
    run = SharedReplay(services, policy=policy, conditions=conditions)
    while not run.is_over:
        run.step()
    run.finish()
    return run.outcomes()
