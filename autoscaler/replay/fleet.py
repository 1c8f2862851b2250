"""Replicas of one service in a replay: ordered, ready after a while, drained, gone; with their hours.

In: orders of a policy at points in time. Out: what the plant is told, and each replica's life. The
plant knows requests and engines, this knows orders. Chance comes from a seeded generator only.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from autoscaler.replay.faults import Faults
from autoscaler.replay.service_plant import ServicePlant
from autoscaler.replay.view import Setting

SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioning:
    """How long a start takes: lognormal around the setting's median."""

    sigma: float = 0.25
    """Spread of the logarithm. Source: published load times (p50 22.7 s, p90 42 s, p99 52 s)."""
    start_timeout_seconds: float = 3600.0
    """A start that takes longer is given up, as the executor does."""


@dataclass(slots=True, kw_only=True)
class Life:
    """One replica from order to end. Seconds since the start of the trace."""

    number: int
    ordered_seconds: float
    ready_seconds: float  # when it is, or would have been, ready
    drained_seconds: float | None = None  # told to stop
    ended_seconds: float | None = None

    def hours(self, start_seconds: float, end_seconds: float) -> float:
        """Of its life within a window."""
        ended = end_seconds if self.ended_seconds is None else min(self.ended_seconds, end_seconds)
        return max(0.0, ended - max(self.ordered_seconds, start_seconds)) / SECONDS_PER_HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """Replicas that ended without being told to."""

    failed_starts_seconds: tuple[float, ...]  # when each start was given up
    failed_orders_seconds: tuple[float, ...]  # when each of these had been ordered
    lives_lost_seconds: tuple[float, ...]  # how long each that died had served


@dataclass(slots=True, kw_only=True)
class Fleet:
    """All replicas of one service; carries out orders."""

    plant: ServicePlant
    setting: Setting
    provisioning: Provisioning
    random: np.random.Generator
    faults: Faults = field(default_factory=Faults)
    lives: list[Life] = field(default_factory=list)
    now_seconds: float = 0.0
    _pending: list[Life] = field(default_factory=list)
    _ready: list[Life] = field(default_factory=list)
    _draining: list[Life] = field(default_factory=list)
    _started: list[Life] = field(default_factory=list)
    _failed_starts: list[Life] = field(default_factory=list)
    _lives_lost: list[float] = field(default_factory=list)

    @property
    def ordered_replicas(self) -> int:
        """Pending and ready ones."""
        return len(self._pending) + len(self._ready)

    @property
    def draining_replicas(self) -> int:
        """Told to stop, still at work."""
        return len(self._draining)

    @property
    def draining_numbers(self) -> tuple[int, ...]:
        """Of the replicas that drain."""
        return tuple(life.number for life in self._draining)

    @property
    def pending_ordered_seconds(self) -> tuple[float, ...]:
        """When each pending one was ordered."""
        return tuple(life.ordered_seconds for life in self._pending)

    @property
    def ready_numbers(self) -> tuple[int, ...]:
        """Of the replicas that serve, the oldest first."""
        return tuple(life.number for life in self._ready)

    def take_starts(self) -> tuple[Life, ...]:
        """The replicas that became ready since the last call."""
        taken = tuple(self._started)
        self._started.clear()
        return taken

    def take_ends(self) -> Ends:
        """Those since the last call."""
        ends = Ends(
            failed_starts_seconds=tuple(map(self._given_up_seconds, self._failed_starts)),
            failed_orders_seconds=tuple(each.ordered_seconds for each in self._failed_starts),
            lives_lost_seconds=tuple(self._lives_lost),
        )
        self._failed_starts.clear()
        self._lives_lost.clear()
        return ends

    def begin(self, replicas: int) -> None:
        """Replicas that serve from the start, as if ordered long ago."""
        for _ in range(replicas):
            life = self._ordered(ready_seconds=self.now_seconds)
            self._open(life)

    def advance(self, to_seconds: float) -> None:
        """Replicas become ready and drained ones end, each at its own time."""
        for life in self._due(to_seconds):
            if self._given_up_seconds(life) < life.ready_seconds:
                self._give_up(life)
                continue
            self.plant.advance(life.ready_seconds)
            self._open(life)
            self._started.append(life)
        self.plant.advance(to_seconds)
        self.now_seconds = to_seconds
        self._end_drained()

    def order(self, replicas: int) -> int:
        """Carries out a wish; how many replicas were ordered or taken back."""
        change = replicas - self.ordered_replicas
        for _ in range(change):
            self._pending.append(self._ordered(ready_seconds=self.now_seconds + self._lead()))
        for _ in range(-change):
            self._take_one_back()
        return abs(change)

    def kill(self) -> int:
        """The oldest ready replica dies; how many requests die with it. None ready: nothing happens."""
        if not self._ready:
            return 0
        life = self._ready.pop(0)
        lost = self.plant.kill_replica(life.number)
        life.ended_seconds = self.now_seconds
        self._lives_lost.append(self.now_seconds - life.ready_seconds)
        return lost

    def slow(self, factor: float) -> None:
        """The oldest ready replica takes so many times as long. None ready: nothing happens."""
        if self._ready:
            self.plant.slow_replica(self._ready[0].number, factor)

    def _due(self, to_seconds: float) -> Iterator[Life]:
        """Pending ones whose start has ended by then, one way or the other, in order of that."""
        ends = {each.number: self._start_end_seconds(each) for each in self._pending}
        due = [each for each in self._pending if ends[each.number] <= to_seconds]
        yield from sorted(due, key=lambda life: (ends[life.number], life.number))

    def _start_end_seconds(self, life: Life) -> float:
        return min(life.ready_seconds, self._given_up_seconds(life))

    def _given_up_seconds(self, life: Life) -> float:
        return life.ordered_seconds + self.provisioning.start_timeout_seconds

    def _give_up(self, life: Life) -> None:
        self._pending.remove(life)
        self.plant.remove_replica(life.number)
        life.ended_seconds = self._given_up_seconds(life)
        self._failed_starts.append(life)

    def _ordered(self, *, ready_seconds: float) -> Life:
        life = Life(
            number=self.plant.add_replica(),
            ordered_seconds=self.now_seconds,
            ready_seconds=ready_seconds,
        )
        self.lives.append(life)
        return life

    def _open(self, life: Life) -> None:
        if life in self._pending:
            self._pending.remove(life)
        self._ready.append(life)
        self.plant.open_replica(life.number)

    def _lead(self) -> float:
        chance = float(np.exp(self.provisioning.sigma * self.random.standard_normal()))
        return self.setting.provision_seconds * chance * self.faults.start_factor(self.now_seconds)

    def _take_one_back(self) -> None:
        """The newest pending one; else the ready one with the fewest requests, younger first."""
        if self._pending:
            life = self._pending.pop()
            self.plant.remove_replica(life.number)
            life.ended_seconds = self.now_seconds
            return
        load = {
            each.number: each.running_requests + each.waiting_requests
            for each in self.plant.samples()
        }
        life = min(self._ready, key=lambda each: (load[each.number], -each.number))
        self._ready.remove(life)
        life.drained_seconds = self.now_seconds
        self.plant.drain_replica(life.number)
        self._draining.append(life)
        self._end_drained()

    def _end_drained(self) -> None:
        for life in [each for each in self._draining if self.plant.is_empty(each.number)]:
            emptied = self.plant.emptied_seconds(life.number)
            life.ended_seconds = self.now_seconds if emptied is None else emptied
            self.plant.remove_replica(life.number)
            self._draining.remove(life)
