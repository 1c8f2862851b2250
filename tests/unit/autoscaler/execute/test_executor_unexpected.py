"""Effects that fail in a way nobody foresaw end as the foreseen failures do: nothing is stranded."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from autoscaler.errors import LedgerError, NotLeader
from autoscaler.execute import Executor
from autoscaler.model.effect import JournalEntry, Phase
from autoscaler.model.event import ReplicaStartFailed
from autoscaler.ports import EngineHandle
from collector.clock import VirtualClock
from collector.model.catalogue import Variant
from collector.model.ids import ReplicaId, ServiceName
from collector.model.overflow import OverflowGrant
from collector.model.replica import SUPPLY_STATES, Replica, ReplicaState
from support.builders import NOW
from support.execution import FIRST, FIRST_REPLICA, SECOND, World, make_decision, make_entry
from support.execution import scale_in as stop_of
from support.execution import scale_out as start_of
from support.fakes import FakeRouter, FakeRunner

START = f"{FIRST}/1"
STOP = f"{SECOND}/1"


class BreakingRunner(FakeRunner):
    """Raises what no port promises."""

    def __init__(self) -> None:
        super().__init__()
        self.breaks_at = ""

    def free_port(self) -> int:
        self._break("free_port")
        return super().free_port()

    async def spawn(
        self, *, replica_id: ReplicaId, service: ServiceName, variant: Variant, port: int
    ) -> EngineHandle:
        self._break("spawn")
        return await super().spawn(
            replica_id=replica_id, service=service, variant=variant, port=port
        )

    async def wait_ready(self, *, base_url: str, handle: EngineHandle, variant: Variant) -> None:
        self._break("wait_ready")
        await super().wait_ready(base_url=base_url, handle=handle, variant=variant)

    def _break(self, place: str) -> None:
        if self.breaks_at == place:
            raise OSError(f"{place}: no file\ndescriptors left")


class BreakingRouter(FakeRouter):
    """Cannot count, and may not be able to write either."""

    def __init__(self) -> None:
        super().__init__()
        self.is_broken = False
        self.also_when_written = False

    async def write_routes(
        self, replicas: Sequence[Replica], *, overflows: Sequence[OverflowGrant] = ()
    ) -> None:
        if self.is_broken and self.also_when_written:
            raise ValueError("not a table")
        await super().write_routes(replicas, overflows=overflows)

    async def read_in_flight(self, replica_id: ReplicaId) -> int | None:
        if self.is_broken:
            raise ValueError("not a number")
        return await super().read_in_flight(replica_id)


@dataclass
class BreakingWorld(World):
    """A world whose second look may fail."""

    runner: BreakingRunner = field(default_factory=BreakingRunner)
    router: BreakingRouter = field(default_factory=BreakingRouter)
    recheck_error: Exception | None = None

    async def recheck(self, entry: JournalEntry) -> str | None:
        if self.recheck_error is not None:
            raise self.recheck_error
        return await super().recheck(entry)


async def ordered(world: World) -> Executor:
    executor = world.executor()
    await executor.submit(make_decision(start_of()), now=NOW)
    await executor.wait_idle()
    return executor


async def order_stop(executor: Executor) -> None:
    decision = make_decision(stop_of(FIRST_REPLICA), decision_id=SECOND)
    await executor.submit(decision, now=NOW)


def supply(executor: Executor) -> list[Replica]:
    return [each for each in executor.registry.replicas() if each.state in SUPPLY_STATES]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError("too many files"), "unexpected OSError: too many files"),
        (ValueError("two\nlines"), "unexpected ValueError: two lines"),
        (LedgerError("ledger: busy"), "unexpected LedgerError: ledger: busy"),
        (KeyError(), "unexpected KeyError: KeyError()"),
    ],
    ids=["os", "two_lines", "ledger", "no_message"],
)
async def test_a_start_whose_second_look_fails_is_refused(error: Exception, reason: str) -> None:
    world = BreakingWorld(recheck_error=error)
    executor = await ordered(world)
    assert world.journal.phases(START) == ["prepared", "refused"]
    assert world.journal.entries[-1].detail == reason
    assert executor.registry.replicas() == ()
    assert world.runner.ended == []
    assert world.events == []


async def test_a_start_that_gets_no_port_is_refused() -> None:
    world = BreakingWorld()
    world.runner.breaks_at = "free_port"
    executor = await ordered(world)
    assert world.journal.phases(START) == ["prepared", "refused"]
    assert executor.registry.replicas() == ()


@pytest.mark.parametrize(
    ("place", "phases"),
    [
        ("spawn", ["prepared", "spawning", "rolling_back", "rolled_back"]),
        ("wait_ready", ["prepared", "spawning", "spawned", "rolling_back", "rolled_back"]),
    ],
)
async def test_a_start_that_breaks_under_way_is_rolled_back_and_told(
    place: str, phases: list[str]
) -> None:
    world = BreakingWorld()
    world.runner.breaks_at = place
    executor = await ordered(world)
    assert world.journal.phases(START) == phases
    assert world.runner.ended == [FIRST_REPLICA]
    assert world.runner.find_all() == {}
    assert supply(executor) == []
    (event,) = world.events
    assert isinstance(event, ReplicaStartFailed)
    assert event.message == f"unexpected OSError: {place}: no file descriptors left"


async def test_a_start_that_an_earlier_controller_left_is_rolled_back_too() -> None:
    world = BreakingWorld()
    pid = world.runner.put(FIRST_REPLICA).pid
    world.journal.entries = [make_entry(Phase.PREPARED), make_entry(Phase.SPAWNED, pid=pid)]
    world.runner.breaks_at = "wait_ready"
    executor = world.executor()
    await executor.recover()
    await executor.wait_idle()
    assert world.journal.phases(START)[-1] == "rolled_back"
    assert world.runner.find_all() == {}
    assert supply(executor) == []


async def test_what_fails_after_a_replica_serves_leaves_it_serving() -> None:
    world = BreakingWorld()
    world.router.is_broken = world.router.also_when_written = True
    executor = await ordered(world)
    assert world.journal.phases(START)[-1] == "verified"
    assert executor.registry.state(FIRST_REPLICA) is ReplicaState.SERVING
    await executor.close(stop_engines=False)


async def test_a_stop_whose_second_look_fails_is_refused() -> None:
    world = BreakingWorld()
    executor = await ordered(world)
    world.recheck_error = OSError("too many files")
    await order_stop(executor)
    await executor.wait_idle()
    assert world.journal.phases(STOP) == ["prepared", "refused"]
    assert executor.registry.state(FIRST_REPLICA) is ReplicaState.SERVING
    await executor.close(stop_engines=False)


@pytest.mark.parametrize("also_when_written", [False, True], ids=["counting", "routing"])
async def test_a_drain_that_breaks_is_put_back(also_when_written: bool) -> None:
    world = BreakingWorld()
    executor = await ordered(world)
    world.router.is_broken = True
    world.router.also_when_written = also_when_written
    await order_stop(executor)
    await executor.wait_idle()
    assert world.journal.phases(STOP) == ["prepared", "draining", "rolled_back"]
    assert executor.registry.state(FIRST_REPLICA) is ReplicaState.SERVING
    assert world.router.routed == {FIRST_REPLICA}
    assert world.runner.ended == []
    await executor.close(stop_engines=False)


async def test_a_deposed_controller_undoes_nothing() -> None:
    world = BreakingWorld(recheck_error=NotLeader("another controller leads"))
    executor = await ordered(world)
    assert world.journal.phases(START) == ["prepared"]
    assert executor.lost_leadership == "another controller leads"


async def test_a_controller_deposed_meanwhile_undoes_nothing() -> None:
    world = BreakingWorld(recheck_error=OSError("too many files"))
    executor = world.executor()
    await executor.submit(make_decision(start_of()), now=NOW)
    world.fence.leads = False
    await executor.wait_idle()
    assert world.journal.phases(START) == ["prepared"]
    assert executor.lost_leadership == "another controller leads"


async def test_effects_cut_off_before_their_first_step_stay_open() -> None:
    world = BreakingWorld(clock=VirtualClock(NOW))
    executor = world.executor()
    await executor.submit(make_decision(start_of()), now=NOW)
    await executor.close(stop_engines=False)
    assert world.journal.phases(START) == ["prepared"]
