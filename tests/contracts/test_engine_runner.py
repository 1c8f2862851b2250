"""The EngineRunner port: what the fake and the real process runner both keep to."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from autoscaler.actuators.process import ProcessRunner
from autoscaler.errors import StartFailed
from autoscaler.ports import EngineHandle, EngineRunner
from collector.model.ids import ReplicaId
from support.builders import CHAT
from support.execution import FIRST_REPLICA, base_environment, small_engine_variant
from support.fakes import FakeRunner

VARIANT = small_engine_variant()
OTHER = ReplicaId("chat-other-1")


@pytest.fixture(params=["fake", "process"])
async def runner(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EngineRunner]:
    made: EngineRunner = (
        FakeRunner()
        if request.param == "fake"
        else ProcessRunner(state_dir=tmp_path, base_environment=base_environment())
    )
    yield made
    for replica_id in made.find_all():
        await made.end(replica_id=replica_id, timeout_seconds=0.0)


async def spawn(
    runner: EngineRunner, replica_id: ReplicaId = FIRST_REPLICA
) -> tuple[EngineHandle, str]:
    port = runner.free_port()
    handle = await runner.spawn(replica_id=replica_id, service=CHAT, variant=VARIANT, port=port)
    return handle, f"http://127.0.0.1:{port}"


async def test_ports_are_not_given_twice(runner: EngineRunner) -> None:
    assert len({runner.free_port() for _ in range(20)}) == 20


async def test_a_spawned_engine_is_found_by_its_replica_id(runner: EngineRunner) -> None:
    handle, _ = await spawn(runner)
    found = runner.find(FIRST_REPLICA)
    assert found is not None
    assert (found.pid, found.process_start_ticks) == (handle.pid, handle.process_start_ticks)
    assert handle.is_alive()
    assert set(runner.find_all()) == {FIRST_REPLICA}
    assert runner.find(OTHER) is None


async def test_a_living_engine_is_waited_for_no_longer_than_asked(runner: EngineRunner) -> None:
    handle, _ = await spawn(runner)
    assert not await handle.wait_ended(timeout_seconds=0.01)


async def test_an_engine_becomes_ready(runner: EngineRunner) -> None:
    handle, base_url = await spawn(runner)
    await runner.wait_ready(base_url=base_url, handle=handle, variant=VARIANT)
    assert handle.is_alive()


async def test_an_ended_engine_is_gone_and_not_found(runner: EngineRunner) -> None:
    handle, _ = await spawn(runner)
    other, _ = await spawn(runner, OTHER)
    await runner.end(replica_id=FIRST_REPLICA, timeout_seconds=5.0)
    assert not handle.is_alive()
    assert await handle.wait_ended(timeout_seconds=0.0)
    assert runner.find(FIRST_REPLICA) is None
    assert other.is_alive()


async def test_ending_what_is_not_there_does_nothing(runner: EngineRunner) -> None:
    await runner.end(replica_id=OTHER, timeout_seconds=5.0)


async def test_an_engine_that_has_ended_does_not_get_ready(runner: EngineRunner) -> None:
    handle, base_url = await spawn(runner)
    await runner.end(replica_id=FIRST_REPLICA, timeout_seconds=5.0)
    with pytest.raises(StartFailed) as error:
        await runner.wait_ready(base_url=base_url, handle=handle, variant=VARIANT)
    assert "\n" not in str(error.value)
