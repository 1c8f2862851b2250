"""Foresail and one peer on the same requests, each on GPUs of its own, hour by hour side by side.

In: services, the name of a peer, a seed. Out: two replays that are advanced together, the GPUs in use over
time, and what each side last changed and why. Same inputs, same course. Knows no clock and no page.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from autoscaler.explain import BECAUSE
from autoscaler.model.action import Reason, Scale
from autoscaler.model.decision import Decision
from autoscaler.replay.baselines.registry import BASELINES
from autoscaler.replay.shared_fleet import SharedService
from autoscaler.replay.shared_policy import DecideShared, PeerPolicies, SharedPolicy
from autoscaler.replay.shared_replay import SharedConditions, SharedReplay
from autoscaler.replay.view import FleetView
from collector.model.ids import ServiceName
from foresail.demo.fleet.services import peer_setup

FORESAIL = "foresail"
SAMPLE_SECONDS = 60.0
KEPT_MOVES = 60
SILENT = "the rule of this policy says so; it gives no reason"
"""Peers are formulas: what they order is all they tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Something a side decided, or could not do."""

    at_seconds: float
    service: ServiceName
    from_replicas: int
    to_replicas: int  # as before: it wanted more and had no room
    reason: str  # in words
    explanation: str  # empty where there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """GPUs in use at one moment, draining ones included."""

    at_seconds: float
    gpus: Mapping[ServiceName, int]


@dataclass(slots=True, kw_only=True)
class Side:
    """One policy and how it does."""

    name: str
    replay: SharedReplay
    watched: "_Watched"
    samples: list[Sample] = field(default_factory=list)
    peak_gpus: int = 0  # the most in use after any step

    @property
    def moves(self) -> tuple[Move, ...]:
        """The last ones, newest first."""
        return tuple(reversed(self.watched.moves))

    def advance(self, to_seconds: float) -> None:
        """Every step that is due until then."""
        while not self.replay.is_over and self.replay.next_step_seconds <= to_seconds:
            self.replay.step()
            self.peak_gpus = max(self.peak_gpus, self.replay.fleet.gpus_in_use)
            self._sample()

    def _sample(self) -> None:
        now = self.replay.now_seconds
        if self.samples and now < self.samples[-1].at_seconds + SAMPLE_SECONDS:
            return
        fleet = self.replay.fleet
        gpus = {name: fleet.gpus_of(name) for name in self.replay.services}
        self.samples.append(Sample(at_seconds=now, gpus=gpus))


class Race:
    """Both sides."""

    def __init__(
        self,
        services: Sequence[SharedService],
        *,
        peer: str,
        conditions: SharedConditions,
    ) -> None:
        """`peer`: a name of the registry."""
        policies: dict[str, SharedPolicy] = {
            FORESAIL: DecideShared(services, gpus=conditions.gpus),
            peer: peer_policies(services, peer=peer),
        }
        self.services = tuple(services)
        self.conditions = conditions
        self.sides = tuple(
            _side(name, policy, services=services, conditions=conditions)
            for name, policy in policies.items()
        )
        self.now_seconds = 0.0
        self.is_over = False

    def advance(self, to_seconds: float) -> None:
        """Both until then, or until the end."""
        end = self.conditions.end_seconds
        for side in self.sides:
            side.advance(to_seconds)
        self.now_seconds = min(to_seconds, end)
        if to_seconds >= end and not self.is_over:
            for side in self.sides:
                side.replay.finish()
            self.is_over = True


def peer_policies(services: Sequence[SharedService], *, peer: str) -> PeerPolicies:
    """One of that name per service, with its documented default."""
    baseline = BASELINES[peer]
    setups = {each.name: peer_setup(each) for each in services}
    return PeerPolicies(
        {name: baseline.build(setup, baseline.default(setup)) for name, setup in setups.items()}
    )


def _side(
    name: str,
    policy: SharedPolicy,
    *,
    services: Sequence[SharedService],
    conditions: SharedConditions,
) -> Side:
    watched = _Watched(policy, services=services)
    replay = SharedReplay(services, policy=watched, conditions=conditions)
    return Side(name=name, replay=replay, watched=watched)


class _Watched:
    """A policy, and what it changed whenever it was asked."""

    def __init__(self, policy: SharedPolicy, *, services: Sequence[SharedService]) -> None:
        self._policy = policy
        self._settings = {each.name: each.setting for each in services}
        self._reasons: dict[ServiceName, Reason] = {}
        self.moves: deque[Move] = deque(maxlen=KEPT_MOVES)

    @property
    def interval_seconds(self) -> float:
        return self._policy.interval_seconds

    @property
    def decisions(self) -> Sequence[Decision]:
        return self._policy.decisions

    def desired_replicas(self, views: Mapping[ServiceName, FleetView]) -> dict[ServiceName, int]:
        wishes = self._policy.desired_replicas(views)
        now = next(iter(views.values())).now_seconds
        if self.decisions:
            self._note_decisions(now, views=views)
        else:
            self._note_wishes(now, wishes=wishes, views=views)
        return wishes

    def _note_decisions(self, now: float, *, views: Mapping[ServiceName, FleetView]) -> None:
        for each in self.decisions:
            is_new = self._reasons.get(each.service) is not each.reason
            self._reasons[each.service] = each.reason
            supply = views[each.service].ordered_replicas
            if isinstance(each.action, Scale):
                self._note(now, each, to_replicas=each.action.to_replicas, supply=supply)
            elif each.reason is Reason.MEMORY_FULL and is_new:
                self._note(now, each, to_replicas=supply, supply=supply)

    def _note(self, now: float, decision: Decision, *, to_replicas: int, supply: int) -> None:
        self.moves.append(
            Move(
                at_seconds=now,
                service=decision.service,
                from_replicas=supply,
                to_replicas=to_replicas,
                reason=BECAUSE[decision.reason],
                explanation=decision.explanation,
            )
        )

    def _note_wishes(
        self,
        now: float,
        *,
        wishes: Mapping[ServiceName, int],
        views: Mapping[ServiceName, FleetView],
    ) -> None:
        for name, wished in wishes.items():
            setting, before = self._settings[name], views[name].ordered_replicas
            wanted = max(setting.min_replicas, min(wished, setting.max_replicas))
            if wanted != before:
                self.moves.append(
                    Move(
                        at_seconds=now,
                        service=name,
                        from_replicas=before,
                        to_replicas=wanted,
                        reason=SILENT,
                        explanation="",
                    )
                )
