"""Planted defects are found exactly once, good files are left alone, published ones are read by hand."""

import re
import shutil
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from foresail.lint import Report, lint_paths, load_name_facts
from foresail.lint.name_facts import NameFacts

ROOT = Path(__file__).resolve().parents[4]
DATA = ROOT / "tests" / "data" / "lint"
_EXPECTED = re.compile(r"expect[:_]([\w-]+)")


@cache
def name_facts() -> NameFacts:
    return load_name_facts()


def linted(*paths: Path, **versions: tuple[int, ...]) -> Report:
    return lint_paths(paths, facts=name_facts(), versions=versions)


def described(report: Report) -> list[str]:
    return [f"{each.where} {each.rule.value} {each.message}" for each in report.findings]


@pytest.mark.parametrize("name", ["rules.yaml", "dashboard.json", "scalers.yaml"])
def test_each_planted_defect_is_found_once_and_nothing_else(name: str) -> None:
    text = (DATA / "defects" / name).read_text()
    planted = Counter(each.replace("_", "-") for each in _EXPECTED.findall(text))
    report = linted(DATA / "defects" / name)
    assert Counter(each.rule.value for each in report.findings) == planted
    for finding in report.findings:
        if finding.where:
            assert _EXPECTED.findall(finding.where)[0].replace("_", "-") == finding.rule.value


@pytest.mark.parametrize(("name", "line"), [("cut.json", 2), ("template.yaml", 4)])
def test_a_broken_file_is_one_finding_with_its_line(name: str, line: int) -> None:
    report = linted(DATA / "defects" / name)
    assert [(each.rule.value, each.line) for each in report.findings] == [("unreadable-file", line)]


@pytest.mark.parametrize("path", [DATA / "good", ROOT / "deploy"], ids=["good", "our own files"])
def test_nothing_is_found_in_good_files(path: Path) -> None:
    assert described(linted(path)) == []


def test_findings_carry_the_line_of_their_expression() -> None:
    report = linted(DATA / "defects" / "dashboard.json")
    lines = (DATA / "defects" / "dashboard.json").read_text().splitlines()
    for finding in report.findings:
        assert finding.expression.split("{")[0].split("\n")[0] in lines[finding.line - 1]


def test_an_expression_in_a_configmap_has_the_line_of_the_outer_file() -> None:
    report = linted(DATA / "defects" / "scalers.yaml")
    lines = (DATA / "defects" / "scalers.yaml").read_text().splitlines()
    [inner] = [each for each in report.findings if "missing-total" in each.where]
    assert "vllm:request_success[5m]" in lines[inner.line - 1]


def test_a_comment_with_a_reason_is_honoured_and_counted() -> None:
    assert linted(DATA / "good" / "rules.yaml").ignored_count == 1


def test_a_comment_covers_its_own_rule_only(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(
        "groups:\n- name: a\n  rules:\n"
        "  # foresail-lint: ignore removed-name the old fleet runs until June\n"
        "  - {record: a, expr: 'vllm:num_requests_swapped'}\n"
        "  - {record: b, expr: 'vllm:num_requests_swapped'}\n"
    )
    report = linted(file)
    assert ([each.where for each in report.findings], report.ignored_count) == (["record b"], 1)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        pytest.param((0, 33), {"vllm:gpu_cache_usage_perc": "removed-name"}, id="newest"),
        pytest.param((0, 11), {}, id="both names are written"),
        pytest.param((0, 8, 5), {"vllm:kv_cache_usage_perc": "newer-name"}, id="before the rename"),
    ],
)
def test_names_are_judged_by_the_version_in_use(
    tmp_path: Path, version: tuple[int, ...], expected: dict[str, str]
) -> None:
    file = tmp_path / "rules.yaml"
    names = ("vllm:gpu_cache_usage_perc", "vllm:kv_cache_usage_perc")
    rules = "".join(f"  - {{record: a, expr: 'max({name})'}}\n" for name in names)
    file.write_text(f"groups:\n- name: a\n  rules:\n{rules}")
    report = linted(file, vllm=version)
    assert {each.expression[4:-1]: each.rule.value for each in report.findings} == expected


def test_the_new_name_of_a_removed_one_is_told_with_its_part(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(
        "groups:\n- name: a\n  rules:\n  - {record: a, expr: 'rate(vllm:time_per_output_token_seconds_sum[5m])'}\n"
    )
    [finding] = linted(file).findings
    assert "write `vllm:inter_token_latency_seconds_sum`" in finding.message


def test_other_files_of_a_folder_are_skipped_and_counted(tmp_path: Path) -> None:
    shutil.copy(DATA / "good" / "rules.yaml", tmp_path)
    (tmp_path / "package.json").write_text('{"name": "x"}')
    (tmp_path / "broken.json").write_text("{// a comment")
    (tmp_path / "notes.txt").write_text("sum(")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.json").write_text("{")
    report = linted(tmp_path)
    assert (report.file_count, report.skipped_count, report.findings) == (1, 3, ())


def test_a_file_that_is_named_must_be_readable(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{// a comment")
    assert linted(tmp_path / "broken.json").error_count == 1


PUBLISHED = {
    "vllm-old:2": ["unguarded-division"],
    "vllm-old:4": ["removed-name"],
    "vllm-old:5": ["removed-name", "removed-name", "unguarded-division"],
    "production-stack:2": ["counter-without-rate", "unguarded-division"],
    "production-stack:3": ["counter-without-rate"],
    "production-stack:5": ["removed-name", "removed-name", "counter-without-rate", "unguarded-division"],
    "production-stack:7": ["removed-name"],
    "production-stack:8": [
        "removed-name", "removed-name", "counter-without-rate", "counter-without-rate", "unguarded-division",
    ],
    "production-stack:9": ["removed-name"],
    "sglang:2": ["unguarded-division"],
    "sglang:4": ["unguarded-division"],
    "dcgm-exporter:1": ["renamed-label"],
    "dcgm-exporter:2": ["renamed-label"],
    "dcgm-exporter:3": ["renamed-label"],
    "dcgm-exporter:4": ["renamed-label"],
    "llm-d:1": ["removed-name", "removed-name"],
    "llm-d:3": ["threshold-inside-bucket"],
    "llm-d:4": ["removed-name"],
    "llm-d:6": ["missing-total"],
    "llm-d:11": ["unguarded-division"],
    "llm-d:12": ["threshold-inside-bucket"],
    "llm-d-cookbook:1": ["deprecated-name", "deprecated-name", "unguarded-division"],
    "llm-d-cookbook:2": ["missing-total"],
    "llm-d-cookbook:3": ["deprecated-name"],
    "llm-d-cookbook:6": ["unguarded-division"],
    "llm-d-cookbook:7": ["deprecated-name", "unguarded-division"],
}  # fmt: skip
"""Each read by a person; what is not here has nothing wrong that this linter looks for."""


def test_published_expressions_give_the_findings_that_were_read_by_hand() -> None:
    found: dict[str, list[str]] = {}
    for each in linted(DATA / "published").findings:
        found.setdefault(each.where.removeprefix("record "), []).append(each.rule.value)
    assert found == PUBLISHED
