"""What the demo replays with the options it was given, and which options it refuses at once."""

import socket
from pathlib import Path
from typing import Any

import pytest

from collector.errors import ConfigurationError
from collector.model.catalogue import CapacityPrior
from foresail.cli.failure import failure
from foresail.cli.main import main
from foresail.demo.machine import core_count
from foresail.demo.options import DemoOptions, check_options, free_ports
from foresail.demo.run import ledger_is_verified, replay_plan
from foresail.demo.trace import read_cut, scale_cut

CAPACITY = CapacityPrior(prompt_seconds_per_token=0.0005, output_seconds_per_token=0.004)


def make_options(**fields: Any) -> DemoOptions:
    given: dict[str, Any] = {
        "minutes": 3.0,
        "speed": None,
        "headless": True,
        "json_path": None,
        "keep": False,
        "port": None,
    }
    return DemoOptions(**{**given, **fields})


@pytest.mark.parametrize(
    ("options", "duration_seconds", "speed_ratio"),
    [
        pytest.param({}, 180.0, 19.0, id="the whole hour fits"),
        pytest.param({"minutes": 57.0}, 3420.0, 1.0, id="as it was recorded"),
        pytest.param({"minutes": 0.2}, 12.0, 285.0, id="the shortest"),
        pytest.param({"speed": 2.0}, 180.0, 2.0, id="a part of the hour, slower"),
        pytest.param({"speed": 60.0}, 57.0, 60.0, id="the hour ends before the minutes do"),
    ],
)
def test_minutes_and_speed(
    *, options: dict[str, float], duration_seconds: float, speed_ratio: float
) -> None:
    plan = replay_plan(make_options(**options), capacity=CAPACITY)
    assert plan.duration_seconds == pytest.approx(duration_seconds)
    assert plan.speed_ratio == pytest.approx(speed_ratio)
    assert [each.service for each in plan.services] == ["code", "chat", "batch"]


def test_what_is_planned_fits_the_time() -> None:
    plan = replay_plan(make_options(minutes=1.0), capacity=CAPACITY)
    requests = scale_cut(read_cut(), plan=plan)
    assert requests
    assert max(each.at_seconds for each in requests) < 60


def test_a_slower_machine_gets_less_to_do() -> None:
    slow = CapacityPrior(prompt_seconds_per_token=0.005, output_seconds_per_token=0.04)
    counts = [
        len(scale_cut(read_cut(), plan=replay_plan(make_options(), capacity=each)))
        for each in (CAPACITY, slow)
    ]
    assert counts[1] < counts[0] / 3


def test_a_single_core_gets_half_the_peak() -> None:
    peak = replay_plan(make_options(), capacity=CAPACITY).services[0].peak_work_ratio
    assert peak == pytest.approx(1.1 if core_count() >= 2 else 0.55)


@pytest.mark.parametrize(
    "capacity",
    [
        pytest.param(
            CapacityPrior(prompt_seconds_per_token=0.0, output_seconds_per_token=0.01),
            id="prompts cost nothing",
        ),
        pytest.param(
            CapacityPrior(prompt_seconds_per_token=0.01, output_seconds_per_token=0.0),
            id="answers cost nothing",
        ),
    ],
)
def test_a_cost_that_was_too_small_to_measure_is_no_mistake(capacity: CapacityPrior) -> None:
    assert scale_cut(read_cut(), plan=replay_plan(make_options(), capacity=capacity))


@pytest.mark.parametrize(
    ("document", "verified"),
    [
        pytest.param({"ledger": {"verified": True, "records": 3}}, True, id="intact"),
        pytest.param({"ledger": {"verified": False, "records": 3}}, False, id="broken"),
        pytest.param({"ledger": None}, False, id="none"),
    ],
)
def test_the_exit_code_hangs_on_the_ledger(*, document: dict[str, object], verified: bool) -> None:
    assert ledger_is_verified(document) is verified


# Options that cannot work


def refusal(options: DemoOptions) -> str:
    with pytest.raises(ConfigurationError) as error:
        check_options(options)
    found = failure(error.value)
    assert found.exit_code == 2
    (line,) = found.lines
    return line


def test_options_that_can_work_leave_nothing_behind(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    options = make_options(json_path=tmp_path / "out.json", port=port)
    check_options(options)
    check_options(options)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_told_before_anything_runs(tmp_path: Path) -> None:
    path = tmp_path / "none" / "out.json"
    assert refusal(make_options(json_path=path)) == (
        f"demo: --json {path}: there is no folder {tmp_path}/none; make it first"
    )


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    line = refusal(make_options(json_path=tmp_path))
    assert line == f"demo: --json {tmp_path} is a folder; name a file"


def test_a_file_in_the_working_folder_needs_no_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    check_options(make_options(json_path=Path("out.json")))


def test_a_port_in_use_is_told_before_anything_runs(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["demo", "--headless", "--port", str(port)], environ={}) == 2
    assert capsys.readouterr().err == (
        f"foresail: demo: --port {port}: Address already in use; end what uses it, or name another "
        "one, or none: then a free one is taken\n"
    )


def test_free_ports_differ() -> None:
    assert len(set(free_ports(5))) == 5
