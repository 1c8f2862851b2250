"""What stops Foresail, and what Foresail leaves alone: a dry run, a lost leadership, a second look.

Real controller processes; the engines are small ones that some earlier controller has left.
"""

import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from autoscaler.actuators.process import ProcessRunner
from autoscaler.fence import ControllerFence
from collector.model.ids import ReplicaId
from support.builders import CHAT
from support.desks import Desk, catalogue, desk, read_json, service, wait_until
from support.execution import base_environment, small_engine_variant

FOUND = ReplicaId("chat-found-1")


@pytest.fixture(name="it")
def _it(tmp_path: Path) -> Iterator[Desk]:
    content = catalogue({"chat": service(min_replicas=0)}, mode="dry_run")
    with desk(tmp_path, content) as made:
        made.state_dir.mkdir()
        yield made


async def left_over(it: Desk) -> int:
    """An engine that no journal entry answers for; its pid."""
    runner = ProcessRunner(state_dir=it.state_dir, base_environment=base_environment())
    handle = await runner.spawn(
        replica_id=FOUND, service=CHAT, variant=small_engine_variant(), port=runner.free_port()
    )
    return handle.pid


async def deciding(it: Desk) -> None:
    async def has_decided() -> bool:
        return bool(await it.decisions())

    await wait_until(has_decided, what=lambda: f"a decision; {it.log('controller')[-1500:]}")


async def ready_reason(it: Desk) -> str | None:
    state = await it.state()
    return None if state is None else state["not_ready_reason"]


@pytest.mark.slow
async def test_a_dry_run_leaves_found_engines_alone_and_a_person_does_not(it: Desk) -> None:
    pid = await left_over(it)
    controller = it.start("controller")
    await deciding(it)
    assert it.events("controller", "dry_run_stop")
    assert it.engine_pids() == {FOUND: pid}
    controller.terminate()
    assert controller.wait(20) == 0
    assert it.engine_pids() == {FOUND: pid}

    asked = it.start("controller", "--stop-engines")
    await deciding(it)
    asked.terminate()
    assert asked.wait(20) == 0, it.log("controller")[-1500:]
    assert it.engine_pids() == {}


async def test_who_has_lost_the_state_directory_says_so_and_does_nothing(it: Desk) -> None:
    controller = it.start("controller")
    await deciding(it)
    assert await ready_reason(it) is None
    (it.state_dir / "controller.lock").unlink()
    with ControllerFence(it.state_dir):

        async def is_told() -> bool:
            return "another controller may lead" in (await ready_reason(it) or "")

        await wait_until(is_told, what=lambda: it.log("controller")[-1500:])
        assert await read_json(f"{it.controller_url}/readyz") is None  # 503
        assert controller.poll() is None
        count = len(await it.decisions())
        await left_over(it)
        state = await it.state()
        assert state is not None
        assert state["tick"]["last_problem"] == state["not_ready_reason"]
        assert len(await it.decisions()) == count
    controller.terminate()
    assert controller.wait(20) == 0
    assert set(it.engine_pids()) == {FOUND}


async def test_told_to_end_while_it_recovers_it_ends_in_order(it: Desk) -> None:
    pid = await left_over(it)
    controller = it.start("controller")

    async def recovers() -> bool:
        return bool(it.events("controller", "recovery"))

    await wait_until(recovers, what=lambda: it.log("controller")[-1500:])
    for _ in range(3):
        controller.send_signal(signal.SIGTERM)
    assert controller.wait(20) == 0, it.log("controller")[-1500:]
    assert "Traceback" not in it.log("controller")
    assert it.engine_pids() == {FOUND: pid}


@pytest.mark.slow
async def test_up_that_was_asked_to_takes_the_engines_of_a_dead_controller_with_it(
    it: Desk,
) -> None:
    await left_over(it)
    with socket.create_server(("127.0.0.1", it.controller_port)):  # the controller cannot run
        ended = it.run("up", "--stop-engines")
    assert ended.returncode == 1
    assert "controller refuses to run" in ended.stderr
    assert it.engine_pids() == {}
