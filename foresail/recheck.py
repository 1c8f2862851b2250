"""The second look: whether a decision still holds on a fresh snapshot, right before its effects.

Called by the executor between PREPARED and the first touch of the world. One fresh look per decision
serves all its effects, since the first of them already changes what the next would see.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from autoscaler.model.action import Direction, Scale
from autoscaler.model.decision import Decision
from autoscaler.model.effect import JournalEntry
from autoscaler.model.inputs import Inputs
from collector.model.ids import DecisionId, VariantName
from collector.model.replica import ReplicaState
from foresail.deciding import decided

MAX_REMEMBERED = 64


async def still_wanted(decision: Decision, *, inputs: Inputs) -> str | None:
    """Why the decision is no longer right, or None when the same direction would be chosen again.

    A scale-in holds only if a fresh look would take away as many; of a scale-out, all is begun.
    The replicas that this decision has ordered and not begun are taken out of the picture first:
    with them the demand would look served already.
    """
    action = decision.action
    if not isinstance(action, Scale):
        return "the decision changes nothing"
    snapshot = replace(
        inputs.snapshot,
        replicas=tuple(
            view
            for view in inputs.snapshot.replicas
            if view.replica.state is not ReplicaState.PENDING
            or not _is_of(view.replica.replica_id, decision)
        ),
    )
    again = await decided(replace(inputs, snapshot=snapshot))
    fresh = next((each for each in again.decisions if each.service == decision.service), None)
    if fresh is None:
        return f"service {decision.service} is no longer declared"
    change = fresh.action
    if not isinstance(change, Scale) or _kind(change) != _kind(action):
        return f"a fresh look says {fresh.reason.value} instead"
    if action.direction is Direction.IN and change.to_replicas > action.to_replicas:
        return f"a fresh look keeps {change.to_replicas} replicas, not {action.to_replicas}"
    return None if fresh.is_effective else f"the verdict is now {fresh.verdict.value}"


def _kind(scale: Scale) -> tuple[Direction, VariantName]:
    return scale.direction, scale.variant


def _is_of(replica_id: str, decision: Decision) -> bool:
    return f"-{decision.decision_id[:8]}-" in replica_id


@dataclass(slots=True)
class Recheck:
    """Remembers the answer per decision, so that its effects are judged together.

    Effects of one decision ask at the same time: all but the first wait for its answer.
    """

    fresh_inputs: Callable[[], Awaitable[Inputs]]
    _decisions: dict[DecisionId, Decision] = field(default_factory=dict)
    _answers: dict[DecisionId, str | None] = field(default_factory=dict)
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def announce(self, decision: Decision) -> None:
        """Makes a decision known before it is submitted."""
        self._decisions[decision.decision_id] = decision
        while len(self._decisions) > MAX_REMEMBERED:
            oldest = next(iter(self._decisions))
            del self._decisions[oldest]
            self._answers.pop(oldest, None)

    async def refusal(self, entry: JournalEntry) -> str | None:
        """Why an effect of an announced decision must not begin, or None."""
        decision_id = entry.decision_id
        decision = self._decisions.get(decision_id)
        if decision is None:
            return "the decision is not known to this controller, or no longer"
        async with self._looking:
            if decision_id not in self._answers:
                inputs = await self.fresh_inputs()
                self._answers[decision_id] = await still_wanted(decision, inputs=inputs)
            return self._answers[decision_id]
