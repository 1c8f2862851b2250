"""One effect of a decision on the world, and the journal entries that make it survive a SIGKILL.

An effect is one replica started or stopped. Its phases are journaled before they happen where the
world could be left changed (`SPAWNING`, `TERMINATING`), after them otherwise. The table `NEXT` holds
every legal edge.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from collector.model.ids import DecisionId, ReplicaId, ServiceName, VariantName


class EffectKind(StrEnum):
    """What is done to the replica."""

    START = "start"
    STOP = "stop"


class Phase(StrEnum):
    """How far an effect has come."""

    PREPARED = "prepared"  # accepted under its decision id; nothing touched
    SPAWNING = "spawning"  # the process may exist from now on, findable by its replica id
    SPAWNED = "spawned"  # pid known
    VERIFIED = "verified"  # start: serves tokens; stop: is gone
    DRAINING = "draining"  # out of the routing table, waiting for its requests
    TERMINATING = "terminating"  # told to end
    ROLLING_BACK = "rolling_back"  # start failed, its process is being removed
    ROLLED_BACK = "rolled_back"
    REFUSED = "refused"  # the second look said no; nothing was touched


TERMINAL = frozenset({Phase.VERIFIED, Phase.ROLLED_BACK, Phase.REFUSED})

NEXT: Mapping[EffectKind, Mapping[Phase, frozenset[Phase]]] = {
    EffectKind.START: {
        Phase.PREPARED: frozenset({Phase.SPAWNING, Phase.REFUSED}),
        Phase.SPAWNING: frozenset({Phase.SPAWNED, Phase.ROLLING_BACK}),
        Phase.SPAWNED: frozenset({Phase.VERIFIED, Phase.ROLLING_BACK}),
        Phase.ROLLING_BACK: frozenset({Phase.ROLLED_BACK}),
    },
    EffectKind.STOP: {
        Phase.PREPARED: frozenset({Phase.DRAINING, Phase.REFUSED}),
        Phase.DRAINING: frozenset({Phase.TERMINATING, Phase.ROLLED_BACK}),
        Phase.TERMINATING: frozenset({Phase.VERIFIED}),
    },
}
"""{kind: {phase: phases that may follow}}. A stop is undone only while it drains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One phase of one effect, as stored."""

    effect_id: str  # "<decision id>/<n>"
    decision_id: DecisionId
    kind: EffectKind
    phase: Phase
    service: ServiceName
    variant: VariantName
    replica_id: ReplicaId
    timestamp_seconds: float
    port: int | None = None  # of the engine; known from SPAWNING on
    pid: int | None = None  # known from SPAWNED on
    process_start_ticks: int | None = (
        None  # field 22 of /proc/<pid>/stat: a pid alone may be reused
    )
    detail: str = ""  # outcome or failure in one line
