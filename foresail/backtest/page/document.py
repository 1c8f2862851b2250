"""The page of a backtest: table, picture of costs, timelines, in one file that needs nothing else.

In: a `Report`, the replays of its rows, the problem. Out: HTML. No script, no address of anything else;
colours follow the reader's choice of light or dark. Pure.
"""

from collections.abc import Iterator, Mapping
from html import escape
from importlib.resources import files

import numpy as np

from foresail.backtest.cell import CellResult, Problem
from foresail.backtest.page.pareto import pareto_picture
from foresail.backtest.page.timeline import (
    counts,
    demand_replicas,
    scored_grid,
    timeline_picture,
)
from foresail.backtest.policies import CLAIRVOYANT, FORESAIL
from foresail.backtest.report import PolicyRow, Report
from foresail.backtest.table import COLUMNS, footnotes, heading, table_rows

TOP_FACTOR = 1.15
TOP_SHARE = 0.995
"""The axis of replicas ends above what nearly all of the pictures need; a runaway peer leaves it."""


def page(report: Report, *, problem: Problem, replays: Mapping[str, CellResult]) -> str:
    """The whole document."""
    style = files("foresail.backtest.page").joinpath("page.css").read_text("utf-8")
    title = f"Backtest of {report.subject.trace}"
    body = "".join(_body(report, problem=problem, replays=replays))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>\n"
    )


def _body(report: Report, *, problem: Problem, replays: Mapping[str, CellResult]) -> Iterator[str]:
    for line in heading(report.subject):
        yield f'<p class="about">{escape(line)}</p>'
    yield _table(report)
    yield "<ul class='notes'>"
    yield from (f"<li>{escape(line)}</li>" for line in footnotes(report))
    if any(row.attainment_ratio < report.subject.target_ratio for row in report.policies):
        yield '<li>attained in <span class="missed">red</span>: below the target</li>'
    yield "</ul><h2>What attainment costs</h2>"
    yield (
        '<p class="about">Left is cheap, up is good; numbers are those of the table. Dashed: perfect '
        "foresight at every value of its knob; grey: peers at theirs, where swept. Dotted: the target.</p>"
    )
    yield f"<figure>{pareto_picture(report)}</figure><h2>Replicas over time</h2>"
    yield (
        '<p class="key"><span class="k demand">demand, in replicas at their limit</span>'
        '<span class="k ordered">ordered</span><span class="k ready">ready</span>'
        '<span class="k expected">expected by Foresail when an order takes effect: from the demand '
        "of now to the upper quantile</span></p>"
    )
    yield from _timelines(report, problem=problem, replays=replays)


def _table(report: Report) -> str:
    head = "".join(f"<th>{escape(each)}</th>" for each in ("#", *COLUMNS))
    target = report.subject.target_ratio
    rows = "".join(
        f'<tr class="{_kind(row)}{"" if row.attainment_ratio >= target else " missed"}"><td>{number}</td>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for number, (row, cells) in enumerate(
            zip(report.policies, table_rows(report), strict=True), start=1
        )
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _kind(row: PolicyRow) -> str:
    return {FORESAIL: "ours", CLAIRVOYANT: "bound"}.get(row.policy, "peer")


def _timelines(
    report: Report, *, problem: Problem, replays: Mapping[str, CellResult]
) -> Iterator[str]:
    grid = scored_grid(problem)
    demand = demand_replicas(problem, grid=grid)
    orders = [counts(each.schedule, grid=grid)[0] for each in replays.values()]
    top = TOP_FACTOR * float(np.quantile(np.concatenate([demand, *orders]), TOP_SHARE))
    numbered = enumerate(report.policies, start=1)
    for number, row in sorted(numbered, key=lambda each: each[1].policy != FORESAIL):
        picture = timeline_picture(
            replays[row.policy], demand=demand, grid=grid, most_replicas=max(2.0, top)
        )
        yield f"<figure><figcaption>{number} {escape(row.policy)}</figcaption>{picture}</figure>"
