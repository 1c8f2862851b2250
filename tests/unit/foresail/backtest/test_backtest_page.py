"""The page: whole, on its own, and safe with strange names."""

import re
from dataclasses import replace

import pytest

from autoscaler.replay.run import Change
from foresail.backtest.cell import initial_replicas, run_cell
from foresail.backtest.options import Options, TraceSource
from foresail.backtest.page.document import page
from foresail.backtest.page.frame import hour_ticks, round_ticks
from foresail.backtest.page.timeline import Grid, counts
from foresail.backtest.prepare import Demand, prepare
from foresail.backtest.report import Report
from foresail.backtest.runners import LocalRunner
from foresail.backtest.study import study
from foresail.backtest.table import footnotes, heading, table_rows
from support.backtests import busy_workload, make_problem


class SilentProgress:
    """Remembers what it was told."""

    def __init__(self):
        self.told = []

    def begin(self, stage, *, count):
        self.told.append((stage.value, count))

    def advance(self, result):
        del result
        self.told.append("done")


@pytest.fixture(scope="module")
def made():
    options = Options(
        source=TraceSource(file="t.parquet", model=None, scale=1),
        engine="llama-3.1-8b-l40s-tp1",
        time_to_first_token_seconds=2.0,
        output_token_seconds=0.2,
        target_ratio=0.99,
        provision_seconds=30.0,
        tune_days=0.04,
        days=None,
        max_replicas=None,
        seeds=2,
        policies=("foresail", "static"),
        is_sweep=True,
    )
    demand = Demand(name="<b>&trace", model=None, workloads=(busy_workload(),), notes=("a note",))
    question, subject = prepare(options, demand=demand)
    progress = SilentProgress()
    found = study(question, run_cells=LocalRunner(progress))
    report = Report(subject=subject, policies=found.rows, curves=found.curves)
    return report, question.problem, found.first, progress.told


def test_the_page_needs_nothing_else(made):
    report, problem, replays, _ = made
    text = page(report, problem=problem, replays=replays)
    assert text.startswith("<!doctype html>")
    assert not re.search(r"(src|href)=|url\(|@import|<script", text)
    assert "http" not in text
    assert text.count("<svg") == 1 + len(report.policies) == text.count("</svg>")
    assert "prefers-color-scheme: dark" in text
    assert "nan" not in re.findall(r'points="[^"]*"', text)[0]


def test_names_cannot_become_markup(made):
    report, problem, replays, _ = made
    text = page(report, problem=problem, replays=replays)
    assert "<b>" not in text
    assert "&lt;b&gt;&amp;trace" in text


def test_the_same_report_is_the_same_page(made):
    report, problem, replays, _ = made
    assert page(report, problem=problem, replays=replays) == page(
        report, problem=problem, replays=replays
    )


def test_what_foresail_expected_is_drawn_for_it_alone(made):
    report, problem, replays, _ = made
    text = page(report, problem=problem, replays=replays)
    assert text.count('class="expected"') == 1
    assert replays["foresail"].expected
    assert not replays["static"].expected


def test_the_table_says_what_was_asked(made):
    report, *_ = made
    first, second = heading(report.subject)
    assert first.startswith("<b>&trace, recorded: 2,000 requests in 0.08 days")
    assert "TTFT <= 2 s and ITL <= 200 ms for 99.00%" in second
    assert footnotes(report)[0] == "a note"
    row = next(each for each in table_rows(report) if each[0] == "foresail")
    assert row[1] == "-"
    assert re.fullmatch(r"\d+\.\d\d% \(\d+\.\d\d-\d+\.\d\d\)", row[2])  # a range, as of two seeds


def test_progress_is_told_per_stage_and_cell(made):
    *_, told = made
    assert [each[0] for each in told if each != "done"] == ["tuning", "scoring"]
    assert told.count("done") == sum(each[1] for each in told if each != "done")


def test_a_cell_gives_the_same_result_again(made):
    _, problem, replays, _ = made
    again = run_cell(problem, replays["foresail"].cell)
    assert again == replays["foresail"]


def test_no_peak_of_orders_is_lost_between_stretches():
    schedule = [
        Change(time_seconds=time, ordered_replicas=ordered, ready_replicas=ready)
        for time, ordered, ready in ((0.0, 2, 2), (70.0, 9, 2), (80.0, 3, 3))
    ]
    most, fewest = counts(schedule, grid=Grid(start_seconds=0.0, stretch_seconds=60.0, count=3))
    assert most.tolist() == [2.0, 9.0, 3.0]
    assert fewest.tolist() == [2.0, 2.0, 3.0]


def test_ticks_are_round():
    assert [each.label for each in round_ticks(0.0, 16.0, count=4)] == ["0", "5", "10", "15"]
    assert [each.label for each in hour_ticks(24.0, 48.0, count=8)] == [
        "24", "27", "30", "33", "36", "39", "42", "45", "48",
    ]  # fmt: skip
    assert [each.label for each in hour_ticks(0.0, 168.0, count=7)] == [
        "0", "24", "48", "72", "96", "120", "144", "168",
    ]  # fmt: skip


def test_a_problem_without_arrivals_in_its_first_minutes_starts_with_one_replica():
    problem = make_problem()
    workload = problem.workloads[0]
    late = replace(workload, arrival_seconds=workload.arrival_seconds + 7200.0)
    assert initial_replicas(problem.setup(0), workload=late) == 1
