"""Closing: engines serve on for the next controller, or all of them are ended in good order."""

import asyncio

from autoscaler.execute import Executor
from autoscaler.model.effect import TERMINAL
from collector.clock import VirtualClock
from collector.model.ids import ReplicaId
from collector.model.replica import ReplicaState
from support.builders import NOW
from support.execution import (
    FIRST,
    FIRST_REPLICA,
    SECOND,
    World,
    make_decision,
    scale_in,
    scale_out,
    until,
)


async def started(world: World, *, replicas: int = 1) -> Executor:
    executor = world.executor()
    await executor.submit(make_decision(scale_out(replicas=replicas)), now=NOW)
    await executor.wait_idle()
    return executor


async def test_closing_leaves_engines_serving_and_the_next_controller_adopts_them() -> None:
    world = World()
    executor = await started(world)
    await executor.close(stop_engines=False)
    assert set(world.runner.find_all()) == {FIRST_REPLICA}
    successor = world.executor()
    await successor.recover()
    (replica,) = successor.registry.replicas()
    assert (replica.replica_id, replica.state) == (FIRST_REPLICA, ReplicaState.SERVING)
    assert replica.base_url == "http://127.0.0.1:20000"
    assert successor.registry.processes() == ((FIRST_REPLICA, 1000),)
    assert world.router.routed == {FIRST_REPLICA}
    await successor.close(stop_engines=True)
    assert world.runner.find_all() == {}


async def test_a_start_that_was_cut_off_is_verified_by_the_next_controller() -> None:
    world = World()
    world.runner.may_be_ready.clear()
    executor = world.executor()
    await executor.submit(make_decision(scale_out()), now=NOW)
    await until(lambda: world.runner.spawned)
    await executor.close(stop_engines=False)
    world.runner.may_be_ready.set()
    successor = world.executor()
    await successor.recover()
    await successor.wait_idle()
    assert world.runner.spawned == [FIRST_REPLICA], "never a second start"
    assert world.journal.phases(f"{FIRST}/1")[-1] == "verified"
    assert world.router.routed == {FIRST_REPLICA}
    await successor.close(stop_engines=False)


async def test_stopping_all_ends_what_serves_and_undoes_what_starts() -> None:
    world = World()
    executor = await started(world, replicas=2)
    world.runner.may_be_ready.clear()
    await executor.submit(make_decision(scale_out(), decision_id=SECOND), now=NOW)
    await until(lambda: len(world.runner.spawned) == 3)
    await executor.close(stop_engines=True)
    assert world.runner.find_all() == {}
    assert all(entry.phase in TERMINAL for entry in world.journal.latest_entries())
    assert world.router.routed == set()
    assert world.kinds() == ["replica_ready", "replica_ready"], "nobody died and nothing failed"


async def test_stopping_all_waits_for_requests_no_longer_than_it_was_told() -> None:
    world = World(clock=(clock := VirtualClock(NOW)))
    executor = await started(world)
    world.router.in_flight[FIRST_REPLICA] = 1
    closing = asyncio.create_task(executor.close(stop_engines=True, longest_drain_seconds=3.0))
    await clock.advance(0)
    await clock.advance(2.0)
    assert set(world.runner.find_all()) == {FIRST_REPLICA}
    await clock.advance(2.0)
    await closing
    assert world.runner.find_all() == {}
    assert world.journal.entries[-1].detail == "1 requests were cut after 3 s of draining"


async def test_stopping_all_does_not_need_the_gateway() -> None:
    world = World(clock=(clock := VirtualClock(NOW)))
    executor = await started(world)
    world.router.is_reachable = False
    closing = asyncio.create_task(executor.close(stop_engines=True, longest_drain_seconds=1.0))
    await clock.advance(0)
    await clock.advance(2.0)
    await closing
    assert world.runner.find_all() == {}


async def test_a_stop_that_was_cut_off_is_finished_when_all_stop() -> None:
    world = World(clock=(clock := VirtualClock(NOW)))
    executor = await started(world)
    world.router.in_flight[FIRST_REPLICA] = 1
    await executor.submit(make_decision(scale_in(FIRST_REPLICA), decision_id=SECOND), now=NOW)
    await clock.advance(1.0)
    world.router.in_flight[FIRST_REPLICA] = 0
    await executor.close(stop_engines=True)
    assert world.runner.ended == [FIRST_REPLICA]
    assert world.journal.phases(f"{SECOND}/1")[-1] == "verified"


async def test_an_engine_that_no_journal_knows_is_ended_at_recovery() -> None:
    world = World()
    world.runner.put(ReplicaId("stray"))
    executor = world.executor()
    await executor.recover()
    await executor.wait_idle()
    assert world.runner.find_all() == {}
    await executor.close(stop_engines=False)
