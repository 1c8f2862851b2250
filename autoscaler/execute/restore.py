"""Carries out what `recovery` says at the start of a controller.

In: the journal and the living engines. Out: adopted replicas in the registry, open effects running
on, and routes that say what is true now. Must not decide: the steps come from `recovery_steps`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from autoscaler.execute.death import bury, watch_engine
from autoscaler.execute.edge import Work, begin_effect
from autoscaler.execute.ending import finish_terminating
from autoscaler.execute.recovery import Step, StepKind, recovery_steps
from autoscaler.execute.start import (
    engine_url,
    loading_replica,
    of_process,
    roll_back_start,
    undo_start,
    verify_start,
)
from autoscaler.execute.stop import DECIDED, finish_draining
from autoscaler.execute.tools import EffectTools
from autoscaler.model.effect import EffectKind, JournalEntry, Phase
from autoscaler.ports import EngineHandle
from collector.model.ids import DecisionId, ReplicaId
from collector.model.replica import Replica, ReplicaState

_KILLED_WHILE_STARTING = "the controller ended while this replica was starting"
_UNKNOWN_PROCESS_SECONDS = 20.0  # from SIGTERM to SIGKILL for a process nobody answers for


async def restore(tools: EffectTools) -> frozenset[DecisionId]:
    """Takes over; returns the decisions that have been carried out or tried already.

    Raises NotLeader and LedgerError.
    """
    tools.ports.fence.check()
    entries = tools.ports.journal.latest_entries()
    living = tools.ports.runner.find_all()
    ports = {entry.replica_id: entry.port for entry in entries if entry.kind is EffectKind.START}
    world = _World(tools=tools, living=living, ports=ports)
    for step in recovery_steps(entries, living=living):
        tools.ports.log.info("recovery", step=step.kind.value, replica_id=step.replica_id)
        await world.take(step)
    await tools.routes.publish_eventually()
    return frozenset(entry.decision_id for entry in entries)


@dataclass(frozen=True, slots=True, kw_only=True)
class _World:
    """What was found at the start."""

    tools: EffectTools
    living: Mapping[ReplicaId, EngineHandle]
    ports: Mapping[ReplicaId, int | None]

    async def take(self, step: Step) -> None:
        entry = step.entry
        if entry is None:
            self._end_unknown(step.replica_id)
            return
        match step.kind:
            case StepKind.REFUSE:
                reason = "the controller ended before it began; it will be decided again"
                self.tools.advance(entry, Phase.REFUSED, detail=reason)
            case StepKind.ADOPT:
                self._adopt(entry)
            case StepKind.CONTINUE_START:
                self._continue_start(entry)
            case StepKind.ROLL_BACK_START:
                self._roll_back_start(entry)
            case StepKind.RESUME_STOP:
                self._resume_stop(entry)
            case StepKind.BURY:
                self._add(entry, ReplicaState.SERVING)
                await bury(self.tools, self._replica(entry, ReplicaState.SERVING))
            case StepKind.END_UNKNOWN:
                self._end_unknown(step.replica_id)

    def _adopt(self, entry: JournalEntry) -> None:
        self._add(entry, ReplicaState.SERVING)
        watch_engine(self.tools, entry.replica_id, handle=self.living[entry.replica_id])

    def _continue_start(self, entry: JournalEntry) -> None:
        handle, tools = self.living[entry.replica_id], self.tools
        if entry.phase is Phase.SPAWNING:
            entry = tools.advance(of_process(entry, handle), Phase.SPAWNED)
        self._add_loading(entry)
        work = partial(
            verify_start,
            tools,
            entry,
            handle=handle,
            decided_timestamp_seconds=entry.timestamp_seconds,
        )
        begin_effect(tools, entry, work)

    def _roll_back_start(self, entry: JournalEntry) -> None:
        work: Work
        self._add_loading(entry)
        if entry.phase is Phase.SPAWNING:  # the variant did not fail: nothing to be told
            work = partial(undo_start, self.tools, entry, reason=_KILLED_WHILE_STARTING)
        else:
            message = entry.detail or self._last_words(entry)
            work = partial(roll_back_start, self.tools, entry, message=message)
        begin_effect(self.tools, entry, work)

    def _resume_stop(self, entry: JournalEntry) -> None:
        work: Work
        self._add(entry, ReplicaState.DRAINING)
        if entry.phase is Phase.DRAINING:
            work = partial(finish_draining, self.tools, entry, terms=DECIDED)
        else:
            work = partial(finish_terminating, self.tools, entry)
        begin_effect(self.tools, entry, work)

    def _end_unknown(self, replica_id: ReplicaId) -> None:
        self.tools.ports.log.warning("unknown_engine_ended", replica_id=replica_id)
        work = self.tools.end_engine(replica_id, timeout_seconds=_UNKNOWN_PROCESS_SECONDS)
        self.tools.effects.start(work, name=f"end {replica_id}")

    def _last_words(self, entry: JournalEntry) -> str:
        line = self.tools.ports.runner.log_tail(entry.replica_id)
        return f"the engine ended while no controller was there: {line}"

    def _add_loading(self, entry: JournalEntry) -> None:
        replica = loading_replica(entry, ordered_timestamp_seconds=entry.timestamp_seconds)
        self.tools.registry.add(
            replica,
            variant=self.tools.declared(entry),
            handle=self.living.get(entry.replica_id),
        )

    def _add(self, entry: JournalEntry, state: ReplicaState) -> None:
        self.tools.registry.add(
            self._replica(entry, state),
            variant=self.tools.declared(entry),
            handle=self.living.get(entry.replica_id),
        )

    def _replica(self, entry: JournalEntry, state: ReplicaState) -> Replica:
        """A replica that has served; the journal's newest entry is the best time there is."""
        port = self.ports.get(entry.replica_id)
        return Replica(
            replica_id=entry.replica_id,
            service=entry.service,
            variant=entry.variant,
            state=state,
            ordered_timestamp_seconds=entry.timestamp_seconds,
            serving_timestamp_seconds=entry.timestamp_seconds,
            base_url=None if port is None else engine_url(port),
        )
