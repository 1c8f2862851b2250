"""An executor among fakes, and decisions for it."""

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog
from structlog.typing import FilteringBoundLogger

from autoscaler.execute import Executor, ExecutorPorts
from autoscaler.model.action import Action, Direction, Hold, Reason, Scale
from autoscaler.model.decision import Decision, Verdict, unassessed
from autoscaler.model.effect import EffectKind, JournalEntry, Phase
from autoscaler.model.event import Event
from autoscaler.model.state import VariantState
from autoscaler.ports import EngineRunner, Journal
from collector.clock import Clock, SystemClock
from collector.model.catalogue import Catalogue, ProcessTarget, Variant
from collector.model.ids import DecisionId, ReplicaId, ServiceName, VariantName
from support.builders import CHAT, NOW, SMALL, make_catalogue, make_service, make_variant
from support.fakes import FakeFence, FakeMemory, FakeRouter, FakeRunner, MemoryJournal

SMALL_ENGINE = Path(__file__).parent / "small_engine.py"
FIRST = DecisionId("aaaaaaaa11111111")
SECOND = DecisionId("bbbbbbbb22222222")
FIRST_REPLICA = ReplicaId("chat-aaaaaaaa-1")

EVIDENCE = unassessed(why="decided by hand")


def silent_log() -> FilteringBoundLogger:
    """A logger that drops everything."""
    log: FilteringBoundLogger = structlog.wrap_logger(
        structlog.ReturnLogger(), wrapper_class=structlog.make_filtering_bound_logger(50)
    )
    return log


def make_decision(
    action: Action,
    *,
    decision_id: DecisionId = FIRST,
    verdict: Verdict = Verdict.ACT,
    at: float = NOW,
) -> Decision:
    return Decision(
        decision_id=decision_id,
        service=CHAT,
        action=action,
        reason=Reason.STEADY if isinstance(action, Hold) else Reason.BACKLOG,
        verdict=verdict,
        decided_timestamp_seconds=at,
        catalogue_digest="d" * 16,
        evidence=EVIDENCE,
        candidates=(),
        explanation="a test asked for it",
    )


def scale_out(*, replicas: int = 1, variant: VariantName = SMALL) -> Scale:
    return Scale(variant=variant, direction=Direction.OUT, from_replicas=0, to_replicas=replicas)


def scale_in(*victims: str) -> Scale:
    return Scale(
        variant=SMALL,
        direction=Direction.IN,
        from_replicas=len(victims),
        to_replicas=0,
        stop_replicas=tuple(ReplicaId(each) for each in victims),
    )


def make_entry(
    phase: Phase,
    *,
    kind: EffectKind = EffectKind.START,
    decision_id: DecisionId = FIRST,
    replica_id: ReplicaId = FIRST_REPLICA,
    effect_id: str | None = None,
    pid: int | None = None,
) -> JournalEntry:
    return JournalEntry(
        effect_id=effect_id or f"{decision_id}/1",
        decision_id=decision_id,
        kind=kind,
        phase=phase,
        service=CHAT,
        variant=SMALL,
        replica_id=replica_id,
        timestamp_seconds=NOW,
        port=None if phase is Phase.PREPARED or kind is EffectKind.STOP else 9000,
        pid=pid,
        process_start_ticks=None if pid is None else 10 * pid,
    )


def small_engine_variant(*options: str, **fields: object) -> Variant:
    """The small engine as a variant; `fields` are those of its target."""
    command = ("{python}", "-S", "-E", str(SMALL_ENGINE), "{port}", *options)
    target = ProcessTarget(
        command=command,
        startup_timeout_seconds=10.0,
        drain_timeout_seconds=5.0,
        terminate_timeout_seconds=5.0,
    )
    return make_variant(target=replace(target, **fields))  # type: ignore[arg-type]  # test data


def catalogue_of(variant: Variant, *, pool_bytes: int = 2**40) -> Catalogue:
    return make_catalogue(make_service(variants=(variant,)), pool_bytes=pool_bytes)


async def until(claim: Callable[[], object]) -> None:
    """Returns when the claim holds; fails after five seconds."""
    for _ in range(500):
        if claim():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("never came true")


@dataclass
class World:
    """Everything around one executor."""

    catalogue: Catalogue = field(default_factory=lambda: catalogue_of(make_variant()))
    journal: MemoryJournal = field(default_factory=MemoryJournal)
    runner: FakeRunner = field(default_factory=FakeRunner)
    router: FakeRouter = field(default_factory=FakeRouter)
    fence: FakeFence = field(default_factory=FakeFence)
    memory: FakeMemory = field(default_factory=FakeMemory)
    clock: Clock = field(default_factory=SystemClock)
    events: list[Event] = field(default_factory=list)
    learned: VariantState = field(default_factory=VariantState)
    objection: str | None = None

    async def recheck(self, entry: JournalEntry) -> str | None:
        return self.objection

    def executor(self) -> Executor:
        return make_executor(self, journal=self.journal, runner=self.runner)

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


def make_executor(world: World, *, journal: Journal, runner: EngineRunner) -> Executor:
    """An executor in this world, with another journal or runner where a test wants real ones."""
    knowledge: Callable[[ServiceName, VariantName], VariantState] = lambda *_: world.learned  # noqa: E731
    return Executor(
        ExecutorPorts(
            journal=journal,
            runner=runner,
            router=world.router,
            fence=world.fence,
            clock=world.clock,
            memory=world.memory,
            catalogue=lambda: world.catalogue,
            knowledge=knowledge,
            recheck=world.recheck,
            on_event=world.events.append,
            log=silent_log(),
        )
    )


def base_environment() -> dict[str, str]:
    return {"PATH": str(Path(sys.executable).parent) + ":/usr/bin:/bin"}
