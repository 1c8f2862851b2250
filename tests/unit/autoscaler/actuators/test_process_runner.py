"""The process runner against real processes that behave and misbehave."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import pytest

from autoscaler.actuators.dry_run import DryRunRunner
from autoscaler.actuators.process import ProcessRunner
from autoscaler.errors import StartFailed, StopFailed
from autoscaler.ports import EngineHandle
from collector.model.catalogue import ProcessTarget, UrlTarget, Variant
from collector.model.ids import ReplicaId
from collector.procfs import read_own_environment, read_process_ids, read_process_stat
from support.builders import CHAT, make_variant
from support.execution import (
    FIRST_REPLICA,
    SMALL_ENGINE,
    base_environment,
    silent_log,
    small_engine_variant,
    until,
)


@pytest.fixture
async def runner(tmp_path: Path) -> AsyncIterator[ProcessRunner]:
    made = ProcessRunner(
        state_dir=tmp_path, base_environment={**base_environment(), "SECRET_TOKEN": "hush"}
    )
    yield made
    for replica_id in made.find_all():
        await made.end(replica_id=replica_id, timeout_seconds=0.0)


async def spawn(runner: ProcessRunner, variant: Variant) -> tuple[EngineHandle, str]:
    port = runner.free_port()
    handle = await runner.spawn(replica_id=FIRST_REPLICA, service=CHAT, variant=variant, port=port)
    return handle, f"http://127.0.0.1:{port}"


async def spawn_ready(runner: ProcessRunner, *options: str) -> tuple[EngineHandle, str]:
    variant = small_engine_variant(*options)
    handle, base_url = await spawn(runner, variant)
    await runner.wait_ready(base_url=base_url, handle=handle, variant=variant)
    return handle, base_url


def session_members(leader: int) -> list[int]:
    stats = (read_process_stat(pid) for pid in read_process_ids())
    return [each.pid for each in stats if each and each.session_id == leader and each.is_running]


async def test_an_engine_has_its_own_session_no_pipes_and_no_secrets(
    runner: ProcessRunner, tmp_path: Path
) -> None:
    handle, _ = await spawn_ready(runner)
    process = read_process_stat(handle.pid)
    assert process is not None
    assert process.session_id == process.group_id == handle.pid
    outputs = [os.readlink(f"/proc/{handle.pid}/fd/{number}") for number in (0, 1, 2)]
    log = str(tmp_path / "logs" / f"{FIRST_REPLICA}.log")
    assert outputs == ["/dev/null", log, log]
    assert stat.S_IMODE(os.stat(log).st_mode) == 0o600
    environment = read_own_environment(handle.pid)
    assert environment["FORESAIL_REPLICA_ID"] == FIRST_REPLICA
    assert environment["FORESAIL_STATE_DIR"] == str(tmp_path)
    assert "SECRET_TOKEN" not in environment


async def test_another_state_directory_sees_none_of_it(
    runner: ProcessRunner, tmp_path: Path
) -> None:
    await spawn_ready(runner)
    other = ProcessRunner(state_dir=tmp_path / "other", base_environment=base_environment())
    assert other.find_all() == {}


async def test_a_second_runner_finds_and_ends_what_the_first_one_started(
    runner: ProcessRunner, tmp_path: Path
) -> None:
    handle, _ = await spawn_ready(runner)
    successor = ProcessRunner(state_dir=tmp_path, base_environment=base_environment())
    found = successor.find(FIRST_REPLICA)
    assert found is not None
    assert found.pid == handle.pid
    await successor.end(replica_id=FIRST_REPLICA, timeout_seconds=5.0)
    assert not handle.is_alive()


async def test_the_end_of_an_engine_is_noticed_at_once_and_leaves_no_zombie(
    runner: ProcessRunner,
) -> None:
    handle, base_url = await spawn_ready(runner)
    waiting = asyncio.create_task(handle.wait_ended(timeout_seconds=5.0))
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError):
            await session.post(base_url + "/die")
    assert await waiting
    assert read_process_stat(handle.pid) is None
    assert runner.log_tail(FIRST_REPLICA) == "exit status 3; out of luck"


async def test_an_engine_that_ignores_sigterm_is_killed_at_the_deadline(
    runner: ProcessRunner,
) -> None:
    handle, _ = await spawn_ready(runner, "--ignore-term")
    await runner.end(replica_id=FIRST_REPLICA, timeout_seconds=0.3)
    assert not handle.is_alive()


async def test_children_of_an_engine_end_with_it(runner: ProcessRunner) -> None:
    handle, _ = await spawn_ready(runner, "--with-child")
    await until(lambda: len(session_members(handle.pid)) == 2)
    await runner.end(replica_id=FIRST_REPLICA, timeout_seconds=0.5)
    assert session_members(handle.pid) == []


async def test_children_of_a_dead_engine_are_no_engine_and_can_be_ended(
    runner: ProcessRunner,
) -> None:
    handle, _ = await spawn_ready(runner, "--with-child")
    await until(lambda: len(session_members(handle.pid)) == 2)
    os.kill(handle.pid, signal.SIGKILL)
    assert await handle.wait_ended(timeout_seconds=5.0)
    assert runner.find_all() == {}
    assert len(session_members(handle.pid)) == 1
    await runner.end(replica_id=FIRST_REPLICA, timeout_seconds=0.1)
    assert session_members(handle.pid) == []


async def test_a_zombie_is_not_alive(runner: ProcessRunner) -> None:
    handle, _ = await spawn(runner, small_engine_variant("--exit-at-start", "0"))

    def is_zombie() -> bool:
        process = read_process_stat(handle.pid)
        return process is not None and process.state == "Z"

    await until(is_zombie)
    assert not handle.is_alive()
    assert runner.find_all() == {}
    assert await handle.wait_ended(timeout_seconds=1.0)


async def test_a_reused_pid_is_not_taken_for_the_engine(runner: ProcessRunner) -> None:
    from autoscaler.actuators.proc import ProcessHandle

    handle, _ = await spawn(runner, small_engine_variant())
    earlier = ProcessHandle(pid=handle.pid, process_start_ticks=handle.process_start_ticks - 1)
    assert not earlier.is_alive()
    assert await earlier.wait_ended(timeout_seconds=0.0)
    earlier.send(signal.SIGKILL)
    assert handle.is_alive()


@contextmanager
def stray_process(state_dir: Path) -> Iterator[None]:
    """A process with our variables that nobody here has started."""
    stray = subprocess.Popen(
        [sys.executable, "-S", "-E", "-c", "import time; time.sleep(60)"],
        env={"FORESAIL_REPLICA_ID": "stray-1", "FORESAIL_STATE_DIR": str(state_dir)},
        start_new_session=True,
    )
    try:
        yield
    finally:
        stray.kill()
        stray.wait()


async def test_what_carries_our_variables_is_a_replica_whoever_started_it(
    runner: ProcessRunner, tmp_path: Path
) -> None:
    stray = ReplicaId("stray-1")
    with stray_process(tmp_path):
        await until(lambda: runner.find(stray))
        await runner.end(replica_id=stray, timeout_seconds=5.0)
        assert runner.find_all() == {}


NOT_READY = {
    "ends_at_once": (
        ("--exit-at-start", "4"),
        10.0,
        "the engine ended before it was ready: exit status 4; cannot load the model: it is missing",
    ),
    "never_healthy": (
        ("--never-healthy",),
        0.4,
        "the engine was not ready within startup_timeout_seconds = 0.4: /health answered 503; "
        "its last line: listening",
    ),
}


@pytest.mark.parametrize(("options", "limit_seconds", "message"), NOT_READY.values(), ids=NOT_READY)
async def test_an_engine_that_does_not_get_ready_is_told_in_one_line(
    runner: ProcessRunner, options: tuple[str, ...], limit_seconds: float, message: str
) -> None:
    variant = small_engine_variant(*options, startup_timeout_seconds=limit_seconds)
    handle, base_url = await spawn(runner, variant)
    with pytest.raises(StartFailed) as error:
        await runner.wait_ready(base_url=base_url, handle=handle, variant=variant)
    assert str(error.value) == message


async def test_a_slow_engine_is_waited_for(runner: ProcessRunner) -> None:
    await spawn_ready(runner, "--loading-seconds", "0.3")


async def test_an_embedding_model_is_ready_with_an_embedding(runner: ProcessRunner) -> None:
    await spawn_ready(runner, "--embeddings-only")


async def test_a_probe_measures_both_costs(runner: ProcessRunner) -> None:
    """The small engine takes 10 us per prompt token and 200 us per output token, plus HTTP."""
    _, base_url = await spawn_ready(runner)
    costs = await runner.probe(base_url=base_url, variant=make_variant(slots=1))
    assert costs is not None
    assert 0 <= costs.prompt_seconds_per_token < costs.output_seconds_per_token
    assert 2e-4 < costs.output_seconds_per_token < 2e-3


async def test_an_engine_without_completions_cannot_be_probed(runner: ProcessRunner) -> None:
    _, base_url = await spawn_ready(runner, "--embeddings-only")
    assert await runner.probe(base_url=base_url, variant=make_variant(slots=1)) is None


NOT_STARTED = {
    "missing_model": (
        ProcessTarget(command=("true",), required_files=("/nowhere/model.gguf",)),
        "chat-aaaaaaaa-1: required file /nowhere/model.gguf does not exist; put it there or correct "
        "required_files in catalogue.yaml",
    ),
    "unknown_command": (
        ProcessTarget(command=("no-such-engine", "{port}")),
        "chat-aaaaaaaa-1: command 'no-such-engine' is not found or may not be executed; install it "
        "or give its whole path in catalogue.yaml",
    ),
    "empty_command": (
        ProcessTarget(command=()),
        "chat-aaaaaaaa-1: command is empty; declare it in catalogue.yaml",
    ),
    "somebody_elses": (
        UrlTarget(urls=("http://10.0.0.1",)),
        "chat-aaaaaaaa-1: variant small is run by somebody else (target kind url); it is not "
        "started or stopped here",
    ),
}


@pytest.mark.parametrize(("target", "message"), NOT_STARTED.values(), ids=NOT_STARTED)
async def test_what_cannot_be_started_is_told_in_one_line(
    runner: ProcessRunner, target: ProcessTarget | UrlTarget, message: str
) -> None:
    with pytest.raises(StartFailed) as error:
        await spawn(runner, make_variant(target=target))
    assert str(error.value) == message
    assert runner.find_all() == {}


async def test_the_templates_are_filled_in_and_other_braces_stay(
    runner: ProcessRunner, tmp_path: Path
) -> None:
    words = ("{python}", "-c", "import sys,os;print(sys.argv[1:],os.environ['KEY'])")
    target = ProcessTarget(
        command=(*words, "{port}", "{state_dir}/x", "{replica_id}", '{"a": {}}'),
        environment={"KEY": "at {state_dir}"},
    )
    port = runner.free_port()
    handle = await runner.spawn(
        replica_id=FIRST_REPLICA, service=CHAT, variant=make_variant(target=target), port=port
    )
    assert await handle.wait_ended(timeout_seconds=5.0)
    expected = [str(port), f"{tmp_path}/x", FIRST_REPLICA, '{"a": {}}']
    assert runner.log_tail(FIRST_REPLICA) == f"exit status 0; {expected} at {tmp_path}"


async def test_a_dry_run_looks_and_does_not_touch(runner: ProcessRunner) -> None:
    active = {"is": False}
    dry = DryRunRunner(runner, is_active=lambda: active["is"], log=silent_log())
    with pytest.raises(StartFailed, match=r"dry run; set authority\.mode to active"):
        await dry.spawn(
            replica_id=FIRST_REPLICA, service=CHAT, variant=small_engine_variant(), port=1
        )
    assert dry.find_all() == {}
    handle, _ = await spawn(runner, small_engine_variant())
    with pytest.raises(StopFailed, match="dry run"):
        await dry.end(replica_id=FIRST_REPLICA, timeout_seconds=1.0)
    assert handle.is_alive()
    assert set(dry.find_all()) == {FIRST_REPLICA}
    active["is"] = True
    await dry.end(replica_id=FIRST_REPLICA, timeout_seconds=5.0)
    assert not handle.is_alive()


def test_the_small_engine_is_where_the_tests_look_for_it() -> None:
    assert SMALL_ENGINE.is_file()
