"""`foresail up` and `foresail down` around their processes."""

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from autoscaler.actuators.process import ProcessRunner
from autoscaler.errors import NotLeader
from autoscaler.fence import ControllerFence
from autoscaler.ledger import verify_ledger
from collector.clock import VirtualClock
from collector.errors import ConfigurationError
from collector.gateway.settings import GatewaySettings
from collector.procfs import read_process_stat
from foresail.cli.failure import failure
from foresail.settings import ControllerSettings, LogFormat, LoggingSettings, Settings
from foresail.up import SUPERVISOR_FILE, controller_url, make_supervisor, run_down, run_up
from support.builders import CHAT
from support.control_loop import chat_catalogue
from support.desks import Desk, desk
from support.execution import FIRST_REPLICA, base_environment, small_engine_variant


@pytest.fixture(name="it")
def _it(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path, chat_catalogue(mode="dry_run")) as made:
        made.state_dir.mkdir()
        yield made


def settings_of(it: Desk) -> Settings:
    return Settings(
        catalogue_path=it.folder / "catalogue.yaml",
        gateway=GatewaySettings(state_dir=it.state_dir, port=it.gateway_port),
        settings_path=it.settings_path,
        controller=ControllerSettings(port=it.controller_port),
        logging=LoggingSettings(format=LogFormat.JSON),
    )


def start_engine(it: Desk) -> int:
    """An engine that some earlier controller has left; its pid."""
    runner = ProcessRunner(state_dir=it.state_dir, base_environment=base_environment())
    spawned = runner.spawn(
        replica_id=FIRST_REPLICA,
        service=CHAT,
        variant=small_engine_variant(),
        port=runner.free_port(),
    )
    return asyncio.run(spawned).pid


def announce(it: Desk, *, pid: int, start_ticks: int) -> None:
    (it.state_dir / SUPERVISOR_FILE).write_text(f"{pid} {start_ticks}\n")


def our_start_ticks() -> int:
    stat = read_process_stat(os.getpid())
    assert stat is not None
    return stat.start_ticks


@pytest.mark.parametrize(
    ("stop_engines", "flags"),
    [
        pytest.param(False, (), id="engines go on"),
        pytest.param(True, ("--stop-engines",), id="not"),
    ],
)
def test_it_runs_the_gateway_and_then_the_controller(
    *, it: Desk, stop_engines: bool, flags: tuple[str, ...]
) -> None:
    supervisor = make_supervisor(
        settings_of(it), stop_engines=stop_engines, clock=VirtualClock(), say=print
    )
    words = (sys.executable, "-m", "foresail")
    told = ("--settings", str(it.settings_path))
    assert [child.settings.command for child in supervisor.children] == [
        (*words, "gateway", *told),
        (*words, "controller", *told, *flags),
    ]
    assert [child.settings.log_path.name for child in supervisor.children] == [
        "gateway.log",
        "controller.log",
    ]


def test_settings_that_are_in_no_file_cannot_be_run(it: Desk) -> None:
    settings = replace(settings_of(it), settings_path=None)
    with pytest.raises(ConfigurationError, match=r"write foresail\.yaml first"):
        make_supervisor(settings, stop_engines=False, clock=VirtualClock(), say=print)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        pytest.param("127.0.0.1", "http://127.0.0.1:8081", id="IPv4"),
        pytest.param("::1", "http://[::1]:8081", id="IPv6"),
    ],
)
def test_the_page_has_an_address_to_click(*, it: Desk, host: str, url: str) -> None:
    settings = replace(settings_of(it), controller=ControllerSettings(host=host, port=8081))
    assert controller_url(settings) == url


def test_a_second_up_is_refused_and_leaves_the_first_announced(it: Desk) -> None:
    announce(it, pid=os.getpid(), start_ticks=our_start_ticks())
    with pytest.raises(ConfigurationError, match=f"already run by process {os.getpid()}") as error:
        run_up(settings_of(it), stop_engines=False)
    assert failure(error.value).exit_code == 2
    assert (it.state_dir / SUPERVISOR_FILE).exists()
    assert it.process_ids("gateway") == set()


@pytest.mark.parametrize("stop_engines", [False, True])
def test_a_start_that_fails_halfway_leaves_nothing_running(*, it: Desk, stop_engines: bool) -> None:
    (it.state_dir / "logs" / "controller.log").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        run_up(settings_of(it), stop_engines=stop_engines)
    assert it.process_ids("gateway") == set()
    assert not (it.state_dir / SUPERVISOR_FILE).exists()


@pytest.mark.parametrize(
    "announced",
    [
        pytest.param("", id="an empty file"),
        pytest.param("no number", id="nonsense"),
        pytest.param("{pid} 1", id="a pid that another process has now"),
        pytest.param("999999999 1", id="a process that is gone"),
    ],
)
def test_down_takes_what_is_no_living_supervisor_for_none(
    *, it: Desk, announced: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (it.state_dir / SUPERVISOR_FILE).write_text(announced.format(pid=os.getpid()))
    assert run_down(settings_of(it)) == 0
    assert capsys.readouterr().out == "foresail: no engine was running\n"


def test_down_ends_engines_in_a_dry_run_too(it: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    pid = start_engine(it)
    assert run_down(settings_of(it)) == 0
    assert it.engine_pids() == {}
    assert not is_alive(pid)
    assert capsys.readouterr().out.endswith("foresail: ended 1 engine\n")
    assert verify_ledger(it.state_dir / "ledger.sqlite").is_intact


def is_alive(pid: int) -> bool:
    stat = read_process_stat(pid)
    return stat is not None and stat.is_running


def break_catalogue(it: Desk) -> None:
    (it.folder / "catalogue.yaml").write_text(yaml.safe_dump({"version": 9}))


def break_ledger(it: Desk) -> None:
    (it.state_dir / "ledger.sqlite").write_text("this is no ledger" * 1000)


@pytest.mark.parametrize("fault", [break_catalogue, break_ledger])
def test_down_ends_engines_whatever_else_is_broken(
    *, it: Desk, fault: Callable[[Desk], None], capsys: pytest.CaptureFixture[str]
) -> None:
    pid = start_engine(it)
    fault(it)
    assert run_down(settings_of(it)) == 0
    assert not is_alive(pid)
    out = capsys.readouterr().out
    assert "engines_end_without_record" in out
    assert "ended 1 engine\n" in out


def test_down_needs_no_port(it: Desk) -> None:
    with socket.create_server(("127.0.0.1", it.controller_port)):
        assert run_down(settings_of(it)) == 0


def test_down_leaves_another_controller_alone(it: Desk) -> None:
    with ControllerFence(it.state_dir):
        pid = start_engine(it)
        with pytest.raises(NotLeader) as error:
            run_down(settings_of(it))
        assert is_alive(pid)
    found = failure(error.value)
    assert found.exit_code == 2  # the supervisor gives such a controller up
    (line,) = found.lines
    assert line.endswith("stop that one or set another state directory")
