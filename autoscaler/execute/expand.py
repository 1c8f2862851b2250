"""The effects of a decision, each named before it happens. Pure.

In: a decision that scales. Out: one `PREPARED` journal entry per replica started or stopped. The
names follow from the decision alone, so the same decision can never mean two sets of replicas.
"""

from collections.abc import Iterator

from autoscaler.model.action import Direction, Scale
from autoscaler.model.decision import Decision
from autoscaler.model.effect import EffectKind, JournalEntry, Phase
from collector.model.ids import ReplicaId

_ID_DIGITS = 8


def effect_entries(decision: Decision, *, now_timestamp_seconds: float) -> tuple[JournalEntry, ...]:
    """What has to be done, one entry per replica; empty for a decision that changes nothing."""
    return tuple(
        JournalEntry(
            effect_id=f"{decision.decision_id}/{number}",
            decision_id=decision.decision_id,
            kind=kind,
            phase=Phase.PREPARED,
            service=decision.service,
            variant=scale.variant,
            replica_id=replica_id,
            timestamp_seconds=now_timestamp_seconds,
        )
        for scale in _scales(decision)
        for kind in (_kind(scale),)
        for number, replica_id in enumerate(_replica_ids(decision, scale), start=1)
    )


def _scales(decision: Decision) -> Iterator[Scale]:
    if decision.is_effective and isinstance(decision.action, Scale):
        yield decision.action


def _kind(scale: Scale) -> EffectKind:
    return EffectKind.START if scale.direction is Direction.OUT else EffectKind.STOP


def _replica_ids(decision: Decision, scale: Scale) -> Iterator[ReplicaId]:
    if scale.direction is Direction.IN:
        yield from scale.stop_replicas
        return
    for number in range(1, scale.to_replicas - scale.from_replicas + 1):
        yield ReplicaId(f"{decision.service}-{decision.decision_id[:_ID_DIGITS]}-{number}")
