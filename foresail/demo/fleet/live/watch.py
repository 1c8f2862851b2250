"""What the controller of a live fleet says, look after look: replicas, GPUs in use, changes.

In: bodies of its `/v1/state` and `/v1/decisions`, and how long the traffic runs. Out: counts, a timeline, the
last moves. Between two looks everything is taken to be as it was: not answering is not zero. Pure.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from autoscaler.model.action import Reason
from collector.model.replica import HOLDING_STATES, ReplicaState
from foresail.demo.fleet.bodies import MoveBody, ServiceNowBody
from foresail.http.bodies import DecisionBody, ServiceBody, StateBody

MAX_SAMPLES: Final = 600
KEPT_MOVES: Final = 60
_GONE: Final = frozenset({ReplicaState.DRAINING, ReplicaState.STOPPED, ReplicaState.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceNow:
    """One service as the controller saw it last."""

    states: Counter[ReplicaState]
    held_requests: int

    @property
    def gpus(self) -> int:
        """In use: from the order of a replica to its end. One replica takes one."""
        return sum(self.states[state] for state in HOLDING_STATES)


class FleetWatch:
    """All services since the traffic began."""

    def __init__(
        self, names: Sequence[str], *, end_seconds: float, start_timestamp_seconds: float
    ) -> None:
        self._names = tuple(names)
        self._start_timestamp_seconds = start_timestamp_seconds
        self._sample_seconds = max(1.0, end_seconds / MAX_SAMPLES)
        self._looked_seconds = 0.0
        self._present: dict[str, str] | None = None  # {replica that is to stay: service}
        self.now = {name: ServiceNow(states=Counter(), held_requests=0) for name in self._names}
        self.gpu_seconds = dict.fromkeys(self._names, 0.0)
        self.changes = dict.fromkeys(self._names, 0)
        self.peak_gpus = 0
        self.moves: list[MoveBody] = []
        self.timeline_seconds: list[float] = []
        self.timeline_gpus: dict[str, list[int]] = {name: [] for name in self._names}

    @property
    def gpus_in_use(self) -> int:
        """Of all services."""
        return sum(each.gpus for each in self.now.values())

    def look(self, state: StateBody, *, at_seconds: float) -> None:
        """The controller's state, at a time since the traffic began."""
        self.pass_to(at_seconds)
        found = {each.name: each for each in state.services}
        self.now = {name: _now(found[name], before=self.now[name]) for name in self._names}
        self.peak_gpus = max(self.peak_gpus, self.gpus_in_use)
        self._count_changes(state)
        self._sample(at_seconds)

    def pass_to(self, at_seconds: float) -> None:
        """Time goes by and nothing new is known."""
        passed = max(0.0, at_seconds - self._looked_seconds)
        for name, service in self.now.items():
            self.gpu_seconds[name] += service.gpus * passed
        self._looked_seconds = max(self._looked_seconds, at_seconds)

    def note_decisions(self, decisions: Sequence[DecisionBody]) -> None:
        """Those remembered, newest first; what was decided before the traffic is left out."""
        moves = (
            self._move(each)
            for each in decisions
            if each.decided_timestamp_seconds >= self._start_timestamp_seconds
            and (each.action.kind == "scale" or each.reason is Reason.MEMORY_FULL)
        )
        self.moves = list(moves)[:KEPT_MOVES]

    def _move(self, decision: DecisionBody) -> MoveBody:
        action, supply = decision.action, decision.evidence.supply_replicas
        before = supply if action.from_replicas is None else action.from_replicas
        return MoveBody(
            at_seconds=decision.decided_timestamp_seconds - self._start_timestamp_seconds,
            service=decision.service,
            from_replicas=before,
            to_replicas=before if action.to_replicas is None else action.to_replicas,
            reason=decision.reason_words,
            explanation=decision.explanation,
        )

    def _count_changes(self, state: StateBody) -> None:
        """Replicas that came, and that were let go, since the last look."""
        present = {
            replica.replica_id: service.name
            for service in state.services
            for replica in service.replicas
            if replica.state not in _GONE
        }
        before = present if self._present is None else self._present
        for replica_id in present.keys() ^ before.keys():
            self.changes[present.get(replica_id) or before[replica_id]] += 1
        self._present = present

    def _sample(self, at_seconds: float) -> None:
        times = self.timeline_seconds
        if times and at_seconds < times[-1] + self._sample_seconds:
            return
        times.append(at_seconds)
        for name, service in self.now.items():
            self.timeline_gpus[name].append(service.gpus)


def now_body(name: str, now: ServiceNow, *, attainment_ratio: float | None) -> ServiceNowBody:
    """One service for the page."""
    states: Mapping[ReplicaState, int] = now.states
    return ServiceNowBody(
        name=name,
        serving_replicas=states[ReplicaState.SERVING],
        starting_replicas=states[ReplicaState.PENDING] + states[ReplicaState.LOADING],
        waiting_replicas=0,  # Foresail orders no replica that has no room
        draining_replicas=states[ReplicaState.DRAINING],
        held_requests=now.held_requests,
        attainment_ratio=attainment_ratio,
    )


def _now(service: ServiceBody, *, before: ServiceNow) -> ServiceNow:
    held = service.held_requests.value
    return ServiceNow(
        states=Counter(each.state for each in service.replicas),
        held_requests=before.held_requests if held is None else int(held),
    )
