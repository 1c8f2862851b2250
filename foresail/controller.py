"""The controller: observe, decide, record, act, until told to stop.

In: parts that `wiring` has made. Out: effects through the executor, rows in the ledger, a report for
the HTTP app. All judgement is in `autoscaler.decide`; this file only carries values between parts and
keeps the time. It must survive any one failing tick: it then records, counts, and changes nothing.
Once another controller may lead it does nothing more but say so, until it is ended.
"""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from autoscaler.checkpoint import load_checkpoint, save_checkpoint
from autoscaler.decide import Decided
from autoscaler.errors import AutoscalerError, CheckpointError, NotLeader
from autoscaler.execute import Executor
from autoscaler.forecast.lead_time import look_back_seconds
from autoscaler.learn import apply_event
from autoscaler.metrics import ControllerMetrics
from autoscaler.model.decision import Decision
from autoscaler.model.event import Event, PastDaysTold
from autoscaler.model.inputs import Inputs
from autoscaler.model.state import ControllerState, VariantState
from autoscaler.ports import Fence
from autoscaler.remember import with_clock_set
from autoscaler.series import TickOutcome, TickStep
from collector.catalogue_file import CatalogueWatch
from collector.clock import Clock
from collector.errors import CollectorError
from collector.gateway.wake import WakeListener
from collector.loop import Observer
from collector.model.catalogue import Catalogue
from collector.model.history import History
from collector.model.ids import ServiceName, VariantName
from collector.model.reading import known_value
from collector.model.snapshot import Snapshot
from collector.ports import HistoryStore
from foresail.deciding import decided
from foresail.decision_memory import DecisionMemory
from foresail.engine_problems import EngineProblems
from foresail.metered_journal import MeteredJournal
from foresail.news import LastRecorded
from foresail.pace import Pace
from foresail.recheck import Recheck
from foresail.settings import Settings
from foresail.stopwatch import Stopwatch

CHECKPOINT_INTERVAL_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ControllerParts:
    """Everything the loop works with; made by `wiring`."""

    settings: Settings
    clock: Clock
    catalogue: CatalogueWatch
    history: HistoryStore
    journal: MeteredJournal
    fence: Fence
    wake: WakeListener
    metrics: ControllerMetrics
    log: FilteringBoundLogger
    state_folder: Path  # of the checkpoint


class Controller:
    """One control loop over one state directory."""

    def __init__(self, parts: ControllerParts) -> None:
        self.parts = parts
        self.memory = DecisionMemory()
        self.state = ControllerState()
        self.inputs: Inputs | None = None  # of the last decision
        self.snapshot: Snapshot | None = None  # the last one taken
        self._observer: Observer | None = None  # until `run`
        self._looking = asyncio.Lock()
        self.latest: tuple[Decision, ...] = ()
        self.ticks = Stopwatch(clock=parts.clock)
        self.engine_problems = EngineProblems()
        self.lost_leadership: str | None = None  # why nothing is done any more, in one line
        self.recheck = Recheck(fresh_inputs=self._look_again)
        self._recorded = LastRecorded()
        self._pace = Pace(
            ingest_interval_seconds=parts.settings.ticks.ingest_seconds,
            decide_interval_seconds=parts.settings.ticks.decide_seconds,
        )
        self._events: list[Event | PastDaysTold] = []
        self._resumed: ControllerState | None = None  # until it is taken
        self._clock_set_by_seconds = 0.0  # and not taken into the state yet
        self._happened = asyncio.Event()
        self._catalogue_in_force: str | None = None
        self._routes_are_told = False
        self._catalogue_problem: str | None = None  # as last told
        self._next_checkpoint_monotonic_seconds = 0.0

    # What the parts ask back

    def knowledge(self, service: ServiceName, variant: VariantName) -> VariantState:
        """What has been learned about a variant."""
        return self.state.variant(service, variant)

    def on_event(self, event: Event) -> None:
        """Takes a fact from the executor; it enters the state at the next tick, which comes at once."""
        self.parts.metrics.record_event(event)
        self.engine_problems.note(event)
        self.parts.log.info("event", **_event_fields(event))
        self._events.append(event)
        self._happened.set()

    def on_past_days(self, told: PastDaysTold) -> None:
        """Takes what history told of days before the start; it enters the state at the next tick."""
        self._events.append(told)

    def take_resumed(self) -> ControllerState | None:
        """What the last run had learned, once; None before that is known, and from then on."""
        resumed, self._resumed = self._resumed, None
        return resumed

    # The loop

    async def run(self, *, executor: Executor, observer: Observer, stop: asyncio.Event) -> None:
        """Recovers, then ticks until `stop` is set. What runs then goes on running."""
        self._observer = observer
        self._resume(observer)
        self._resumed = self.state
        await executor.recover()
        self.parts.wake.open()
        try:
            while not stop.is_set():
                await self._tick(executor)
                await self._wait(stop)
        finally:
            self.parts.wake.close()
            self._save_checkpoint()

    async def _wait(self, stop: asyncio.Event) -> None:
        """Until a tick is due. What happens meanwhile may only bring it forward."""
        while not stop.is_set():
            now = self.parts.clock.monotonic_seconds()
            if self.parts.wake.take_events() or self._happened.is_set():
                self._happened.clear()
                self._pace.wake(now)
            if self._pace.wait_seconds(now) <= 0:
                return
            await self._wait_for_news(stop, seconds=self._pace.wait_seconds(now))

    async def _wait_for_news(self, stop: asyncio.Event, *, seconds: float) -> None:
        waits: list[asyncio.Task[object]] = [
            asyncio.create_task(self.parts.clock.sleep(seconds)),
            asyncio.create_task(stop.wait()),
            asyncio.create_task(self.parts.wake.wait()),
            asyncio.create_task(self._happened.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _tick(self, executor: Executor) -> None:
        """One round. Whatever goes wrong in it is counted, told, and changes nothing."""
        now = self.parts.clock.monotonic_seconds()
        deciding = self._pace.is_decision_due(now)
        self.ticks.begin()
        try:
            await self._round(executor, deciding=deciding)
        except (CollectorError, AutoscalerError) as error:
            self._failed(str(error))
        except Exception as error:  # the one broad net of this process
            self.parts.log.exception("tick_failed_unexpectedly")
            self._failed(f"{type(error).__name__}: {error}")
        else:
            self._succeeded()
        self._pace.ticked(self.parts.clock.monotonic_seconds(), decided=deciding)

    async def _round(self, executor: Executor, *, deciding: bool) -> None:
        self._check_leadership(executor)
        catalogue = await self._take_catalogue(executor)
        with self.ticks.step(TickStep.READ):
            snapshot = await self._look()
        self._apply_events()
        if not deciding:
            return
        with self.ticks.step(TickStep.DECIDE):
            self.inputs = self._inputs(snapshot, catalogue=catalogue)
            found = await decided(self.inputs)
        with self.ticks.step(TickStep.RECORD):
            self._record(found, catalogue=catalogue)
        with self.ticks.step(TickStep.DISPATCH):
            for decision in found.decisions:
                if decision.is_effective:
                    self.recheck.announce(decision)
                    await executor.submit(decision, now=decision.decided_timestamp_seconds)
            await executor.open_overflows(
                found.decisions,
                decide_interval_seconds=self.parts.settings.ticks.decide_seconds,
            )

    def _check_leadership(self, executor: Executor) -> None:
        """Raises NotLeader, from the first time on for ever: another one may have acted since."""
        if self.lost_leadership is None:
            self.lost_leadership = executor.lost_leadership
            try:
                self.parts.fence.check()
            except NotLeader as error:
                self.lost_leadership = str(error)
        if self.lost_leadership is not None:
            raise NotLeader(self.lost_leadership)

    def _record(self, decided: Decided, *, catalogue: Catalogue) -> None:
        self.state, self.latest = decided.next_state, decided.decisions
        self.memory.add(decided.decisions)
        self.parts.metrics.record_decisions(
            decided.decisions, catalogue=catalogue, state=self.state
        )
        for decision in decided.decisions:
            if self._recorded.is_news(decision):
                if not decision.is_effective:  # the executor records the others with their effects
                    self.parts.journal.append_decision(decision, entries=())
                self._recorded.remember(decision)
                self.parts.log.info("decision", **_decision_fields(decision))
        if self.parts.clock.monotonic_seconds() >= self._next_checkpoint_monotonic_seconds:
            self._save_checkpoint()

    # Catalogue, second looks, checkpoints

    async def _take_catalogue(self, executor: Executor) -> Catalogue:
        """The newest valid catalogue; a change is told to the gateway at once."""
        catalogue = self.parts.catalogue.poll()
        problem = self.parts.catalogue.problem
        self.parts.metrics.record_catalogue(catalogue, is_valid=problem is None)
        if problem != self._catalogue_problem:
            self._catalogue_problem = problem
            self._tell_catalogue_problem(problem, in_force=catalogue)
        if catalogue.digest != self._catalogue_in_force:
            self.parts.log.info("catalogue", digest=catalogue.digest, mode=catalogue.authority.mode)
            self._catalogue_in_force = catalogue.digest
            self._routes_are_told = False
        if not self._routes_are_told:  # the gateway may not be there yet: again at the next tick
            self._routes_are_told = await executor.publish_routes()
        return catalogue

    def _tell_catalogue_problem(self, problem: str | None, *, in_force: Catalogue) -> None:
        """Once per problem, and once when it is gone: the old catalogue then is the file again."""
        if problem is None:
            self.parts.log.info("catalogue_accepted", digest=in_force.digest)
        else:
            self.parts.log.error(
                "catalogue_refused", error=problem, digest_in_force=in_force.digest
            )

    async def _look_again(self) -> Inputs:
        return self._inputs(await self._look(), catalogue=self.parts.catalogue.current)

    async def _look(self) -> Snapshot:
        """A fresh snapshot; second looks of the executor and ticks take turns."""
        if self._observer is None:
            raise AutoscalerError("the controller looks only while it runs")
        async with self._looking:
            snapshot = await self._observer.observe()
        self._clock_set_by_seconds += snapshot.clock_set_by_seconds
        before, self.snapshot = self.snapshot, snapshot
        if before is not None and _gateway_restarted(before, snapshot):
            self._routes_are_told = False  # it obeys what it had on disk, which may be older
        return snapshot

    def _inputs(self, snapshot: Snapshot, *, catalogue: Catalogue) -> Inputs:
        return Inputs(
            snapshot=snapshot,
            history=self._history(catalogue, now=snapshot.taken_timestamp_seconds),
            catalogue=catalogue,
            state=with_clock_set(self.state, by_seconds=self._clock_set_by_seconds),
            now=snapshot.taken_timestamp_seconds,
        )

    def _history(self, catalogue: Catalogue, *, now: float) -> History:
        return self.parts.history.history(
            services=[service.name for service in catalogue.services],
            window_seconds=max(
                look_back_seconds(catalogue.control), 3 * catalogue.control.length_window_seconds
            ),
            now_timestamp_seconds=now,
        )

    def _resume(self, observer: Observer) -> None:
        """Continues with what the last run had learned and last seen, if there was one.

        The gateway went on counting meanwhile: from the last snapshot on nothing is missed.
        """
        try:
            saved = load_checkpoint(self.parts.state_folder)
        except CheckpointError as error:
            self.parts.log.info("starting_without_checkpoint", why=str(error))
            return
        self.state = saved.state
        observer.resume(saved.snapshot, catalogue=saved.catalogue)

    def _save_checkpoint(self) -> None:
        if self.inputs is None or self.lost_leadership is not None:
            return  # nothing to tell, or the checkpoint is another controller's now
        self._next_checkpoint_monotonic_seconds = (
            self.parts.clock.monotonic_seconds() + CHECKPOINT_INTERVAL_SECONDS
        )
        try:
            save_checkpoint(
                self.parts.state_folder,
                checkpoint=replace(self.inputs, state=self.state),
            )
        except CheckpointError as error:
            self.parts.log.warning("checkpoint_not_saved", error=str(error))

    # Bookkeeping

    def _apply_events(self) -> None:
        """Takes in what the executor told; an event is let go of only once it is in the state.

        A clock that was set moves what was known before them.
        """
        self.state = with_clock_set(self.state, by_seconds=self._clock_set_by_seconds)
        self._clock_set_by_seconds = 0.0
        while self._events:
            self.state = apply_event(self.state, self._events[0])
            del self._events[0]

    def _succeeded(self) -> None:
        self.ticks.end(problem=None)
        self._count(TickOutcome.SUCCEEDED)

    def _failed(self, why: str) -> None:
        self.parts.log.error("tick_failed", error=why)
        self.ticks.end(problem=why)
        self._count(TickOutcome.FAILED)

    def _count(self, outcome: TickOutcome) -> None:
        self.parts.metrics.record_tick(
            outcome=outcome,
            ended_timestamp_seconds=self.parts.clock.timestamp_seconds(),
            step_seconds=self.ticks.step_seconds,
        )


def _gateway_restarted(before: Snapshot, after: Snapshot) -> bool:
    """Whether the gateway counts from another moment than before."""
    old = known_value(before.gateway_start_timestamp_seconds)
    new = known_value(after.gateway_start_timestamp_seconds)
    return new is not None and old != new


def _decision_fields(decision: Decision) -> dict[str, object]:
    """The canonical log line of a decision."""
    return {
        "decision_id": decision.decision_id,
        "service": decision.service,
        "action": decision.action.kind,
        "reason": decision.reason.value,
        "verdict": decision.verdict.value,
        "explanation": decision.explanation,
    }


def _event_fields(event: Event) -> dict[str, object]:
    message = getattr(event, "message", "")
    return {
        "outcome": event.kind,
        "service": event.service,
        "variant": event.variant,
        "replica_id": event.replica_id,
        "message": message,
    }
