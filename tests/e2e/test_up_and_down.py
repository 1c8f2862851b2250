"""`foresail up` and `foresail down`: what is kept running, what outlives what, what is gone at the end.

A whole desk of real processes under the real supervisor.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.desks import Desk, Streams, catalogue, desk, read_json, service, wait_until


@pytest.fixture(name="it")
def _it(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path, catalogue({"chat": service(max_replicas=1)})) as made:
        yield made


async def asked(it: Desk) -> str | None:
    """Why one streamed request failed; None when its answer was whole."""
    return await Streams(url=it.gateway_url).ask_once()


async def started(it: Desk) -> int:
    """Runs `up` until one replica serves; the pid of its engine."""
    it.start("up")
    await it.wait_serving(1)
    return only(it.engine_pids().values())


def only(pids: object) -> int:
    (pid,) = list(pids)  # type: ignore[call-overload]  # any collection of ints
    assert isinstance(pid, int)
    return pid


@pytest.mark.slow
async def test_what_is_killed_comes_back_and_costs_no_engine(it: Desk) -> None:
    up = it.start("up", "--stop-engines")
    await it.wait_serving(1)
    engine = only(it.engine_pids().values())
    gateway, controller = only(it.process_ids("gateway")), only(it.process_ids("controller"))

    os.kill(controller, signal.SIGSTOP)  # the gateway gets no help
    os.kill(gateway, signal.SIGKILL)
    await other_than(it, "gateway", gateway)
    assert await asked(it) is None  # by the table it had before
    assert await it.gateway_value("foresail_requests_finished_total", outcome="completed") == 1
    os.kill(controller, signal.SIGCONT)

    os.kill(controller, signal.SIGKILL)
    await other_than(it, "controller", controller)
    await it.wait_serving(1)
    assert only(it.engine_pids().values()) == engine
    told = it.log("up")
    for name in ("gateway", "controller"):
        assert told.count(f"{name} ended (signal 9); starting it again") == 1

    up.send_signal(signal.SIGINT)
    assert up.wait(30) == 0
    assert it.engine_pids() == {}
    assert not it.process_ids("gateway")
    assert not it.process_ids("controller")


async def other_than(it: Desk, name: str, killed: int) -> None:
    """Returns once another process of that name answers."""
    url = it.gateway_url if name == "gateway" else it.controller_url

    async def is_back() -> bool:
        answers = await read_json(f"{url}/healthz") is not None
        return answers and killed not in it.process_ids(name)

    await wait_until(is_back, what=lambda: it.log("up"))


@pytest.mark.slow
async def test_engines_outlive_up_are_adopted_by_the_next_and_end_with_down(it: Desk) -> None:
    engine = await started(it)
    first = it.processes[0]
    first.send_signal(signal.SIGTERM)
    assert first.wait(30) == 0
    assert not it.process_ids("gateway")
    assert not it.process_ids("controller")
    assert only(it.engine_pids().values()) == engine

    assert await started(it) == engine
    assert await asked(it) is None
    down = it.run("down")
    assert down.returncode == 0, down
    assert down.stderr == ""
    assert "ended 1 engine\n" in down.stdout
    assert it.processes[1].wait(10) == 0
    assert it.engine_pids() == {}
    assert not it.process_ids("gateway")
    assert not it.process_ids("controller")

    again = it.run("down")
    assert (again.returncode, again.stdout) == (0, "foresail: no engine was running\n")
