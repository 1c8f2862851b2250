"""Starting replicas: looked at again, fenced, admitted, verified, or nothing left behind."""

from dataclasses import replace

import pytest

from autoscaler.errors import LedgerError, NotLeader
from autoscaler.model.action import Hold
from autoscaler.model.decision import Verdict
from autoscaler.model.effect import Phase
from autoscaler.model.event import ReplicaReady, ReplicaStartFailed
from collector.clock import VirtualClock
from collector.model.catalogue import ProcessTarget, UrlTarget
from collector.model.ids import PoolName
from collector.model.replica import ReplicaState
from support.builders import GIB, NOW, PRIOR, fresh, make_variant
from support.execution import (
    FIRST,
    FIRST_REPLICA,
    SECOND,
    World,
    catalogue_of,
    make_decision,
    scale_in,
    scale_out,
    until,
)

EFFECT = f"{FIRST}/1"


async def test_a_start_goes_through_its_phases_and_serves() -> None:
    world = World(clock=VirtualClock(NOW))
    executor = world.executor()
    entries = await executor.submit(make_decision(scale_out(), at=NOW - 2), now=NOW)
    (pending,) = executor.registry.replicas()
    assert pending.state is ReplicaState.PENDING
    await executor.wait_idle()
    assert [entry.effect_id for entry in entries] == [EFFECT]
    assert world.journal.phases(EFFECT) == ["prepared", "spawning", "spawned", "verified"]
    (replica,) = executor.registry.replicas()
    assert replica.state is ReplicaState.SERVING
    assert replica.base_url == "http://127.0.0.1:20000"
    assert replica.serving_timestamp_seconds == NOW
    assert world.router.routed == {FIRST_REPLICA}
    assert world.events == world.journal.outcomes
    (event,) = world.events
    assert isinstance(event, ReplicaReady)
    assert event.lead_time_seconds == 2.0
    await executor.close(stop_engines=False)


async def test_the_journal_knows_port_and_process_before_it_matters() -> None:
    world = World()
    executor = world.executor()
    await executor.submit(make_decision(scale_out()), now=NOW)
    await executor.wait_idle()
    known = {entry.phase: (entry.port, entry.pid) for entry in world.journal.entries}
    assert known == {
        Phase.PREPARED: (None, None),
        Phase.SPAWNING: (20000, None),
        Phase.SPAWNED: (20000, 1000),
        Phase.VERIFIED: (20000, 1000),
    }
    await executor.close(stop_engines=False)


async def test_a_decision_is_carried_out_once_however_often_it_is_submitted() -> None:
    world = World()
    executor = world.executor()
    for _ in range(3):
        await executor.submit(make_decision(scale_out(replicas=2)), now=NOW)
    await executor.wait_idle()
    await executor.submit(make_decision(scale_out(replicas=2)), now=NOW)
    assert sorted(world.runner.spawned) == ["chat-aaaaaaaa-1", "chat-aaaaaaaa-2"]
    assert len(world.journal.decisions) == 1
    await executor.close(stop_engines=False)


async def test_a_decision_of_an_earlier_controller_is_not_carried_out_again() -> None:
    world = World()
    first = world.executor()
    await first.submit(make_decision(scale_out()), now=NOW)
    await first.wait_idle()
    await first.close(stop_engines=False)
    second = world.executor()
    await second.recover()
    assert await second.submit(make_decision(scale_out()), now=NOW) == ()
    assert world.runner.spawned == [FIRST_REPLICA]
    await second.close(stop_engines=False)


@pytest.mark.parametrize("verdict", [Verdict.DRY_RUN, Verdict.ADVISE, Verdict.DENIED])
async def test_what_may_not_act_is_recorded_and_not_done(verdict: Verdict) -> None:
    world = World()
    executor = world.executor()
    await executor.submit(make_decision(scale_out(), verdict=verdict), now=NOW)
    await executor.submit(make_decision(Hold(), decision_id=SECOND), now=NOW)
    await executor.wait_idle()
    assert len(world.journal.decisions) == 2
    assert world.journal.entries == []
    assert world.runner.spawned == []


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("spawn_error", "required file /m.gguf does not exist", "required file /m.gguf does"),
        ("ready_error", "the engine was not ready", "the engine was not ready"),
    ],
)
async def test_a_failed_start_leaves_nothing_behind_and_is_told(
    name: str, value: str, message: str
) -> None:
    world = World()
    setattr(world.runner, name, value)
    executor = world.executor()
    await executor.submit(make_decision(scale_out()), now=NOW)
    await executor.wait_idle()
    assert world.journal.phases(EFFECT)[-2:] == ["rolling_back", "rolled_back"]
    assert world.runner.find_all() == {}
    assert world.runner.ended == [FIRST_REPLICA]
    assert world.router.routed == set()
    (event,) = world.events
    assert isinstance(event, ReplicaStartFailed)
    assert message in event.message
    assert [each.state for each in executor.registry.replicas()] == [ReplicaState.FAILED]


async def test_an_engine_that_dies_while_loading_fails_its_start_at_once() -> None:
    world = World()
    world.runner.may_be_ready.clear()
    executor = world.executor()
    await executor.submit(make_decision(scale_out()), now=NOW)
    await until(lambda: FIRST_REPLICA in world.runner.handles)
    world.runner.handles[FIRST_REPLICA].die()
    await executor.wait_idle()
    assert world.kinds() == ["replica_start_failed"]


async def test_the_second_look_can_refuse_and_nothing_is_touched() -> None:
    world = World(objection="no longer needed")
    executor = world.executor()
    await executor.submit(make_decision(scale_out()), now=NOW)
    await executor.wait_idle()
    assert world.journal.phases(EFFECT) == ["prepared", "refused"]
    assert world.journal.entries[-1].detail == "no longer needed"
    assert world.runner.spawned == []
    assert executor.registry.replicas() == ()
    assert world.events == []


REFUSED_VARIANTS = {
    "not_declared": (make_variant("other"), "its variant is not declared any more"),
    "somebody_elses": (
        make_variant(target=UrlTarget(urls=())),
        "variant small is run by somebody else",
    ),
    "pool_not_declared": (
        make_variant(pool=PoolName("gone")),
        "pool gone is not declared any more",
    ),
}


@pytest.mark.parametrize(("variant", "reason"), REFUSED_VARIANTS.values(), ids=REFUSED_VARIANTS)
async def test_what_the_catalogue_does_not_allow_any_more_is_refused(
    variant: object, reason: str
) -> None:
    world = World(catalogue=catalogue_of(variant))  # type: ignore[arg-type]  # a variant
    executor = world.executor()
    await executor.submit(make_decision(scale_out()), now=NOW)
    await executor.wait_idle()
    assert world.journal.entries[-1].detail == reason


async def test_two_starts_never_count_on_the_same_memory() -> None:
    """Room for one: both pass every check that ran before the other had its memory."""
    world = World(catalogue=catalogue_of(make_variant(), pool_bytes=int(1.5 * GIB)))
    executor = world.executor()
    await executor.submit(make_decision(scale_out(replicas=2)), now=NOW)
    await executor.wait_idle()
    assert len(world.runner.spawned) == 1
    last = sorted(world.journal.phases(f"{FIRST}/{number}")[-1] for number in (1, 2))
    assert last == ["refused", "verified"]
    await executor.close(stop_engines=False)


async def test_a_measured_footprint_replaces_the_declared_one() -> None:
    world = World(catalogue=catalogue_of(make_variant(), pool_bytes=int(1.5 * GIB)))
    world.learned = replace(world.learned, footprint_bytes=(GIB // 4, GIB // 2))
    executor = world.executor()
    await executor.submit(make_decision(scale_out(replicas=3)), now=NOW)
    await executor.wait_idle()
    assert len(world.runner.spawned) == 3
    await executor.close(stop_engines=False)


async def test_what_the_host_has_left_limits_a_start() -> None:
    world = World()
    world.memory.pools = {PoolName("box"): fresh(GIB - 1)}
    executor = world.executor()
    await executor.submit(make_decision(scale_out()), now=NOW)
    await executor.wait_idle()
    assert "the host has 1024 MiB left" in world.journal.entries[-1].detail
    assert world.runner.spawned == []


async def test_a_controller_that_has_lost_its_lead_touches_nothing_more() -> None:
    world = World()
    executor = world.executor()
    await executor.submit(make_decision(scale_out()), now=NOW)
    world.fence.leads = False
    await executor.wait_idle()
    assert world.runner.spawned == []
    assert world.journal.phases(EFFECT) == ["prepared"]
    assert executor.lost_leadership == "another controller leads"
    with pytest.raises(NotLeader):
        await executor.submit(make_decision(scale_out(), decision_id=SECOND), now=NOW)
    assert len(world.journal.decisions) == 1


async def test_a_decision_that_cannot_be_recorded_is_not_carried_out() -> None:
    world = World()
    world.journal.refuses = {Phase.PREPARED}
    executor = world.executor()
    with pytest.raises(LedgerError):
        await executor.submit(make_decision(scale_out()), now=NOW)
    await executor.wait_idle()
    assert world.runner.spawned == []
    assert executor.registry.replicas() == ()


@pytest.mark.parametrize("phase", [Phase.SPAWNING, Phase.SPAWNED, Phase.VERIFIED])
async def test_a_start_that_cannot_be_journaled_leaves_no_process(phase: Phase) -> None:
    world = World()
    world.journal.refuses = {phase, Phase.ROLLING_BACK, Phase.ROLLED_BACK}
    executor = world.executor()
    await executor.submit(make_decision(scale_out()), now=NOW)
    await executor.wait_idle()
    assert world.runner.find_all() == {}
    assert world.router.routed == set()
    assert world.kinds() == ["replica_start_failed"]


async def test_a_gateway_that_is_away_gets_its_routes_when_it_is_back() -> None:
    world = World(clock=(clock := VirtualClock(NOW)))
    world.router.is_reachable = False
    executor = world.executor()
    await executor.submit(make_decision(scale_out()), now=NOW)
    await executor.wait_idle()
    assert world.kinds() == ["replica_ready"]
    assert world.router.written == []
    world.router.is_reachable = True
    await clock.advance(1.0)
    assert world.router.routed == {FIRST_REPLICA}
    await executor.close(stop_engines=False)


PROBES = {
    "nothing_known": (None, False, True),
    "declared": (PRIOR, False, False),
    "probed_before": (None, True, False),
}


@pytest.mark.parametrize(("prior", "is_known", "is_probed"), PROBES.values(), ids=PROBES)
async def test_an_engine_is_probed_only_when_nobody_knows_its_costs(
    prior: object, is_known: bool, is_probed: bool
) -> None:
    world = World(catalogue=catalogue_of(make_variant(capacity_prior=prior)))
    world.runner.probed = PRIOR
    if is_known:
        world.learned = replace(world.learned, probed_capacity=PRIOR)
    executor = world.executor()
    await executor.submit(make_decision(scale_out()), now=NOW)
    await executor.wait_idle()
    (event,) = world.events
    assert isinstance(event, ReplicaReady)
    assert event.probed_capacity == (PRIOR if is_probed else None)
    await executor.close(stop_engines=False)


async def test_replicas_that_somebody_else_runs_are_listed_and_never_stopped() -> None:
    target = UrlTarget(urls=("http://10.0.0.1:8000/",))
    world = World(catalogue=catalogue_of(make_variant(target=target)))
    executor = world.executor()
    (replica,) = executor.registry.replicas()
    assert (replica.replica_id, replica.base_url) == ("chat/small/0", "http://10.0.0.1:8000")
    assert replica.state is ReplicaState.SERVING
    await executor.submit(make_decision(scale_in("chat/small/0")), now=NOW)
    await executor.wait_idle()
    assert world.journal.phases(EFFECT) == ["prepared", "refused"]
    await executor.close(stop_engines=True)
    assert world.runner.ended == []


def test_the_default_variant_is_run_as_a_process() -> None:
    assert isinstance(make_variant().target, ProcessTarget)
