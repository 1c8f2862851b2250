"""What every effect works with: the outside world as ports, and the few steps all effects share.

In: ports, injected once. Out: journaled phases, told events. Used by `start`, `stop`, `death` and
`executor`. Must not know in which order an effect takes its steps.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from structlog.typing import FilteringBoundLogger

from autoscaler.errors import LedgerError, StopFailed
from autoscaler.execute.registry import ReplicaRegistry
from autoscaler.execute.routes import Routes
from autoscaler.execute.tasks import Tasks
from autoscaler.model.effect import JournalEntry, Phase
from autoscaler.model.event import Event
from autoscaler.model.state import VariantState
from autoscaler.ports import EngineRunner, Fence, Journal, Router
from collector.clock import Clock
from collector.model.catalogue import Catalogue, ProcessTarget, Variant
from collector.model.ids import ReplicaId, ServiceName, VariantName
from collector.ports import MemoryProbe

_STOP_RETRY_SECONDS: Final = 30.0

Recheck = Callable[[JournalEntry], Awaitable[str | None]]
"""Looks afresh whether an effect still makes sense; a reason in one line if it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorPorts:
    """Everything the executor needs from outside."""

    journal: Journal
    runner: EngineRunner
    router: Router
    fence: Fence
    clock: Clock
    memory: MemoryProbe
    catalogue: Callable[[], Catalogue]  # the one in force
    knowledge: Callable[[ServiceName, VariantName], VariantState]  # what has been learned
    recheck: Recheck
    on_event: Callable[[Event], None]
    log: FilteringBoundLogger


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectTools:
    """The ports and what the executor keeps."""

    ports: ExecutorPorts
    registry: ReplicaRegistry
    routes: Routes
    watchers: Tasks  # one per living engine
    effects: Tasks  # everything that ends by itself

    def advance(self, entry: JournalEntry, phase: Phase, *, detail: str = "") -> JournalEntry:
        """The next entry of the effect, journaled. Raises LedgerError."""
        now = self.ports.clock.timestamp_seconds()
        following = replace(entry, phase=phase, detail=detail, timestamp_seconds=now)
        self.ports.journal.append_entry(following)
        self.ports.log.info(
            "effect",
            decision_id=entry.decision_id,
            service=entry.service,
            replica_id=entry.replica_id,
            effect=entry.kind.value,
            phase=phase.value,
            detail=detail,
        )
        return following

    def try_advance(self, entry: JournalEntry, phase: Phase, *, detail: str) -> JournalEntry:
        """Journals what it can: what is left open is ended at the next start of the controller."""
        try:
            return self.advance(entry, phase, detail=detail)
        except LedgerError as error:
            self.report("effect_not_journaled", error, phase=phase.value)
            return entry

    def tell(self, event: Event) -> None:
        """Records an outcome and hands it on; a ledger that cannot be written does not hide it."""
        try:
            self.ports.journal.append_outcome(event)
        except LedgerError as error:
            self.report("outcome_not_recorded", error, outcome=event.kind)
        self.ports.on_event(event)

    def report(self, event: str, error: Exception, **facts: str) -> None:
        """Says that a person must act; the message is the error's, in one line."""
        self.ports.log.error(event, error=str(error), **facts)

    async def end_engine(self, replica_id: ReplicaId, *, timeout_seconds: float) -> None:
        """Returns when nothing of the engine is left; says so and tries again when it will not go."""
        while True:
            self.ports.fence.check()
            try:
                await self.ports.runner.end(replica_id=replica_id, timeout_seconds=timeout_seconds)
            except (StopFailed, OSError) as error:
                self.report("replica_does_not_go", error, replica_id=replica_id)
                await self.ports.clock.sleep(_STOP_RETRY_SECONDS)
            else:
                return

    def declared(self, entry: JournalEntry) -> Variant | None:
        """The variant of an effect as the catalogue has it now."""
        return self.ports.catalogue().variant(entry.service, entry.variant)

    def process_target(self, entry: JournalEntry) -> ProcessTarget:
        """How its process is run; the defaults when the variant is not declared any more."""
        held = self.registry.held(entry.replica_id)
        variant = self.declared(entry) or (held.variant if held else None)
        if variant is not None and isinstance(variant.target, ProcessTarget):
            return variant.target
        return ProcessTarget(command=())
