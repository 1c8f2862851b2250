"""What people type, what they get, and with which exit code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from foresail.cli.failure import failure
from foresail.cli.main import application, main
from foresail.cli.session import Session
from support.files import CATALOGUE, write_desk

COMMANDS = [
    ["demo"], ["up"], ["down"], ["plan"], ["list"], ["doctor"], ["generate"], ["init"],
    ["ledger", "verify"], ["ledger", "show"], ["gateway"], ["controller"],
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_explains_itself_with_an_example(command: list[str]) -> None:
    result = CliRunner().invoke(application(), [*command, "--help"], obj=Session(environ={}))
    assert result.exit_code == 0
    assert f"Example: foresail {' '.join(command)}" in result.output


def test_help_fits_on_one_screen_and_hides_what_only_machines_call(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--help"], environ={}) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 30
    assert not any(line.endswith("...") for line in lines[1:])
    listed = [line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "]
    assert "gateway" not in listed
    assert "controller" not in listed


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], environ={}) == 0
    assert capsys.readouterr().out.startswith("Usage: foresail")


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"], environ={}) == 0
    assert capsys.readouterr().out == "foresail 0.1.0\n"


WRONG_USE = {
    "unknown command": (["bogus"], "No such command 'bogus'; see `foresail --help`"),
    "unknown option": (["doctor", "--nope"], "No such option: --nope; see `foresail doctor --help`"),
    "no subcommand": (["ledger"], "Missing command; see `foresail ledger --help`"),
    "kind of record": (
        ["ledger", "show", "--kind", "x", "--file", "y"],
        "Invalid value for --kind: 'x' is not one of: decision, effect, outcome; see `foresail ledger "
        "show --help`",
    ),
    "a number too small": (
        ["demo", "--minutes", "-1"],
        "--minutes -1: must be greater than or equal to 0.2; see `foresail demo --help`",
    ),
    "no number": (
        ["emulate", "--count", "x"],
        "--count x: must be a valid integer; see `foresail emulate --help`",
    ),
    "options that do not go together": (
        ["demo", "--live"],
        "--live goes with --fleet; without both, engines are real; see `foresail demo --help`",
    ),
    "a duration without its unit": (
        ["backtest", "--trace", "x", "--ttft", "1"],
        "--ttft 1: must be a duration with its unit, above 0 and at most 400d, such as 250ms, 90s, "
        "1h30m or 14d",
    ),
    "a negative duration": (
        ["backtest", "--trace", "x", "--provision", "-5s"],
        "--provision -5s: must be a duration with its unit, above 0 and at most 400d, such as 250ms, "
        "90s, 1h30m or 14d",
    ),
    "a share as it was typed": (
        ["backtest", "--trace", "x", "--target", "99"],
        "--target 99: must be a share above 0% and under 100%, such as 99% or 0.99",
    ),
    "no settings": (
        ["list", "--settings", "none.yaml"],
        "none.yaml: there is no such file; `foresail init` writes one to start from",
    ),
    "not a checkout": (
        ["generate", "--check"],
        ". is not a checkout of Foresail (it has no pyproject.toml); run this in one, or name it with "
        "--root",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), WRONG_USE.values(), ids=WRONG_USE.keys())
def test_wrong_use_is_one_line_and_exit_code_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments, environ={}) == 2
    captured = capsys.readouterr()
    assert captured.err == f"foresail: {message}\n"
    assert captured.out == ""


def test_every_problem_of_a_file_is_a_line_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = CATALOGUE.replace("version: 1", "version: 9").replace("slots: 4", "slots: 0")
    path = write_desk(tmp_path, settings="controller: {port: 1}\n", catalogue=text)
    assert main(["list", "-s", str(path)], environ={}) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"foresail: {tmp_path}/catalogue.yaml:1: version is 9, must be 1",
        f"foresail: {tmp_path}/catalogue.yaml:19: services.chat.variants.llama.slots is 0, must be at "
        "least 1",
    ]


def test_up_starts_nothing_for_a_catalogue_that_the_controller_would_refuse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = CATALOGUE.replace("slots: 4", "slots: 0")
    path = write_desk(tmp_path, settings="controller: {port: 1}\n", catalogue=text)
    assert main(["up", "-s", str(path)], environ={}) == 2
    captured = capsys.readouterr()
    assert captured.err == (
        f"foresail: {tmp_path}/catalogue.yaml:19: services.chat.variants.llama.slots is 0, must be at "
        "least 1\n"
    )
    assert captured.out == ""
    assert sorted(each.name for each in tmp_path.iterdir()) == ["catalogue.yaml", "foresail.yaml"]


def test_a_setup_that_never_ran_says_so_in_place_of_a_missing_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_desk(tmp_path, settings="controller: {port: 1}\n")
    assert main(["list", "-s", str(path)], environ={}) == 0
    assert capsys.readouterr().out.splitlines()[0] == (
        "no controller at 127.0.0.1:1, none has run here yet; this is what the catalogue declares"
    )


def test_doctor_says_each_next_step_once_and_corrects_no_file_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = CATALOGUE.replace("version: 1", "version: 9").replace("slots: 4", "slots: 0")
    path = write_desk(tmp_path, settings="controller: {port: 1}\n", catalogue=text)
    assert main(["doctor", "-s", str(path)], environ={}) == 1
    assert capsys.readouterr().out.count("next (catalogue): correct this line") == 1
    assert main(["doctor", "-s", str(tmp_path / "none.yaml")], environ={}) == 1
    said = capsys.readouterr().out
    assert "there is no such file; `foresail init` writes one" in said
    assert "next (settings): run this in its folder, or say where it is with --settings" in said
    assert "correct this line" not in said


def test_a_defect_says_that_it_is_one_and_how_to_see_more() -> None:
    found = failure(KeyError("a\nb"))
    assert found.exit_code == 1
    assert found.lines == (
        "unexpected KeyError: 'a\\nb'; this is a defect in Foresail, FORESAIL_DEBUG=1 shows where",
    )


def test_a_failure_of_the_system_names_the_file() -> None:
    assert failure(PermissionError(13, "Permission denied", "/x")).lines == (
        "/x: Permission denied",
    )


def test_debugging_shows_the_traceback(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="there is no such file"):
        main(["list", "-s", str(tmp_path / "none")], environ={"FORESAIL_DEBUG": "1"})


def test_the_settings_may_be_named_by_a_variable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_desk(tmp_path, settings="controller: {port: 1}\n")
    assert main(["list"], environ={"FORESAIL_SETTINGS": str(path)}) == 0
    assert "chat" in capsys.readouterr().out


def test_init_writes_a_setup_that_doctor_can_read_and_never_writes_over_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "desk"
    assert main(["init", str(folder)], environ={}) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["catalogue.yaml", "foresail.yaml"]
    (folder / "catalogue.yaml").write_text("mine")
    (folder / "foresail.yaml").unlink()
    capsys.readouterr()
    assert main(["init", str(folder)], environ={}) == 2
    assert capsys.readouterr().err == (
        f"foresail: {folder}/catalogue.yaml exists and is not overwritten; name another folder\n"
    )
    assert [path.name for path in folder.iterdir()] == ["catalogue.yaml"]
    assert (folder / "catalogue.yaml").read_text() == "mine"


def test_generate_check_names_the_file_and_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pyproject.toml").touch()
    assert main(["generate", "--root", str(tmp_path), "--check"], environ={}) == 1
    assert capsys.readouterr().out.splitlines()[0] == (
        "deploy/schema/catalogue.schema.json is not what the code makes; run: foresail generate"
    )
    assert main(["generate", "--root", str(tmp_path)], environ={}) == 0
    assert main(["generate", "--root", str(tmp_path), "--check"], environ={}) == 0


def test_doctor_exits_1_when_something_would_not_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_desk(tmp_path)
    assert main(["doctor", "-s", str(path), "--json"], environ={"PATH": ""}) == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    assert {"check", "status", "message", "next_step"} == set(findings[0])
    assert [each["message"] for each in findings if each["check"] == "commands"] == [
        "chat/llama: 'llama-server' is not found or may not be run"
    ]


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )


def test_help_does_not_load_what_it_does_not_need() -> None:
    code = """
import sys
from foresail.cli.main import run
sys.argv = ["foresail", "--help"]
try:
    run()
except SystemExit as error:
    heavy = {"numpy", "aiohttp", "fastapi", "pydantic", "rich", "yaml", "asyncio", "uvicorn"}
    print("loaded:", sorted(heavy & set(sys.modules)), "exit:", error.code)
"""
    assert run_python(code).stdout.splitlines()[-1] == "loaded: [] exit: 0"


def test_an_interrupt_ends_quietly_with_130() -> None:
    code = """
import sys, foresail.cli.main as command
def interrupted(*_, **__): raise KeyboardInterrupt
command.application = interrupted
command.run()
"""
    ended = run_python(code)
    assert (ended.returncode, ended.stderr) == (130, "")


def test_a_reader_that_leaves_is_no_error() -> None:
    code = "import sys; from foresail.cli.main import run; sys.argv = ['foresail', '--help']; run()"
    ended = subprocess.run(
        ["bash", "-c", 'set -o pipefail; "$0" -c "$1" | true', sys.executable, code],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert ended.stderr == ""


def test_init_into_a_file_says_that_it_is_no_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "desk").write_text("mine")
    assert main(["init", str(tmp_path / "desk")], environ={}) == 2
    assert capsys.readouterr().err == (
        f"foresail: {tmp_path}/desk cannot be made a folder: File exists; name another one\n"
    )
