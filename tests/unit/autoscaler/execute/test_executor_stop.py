"""Stopping replicas: requests in flight survive, and what cannot be known is not ended."""

import asyncio
from dataclasses import replace

import pytest

from autoscaler.execute import Executor
from autoscaler.model.effect import Phase
from autoscaler.model.event import ReplicaDied
from collector.clock import VirtualClock
from collector.model.catalogue import Mode, ProcessTarget
from collector.model.ids import DecisionId
from collector.model.replica import ReplicaState
from support.builders import NOW, make_variant
from support.execution import (
    FIRST_REPLICA,
    SECOND,
    World,
    catalogue_of,
    make_decision,
    scale_in,
    scale_out,
)

STOP = f"{SECOND}/1"


def quick_to_drain() -> World:
    target = ProcessTarget(command=("serve",), drain_timeout_seconds=30.0)
    return World(catalogue=catalogue_of(make_variant(target=target)), clock=VirtualClock(NOW))


async def serving(world: World) -> Executor:
    executor = world.executor()
    await executor.recover()
    await executor.submit(make_decision(scale_out()), now=NOW)
    await executor.wait_idle()
    world.events.clear()
    return executor


async def order_stop(executor: Executor, *, decision_id: DecisionId = SECOND) -> None:
    decision = make_decision(scale_in(FIRST_REPLICA), decision_id=decision_id)
    await executor.submit(decision, now=NOW)


async def advance(world: World, seconds: float) -> None:
    assert isinstance(world.clock, VirtualClock)
    await world.clock.advance(0)  # lets what was just ordered begin at this time
    await world.clock.advance(seconds)


def state(executor: Executor) -> ReplicaState | None:
    return executor.registry.state(FIRST_REPLICA)


async def test_an_idle_replica_is_unrouted_and_ended() -> None:
    world = quick_to_drain()
    executor = await serving(world)
    await order_stop(executor)
    await executor.wait_idle()
    assert world.journal.phases(STOP) == ["prepared", "draining", "terminating", "verified"]
    assert world.router.routed == set()
    assert world.runner.find_all() == {}
    assert state(executor) is ReplicaState.STOPPED
    assert world.events == [], "a replica that was told to go did not die"
    await executor.close(stop_engines=False)


async def test_requests_in_flight_are_waited_for() -> None:
    world = quick_to_drain()
    executor = await serving(world)
    world.router.in_flight[FIRST_REPLICA] = 2
    await order_stop(executor)
    await advance(world, 20)
    assert state(executor) is ReplicaState.DRAINING
    assert world.router.routed == set()
    assert world.runner.ended == []
    world.router.in_flight[FIRST_REPLICA] = 0
    await advance(world, 1)
    await executor.wait_idle()
    assert world.runner.ended == [FIRST_REPLICA]
    assert world.journal.entries[-1].detail == ""
    await executor.close(stop_engines=False)


async def test_requests_that_outlast_the_drain_are_cut_and_counted() -> None:
    world = quick_to_drain()
    executor = await serving(world)
    world.router.in_flight[FIRST_REPLICA] = 3
    await order_stop(executor)
    await advance(world, 29)
    assert world.runner.ended == []
    await advance(world, 2)
    await executor.wait_idle()
    assert world.runner.ended == [FIRST_REPLICA]
    assert world.journal.entries[-1].detail == "3 requests were cut after 30 s of draining"
    await executor.close(stop_engines=False)


@pytest.mark.parametrize("can_route", [True, False], ids=["counts_unknown", "gateway_away"])
async def test_a_replica_whose_requests_nobody_can_count_is_put_back(can_route: bool) -> None:
    world = quick_to_drain()
    executor = await serving(world)
    world.router.is_reachable = can_route
    world.router.in_flight[FIRST_REPLICA] = None
    await order_stop(executor)
    await advance(world, 31)
    await executor.wait_idle()
    assert world.runner.ended == []
    assert world.journal.phases(STOP) == ["prepared", "draining", "rolled_back"]
    assert "nobody knows whether requests are in flight" in world.journal.entries[-1].detail
    assert state(executor) is ReplicaState.SERVING
    world.router.is_reachable = True
    await advance(world, 1)
    assert world.router.routed == {FIRST_REPLICA}
    await executor.close(stop_engines=False)


async def test_a_replica_that_was_put_back_is_still_watched_and_can_be_stopped_later() -> None:
    world = quick_to_drain()
    executor = await serving(world)
    world.router.in_flight[FIRST_REPLICA] = None
    await order_stop(executor)
    await advance(world, 31)
    await executor.wait_idle()
    world.router.in_flight[FIRST_REPLICA] = 0
    await order_stop(executor, decision_id=DecisionId("eeeeeeee"))
    await executor.wait_idle()
    assert world.runner.ended == [FIRST_REPLICA]
    await executor.close(stop_engines=False)


async def test_a_replica_that_is_put_back_often_has_one_watcher() -> None:
    world = quick_to_drain()
    executor = await serving(world)
    world.router.in_flight[FIRST_REPLICA] = None
    for number in range(3):
        await order_stop(executor, decision_id=DecisionId(f"eeeeeee{number}"))
        await advance(world, 31)
        await executor.wait_idle()
    watchers = [each for each in asyncio.all_tasks() if each.get_name().startswith("watch ")]
    assert len(watchers) == 1
    await executor.close(stop_engines=False)


async def test_a_replica_that_was_put_back_is_mourned_when_it_dies() -> None:
    world = quick_to_drain()
    executor = await serving(world)
    world.router.in_flight[FIRST_REPLICA] = None
    await order_stop(executor)
    await advance(world, 31)
    await executor.wait_idle()
    world.runner.handles[FIRST_REPLICA].die()
    await until_told(world, executor)
    assert world.kinds() == ["replica_died"]
    await executor.close(stop_engines=False)


def to_dry_run(world: World) -> None:
    authority = replace(world.catalogue.authority, mode=Mode.DRY_RUN)
    world.catalogue = replace(world.catalogue, authority=authority)


async def test_a_drain_that_outlives_the_active_mode_is_put_back() -> None:
    world = quick_to_drain()
    executor = await serving(world)
    world.router.in_flight[FIRST_REPLICA] = 1
    await order_stop(executor)
    await advance(world, 1)
    to_dry_run(world)
    world.router.in_flight[FIRST_REPLICA] = 0
    await advance(world, 1)
    await executor.wait_idle()
    assert world.runner.ended == []
    assert world.journal.phases(STOP) == ["prepared", "draining", "rolled_back"]
    assert "authority.mode is dry_run" in world.journal.entries[-1].detail
    assert state(executor) is ReplicaState.SERVING
    assert world.router.routed == {FIRST_REPLICA}
    await executor.close(stop_engines=False)


async def test_a_drain_that_is_resumed_in_a_dry_run_is_put_back() -> None:
    world = quick_to_drain()
    executor = await serving(world)
    world.router.in_flight[FIRST_REPLICA] = 1
    await order_stop(executor)
    await advance(world, 1)
    await executor.close(stop_engines=False)
    to_dry_run(world)
    world.router.in_flight[FIRST_REPLICA] = 0
    successor = world.executor()
    await successor.recover()
    await successor.wait_idle()
    assert world.runner.ended == []
    assert world.journal.phases(STOP)[-1] == "rolled_back"
    assert successor.registry.state(FIRST_REPLICA) is ReplicaState.SERVING
    assert world.router.routed == {FIRST_REPLICA}
    world.runner.handles[FIRST_REPLICA].die()
    await until_told(world, successor)
    assert world.kinds() == ["replica_died"], "it is watched again"
    await successor.close(stop_engines=False)


async def test_an_engine_that_dies_while_it_drains_in_a_dry_run_is_not_put_back() -> None:
    world = quick_to_drain()
    executor = await serving(world)
    world.router.in_flight[FIRST_REPLICA] = 1
    await order_stop(executor)
    await advance(world, 1)
    to_dry_run(world)
    world.runner.handles[FIRST_REPLICA].die()
    await advance(world, 1)
    await executor.wait_idle()
    assert world.journal.phases(STOP)[-1] == "verified"
    assert state(executor) is ReplicaState.STOPPED
    await executor.close(stop_engines=False)


async def test_a_person_ends_engines_in_a_dry_run_too() -> None:
    world = quick_to_drain()
    executor = await serving(world)
    to_dry_run(world)
    await executor.close(stop_engines=True)
    assert world.runner.ended == [FIRST_REPLICA]


async def test_an_engine_that_dies_while_it_drains_is_cleared_away() -> None:
    world = quick_to_drain()
    executor = await serving(world)
    world.router.in_flight[FIRST_REPLICA] = 2
    await order_stop(executor)
    await advance(world, 1)
    world.runner.handles[FIRST_REPLICA].die()
    await advance(world, 1)
    await executor.wait_idle()
    assert world.journal.phases(STOP)[-1] == "verified"
    assert world.journal.entries[-1].detail == "it had ended by itself"
    await executor.close(stop_engines=False)


async def test_only_a_serving_replica_is_stopped() -> None:
    world = quick_to_drain()
    executor = await serving(world)
    await order_stop(executor)
    await order_stop(executor, decision_id=DecisionId("ffffffff"))
    await executor.wait_idle()
    refused = [each.detail for each in world.journal.entries if each.phase is Phase.REFUSED]
    assert len(refused) == 1
    assert "only a serving replica is stopped" in refused[0]
    assert world.runner.ended == [FIRST_REPLICA]
    await executor.close(stop_engines=False)


async def test_the_second_look_can_refuse_a_stop() -> None:
    world = quick_to_drain()
    executor = await serving(world)
    world.objection = "demand came back"
    await order_stop(executor)
    await executor.wait_idle()
    assert world.journal.phases(STOP) == ["prepared", "refused"]
    assert state(executor) is ReplicaState.SERVING
    await executor.close(stop_engines=False)


async def test_a_deposed_controller_does_not_end_what_it_was_draining() -> None:
    world = quick_to_drain()
    executor = await serving(world)
    world.router.in_flight[FIRST_REPLICA] = 1
    await order_stop(executor)
    await advance(world, 1)
    world.fence.leads = False
    world.router.in_flight[FIRST_REPLICA] = 0
    await advance(world, 1)
    await executor.wait_idle()
    assert world.runner.ended == []
    assert world.journal.phases(STOP)[-1] == "draining"
    assert executor.lost_leadership is not None
    await executor.close(stop_engines=False)


async def test_a_process_that_will_not_go_is_told_and_tried_again() -> None:
    world = quick_to_drain()
    executor = await serving(world)
    world.runner.stop_error = "process 7 is still there"
    await order_stop(executor)
    await advance(world, 1)
    assert state(executor) is ReplicaState.DRAINING, "it still holds its memory"
    world.runner.stop_error = None
    await advance(world, 60)
    await executor.wait_idle()
    assert state(executor) is ReplicaState.STOPPED
    await executor.close(stop_engines=False)


@pytest.mark.parametrize("phase", [Phase.DRAINING, Phase.TERMINATING])
async def test_a_stop_that_cannot_be_journaled_is_not_done(phase: Phase) -> None:
    world = quick_to_drain()
    executor = await serving(world)
    world.journal.refuses = {phase}
    await order_stop(executor)
    await executor.wait_idle()
    assert world.runner.ended == []
    assert state(executor) is ReplicaState.SERVING
    assert world.router.routed == {FIRST_REPLICA}
    await executor.close(stop_engines=False)


async def until_told(world: World, executor: Executor) -> None:
    while not world.events:
        await advance(world, 0.1)
    await executor.wait_idle()


async def test_an_engine_that_dies_by_itself_is_unrouted_told_and_buried() -> None:
    world = quick_to_drain()
    executor = await serving(world)
    await advance(world, 90)
    world.runner.handles[FIRST_REPLICA].die()
    await until_told(world, executor)
    (event,) = world.events
    assert isinstance(event, ReplicaDied)
    assert event.lived_seconds == pytest.approx(90, abs=1)
    assert event.message == f"{FIRST_REPLICA} ended by itself after 90 s: last words"
    assert world.router.routed == set()
    assert state(executor) is ReplicaState.FAILED
    assert world.runner.ended == [FIRST_REPLICA], "its children are ended too"
    assert world.journal.phases(f"died/{FIRST_REPLICA}")[-1] == "verified"
    await executor.close(stop_engines=False)


async def test_a_death_is_told_once_over_restarts() -> None:
    world = quick_to_drain()
    executor = await serving(world)
    world.runner.handles[FIRST_REPLICA].die()
    await until_told(world, executor)
    await executor.close(stop_engines=False)
    successor = world.executor()
    await successor.recover()
    await successor.wait_idle()
    assert world.kinds() == ["replica_died"]
    await successor.close(stop_engines=False)


async def test_a_death_nobody_saw_is_told_at_the_next_start() -> None:
    world = quick_to_drain()
    executor = await serving(world)
    await executor.close(stop_engines=False)
    world.runner.handles[FIRST_REPLICA].die()
    successor = world.executor()
    await successor.recover()
    await successor.wait_idle()
    assert world.kinds() == ["replica_died"]
    assert world.router.routed == set()
    await successor.close(stop_engines=False)


async def test_failed_and_stopped_replicas_are_shown_for_a_while() -> None:
    world = quick_to_drain()
    executor = await serving(world)
    await order_stop(executor)
    await executor.wait_idle()
    await advance(world, 299)
    assert [each.state for each in executor.registry.replicas()] == [ReplicaState.STOPPED]
    await advance(world, 2)
    assert executor.registry.replicas() == ()
    await executor.close(stop_engines=False)
