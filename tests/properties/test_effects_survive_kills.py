"""Whatever is decided and wherever the controller is killed: the next one leaves nothing undone.

The kill is simulated: from one journal append on, nothing of the old controller reaches the world.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.execute import Executor
from autoscaler.model.decision import Decision
from autoscaler.model.effect import TERMINAL, JournalEntry
from autoscaler.model.event import Event
from collector.model.ids import DecisionId, ReplicaId
from collector.model.replica import ReplicaState
from support.builders import NOW
from support.execution import World, make_decision, make_executor, scale_in, scale_out
from support.fakes import MemoryJournal


class KilledError(BaseException):
    """SIGKILL: nothing of the old controller runs after it."""


@dataclass
class Gun:
    """Goes off at one append, before or after it is written."""

    append: int
    is_after: bool
    has_fired: bool = False

    @contextmanager
    def around(self) -> Iterator[None]:
        if self.has_fired:
            raise KilledError
        self.append -= 1
        self.has_fired = self.append == 0
        if self.has_fired and not self.is_after:
            raise KilledError
        yield
        if self.has_fired:
            raise KilledError


@dataclass
class KilledJournal:
    """The journal as the controller that dies uses it."""

    inner: MemoryJournal
    gun: Gun

    def append_decision(self, decision: Decision, *, entries: Sequence[JournalEntry]) -> None:
        with self.gun.around():
            self.inner.append_decision(decision, entries=entries)

    def append_entry(self, entry: JournalEntry) -> None:
        with self.gun.around():
            self.inner.append_entry(entry)

    def append_outcome(self, event: Event) -> None:
        with self.gun.around():
            self.inner.append_outcome(event)

    def latest_entries(self) -> tuple[JournalEntry, ...]:
        return self.inner.latest_entries()


@dataclass(frozen=True)
class Order:
    """Start some, stop one that serves, or let one die."""

    kind: str
    number: int


orders = st.lists(
    st.builds(Order, kind=st.sampled_from(["start", "stop", "die"]), number=st.integers(1, 2)),
    max_size=6,
)


def serving(executor: Executor) -> list[ReplicaId]:
    replicas = executor.registry.replicas()
    return [each.replica_id for each in replicas if each.state is ReplicaState.SERVING]


async def carry_out(world: World, executor: Executor, order: Order, *, serial: int) -> None:
    decision_id = DecisionId(f"{serial:08d}")
    present = serving(executor)
    if order.kind == "start":
        action = scale_out(replicas=order.number)
    elif not present:
        return
    elif order.kind == "stop":
        action = scale_in(*present[: order.number])
    else:
        world.runner.handles[present[0]].die()
        await asyncio.sleep(0)
        return
    await executor.submit(make_decision(action, decision_id=decision_id), now=NOW)
    await executor.wait_idle()


async def settle(executor: Executor) -> None:
    for _ in range(20):
        await asyncio.sleep(0)
        await executor.wait_idle()


async def live_and_die(world: World, asked: list[Order], *, gun: Gun) -> None:
    journal = KilledJournal(inner=world.journal, gun=gun)
    executor = make_executor(world, journal=journal, runner=world.runner)
    try:
        for serial, order in enumerate(asked):
            await carry_out(world, executor, order, serial=serial)
            if gun.has_fired:
                break
    except KilledError:
        pass
    await executor.close(stop_engines=False)


async def run(asked: list[Order], *, gun: Gun) -> None:
    world = World()
    await live_and_die(world, asked, gun=gun)
    successor = world.executor()
    await successor.recover()
    await settle(successor)

    alive = set(world.runner.find_all())
    assert alive == set(serving(successor)) == world.router.routed
    assert len(world.runner.spawned) == len(set(world.runner.spawned)), "a double start"
    assert all(entry.phase in TERMINAL for entry in world.journal.latest_entries())
    await successor.close(stop_engines=True)
    assert world.runner.find_all() == {}


@settings(max_examples=150, deadline=None)
@given(asked=orders, append=st.integers(1, 40), is_after=st.booleans())
def test_no_orphan_no_double_start_nothing_open(
    asked: list[Order], append: int, is_after: bool
) -> None:
    asyncio.run(run(asked, gun=Gun(append=append, is_after=is_after)))
