"""Takes decisions and sees each of their effects through. The shell's only hand on the world.

In: decisions with the verdict `act`. Out: replicas started and stopped, journal entries, events. One
asyncio task per effect; one decision id is carried out once, whoever submits it how often. After
`recover` the executor answers for every engine of the state directory.
"""

import math
from collections.abc import Sequence
from functools import partial

from autoscaler.errors import NotLeader
from autoscaler.execute.edge import Work, begin_effect
from autoscaler.execute.expand import effect_entries
from autoscaler.execute.overflow import overflow_grants
from autoscaler.execute.registry import ReplicaRegistry
from autoscaler.execute.restore import restore
from autoscaler.execute.routes import Routes
from autoscaler.execute.shutdown import stop_all
from autoscaler.execute.start import loading_replica, start_replica
from autoscaler.execute.stop import StopTerms, stop_replica
from autoscaler.execute.tasks import Tasks
from autoscaler.execute.tools import EffectTools, ExecutorPorts
from autoscaler.model.decision import Decision
from autoscaler.model.effect import EffectKind, JournalEntry
from collector.model.ids import DecisionId


class Executor:
    """Carries out what was decided. Use it inside one running event loop."""

    def __init__(self, ports: ExecutorPorts) -> None:
        """Touches nothing; call `recover` first."""
        self._ports = ports
        self._lost_leadership: str | None = None
        self._submitted: set[DecisionId] = set()
        self._registry = ReplicaRegistry(clock=ports.clock, catalogue=ports.catalogue)
        self._effects = Tasks(on_failure=self._failed)
        self._watchers = Tasks(on_failure=self._failed)
        self._routes = Routes(
            router=ports.router,
            registry=self._registry,
            clock=ports.clock,
            tasks=self._watchers,
            log=ports.log,
        )
        self._tools = EffectTools(
            ports=ports,
            registry=self._registry,
            routes=self._routes,
            watchers=self._watchers,
            effects=self._effects,
        )

    @property
    def registry(self) -> ReplicaRegistry:
        """Which replicas there are; adapter of the collector's `ReplicaDirectory`."""
        return self._registry

    @property
    def lost_leadership(self) -> str | None:
        """Why nothing is carried out any more, in one line; None while this controller leads."""
        return self._lost_leadership

    async def recover(self) -> None:
        """Continues what an earlier controller left; call it once, before the first decision.

        What takes time (a verification, a drain) runs on after the return. Raises NotLeader and
        LedgerError.
        """
        self._submitted.update(await restore(self._tools))

    async def submit(self, decision: Decision, *, now: float) -> tuple[JournalEntry, ...]:
        """Records the decision and starts its effects; returns what was prepared.

        `now` is the time in epoch seconds. Empty when there is nothing to do, or when this decision
        id was submitted before. Returns at once: the effects run on. Raises NotLeader and
        LedgerError; nothing was or will be done then.
        """
        if decision.decision_id in self._submitted:
            return ()
        self._check_leadership()
        entries = effect_entries(decision, now_timestamp_seconds=now)
        self._ports.journal.append_decision(decision, entries=entries)
        if entries:
            self._submitted.add(decision.decision_id)
        for entry in entries:
            self._begin(entry, decision=decision)
        return entries

    async def open_overflows(
        self, decisions: Sequence[Decision], *, decide_interval_seconds: float
    ) -> None:
        """Opens at the gateway what the decisions of one tick open, and closes all else.

        Call it once they are recorded. Raises NotLeader.
        """
        grants = overflow_grants(decisions, decide_interval_seconds=decide_interval_seconds)
        if grants:
            self._check_leadership()
        await self._routes.grant(grants)

    async def publish_routes(self) -> bool:
        """Whether the gateway now routes as the registry says; for a reloaded catalogue."""
        return await self._routes.publish()

    async def wait_idle(self) -> None:
        """Returns when no effect is under way."""
        await self._effects.wait_idle()

    async def close(self, *, stop_engines: bool, longest_drain_seconds: float = math.inf) -> None:
        """Ends every task; engines serve on, or are drained and ended when `stop_engines`.

        Effects that are cut off stay open in the journal and are continued by the next controller.
        With `stop_engines` a drain takes `longest_drain_seconds` at most, also when the gateway
        cannot be asked. Raises NotLeader and LedgerError, after every task has ended.
        """
        await self._effects.cancel()
        try:
            if stop_engines:
                terms = StopTerms(must_go=True, longest_drain_seconds=longest_drain_seconds)
                await stop_all(self._tools, terms=terms)
        finally:
            await self._effects.cancel()
            await self._watchers.cancel()

    def _begin(self, entry: JournalEntry, *, decision: Decision) -> None:
        work: Work
        if entry.kind is EffectKind.START:
            replica = loading_replica(entry, ordered_timestamp_seconds=entry.timestamp_seconds)
            self._registry.add(replica, variant=self._tools.declared(entry))
            work = partial(
                start_replica,
                self._tools,
                entry,
                decided_timestamp_seconds=decision.decided_timestamp_seconds,
            )
        else:
            work = partial(stop_replica, self._tools, entry)
        begin_effect(self._tools, entry, work)

    def _check_leadership(self) -> None:
        if self._lost_leadership is not None:
            raise NotLeader(self._lost_leadership)
        self._ports.fence.check()

    def _failed(self, name: str, error: BaseException) -> None:
        if isinstance(error, NotLeader):
            self._lost_leadership = str(error)
        self._ports.log.error("effect_failed", effect=name, error=str(error) or repr(error))
