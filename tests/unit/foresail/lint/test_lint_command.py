"""`foresail lint` as typed: exit codes, lines, JSON."""

import json
from pathlib import Path

import pytest

from foresail.cli.main import main

DATA = Path(__file__).resolve().parents[4] / "tests" / "data" / "lint"


def test_errors_end_with_1_and_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    file = str(DATA / "defects" / "scalers.yaml")
    assert main(["lint", file], environ={}) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{file}:8: error misspelt-colon: `vllm_num_requests_waiting`")
    assert lines[-1] == (
        "4 errors, 0 warnings in 7 expressions of 1 files; 0 ignored, 0 other files skipped"
    )


def test_good_files_end_with_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", str(DATA / "good")], environ={}) == 0
    assert capsys.readouterr().out.startswith("0 errors, 0 warnings")


def test_warnings_alone_end_with_0(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("groups:\n- name: a\n  rules:\n  - {alert: A, expr: up == 0}\n")
    assert main(["lint", str(file)], environ={}) == 0


def test_json_holds_what_the_lines_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", "--json", str(DATA / "defects" / "cut.json")], environ={}) == 1
    document = json.loads(capsys.readouterr().out)
    assert [each["rule"] for each in document["findings"]] == ["unreadable-file"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lint", "/nowhere/at/all"], "there is no such file"),
        (["lint", ".", "--engine", "vllm"], "like vllm=0.33"),
        (["lint", ".", "--engine", "vlm=0.3"], "known are"),
        (["lint", ".", "--engine", "vllm=new"], "version must start with a number"),
        (["lint"], "Missing argument"),
    ],
)
def test_wrong_use_ends_with_2_and_says_what_is_right(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words, environ={}) == 2
    assert said in capsys.readouterr().err
