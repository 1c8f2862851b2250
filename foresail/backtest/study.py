"""The course of a backtest: tune the peers on the first days, replay everything, compare.

In: a `Question`, and something that runs cells. Out: `Findings`. The order of cells is fixed and no
result depends on it, so that it does not matter who runs them, or how many at once.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from foresail.backtest.cell import Cell, CellResult, Problem, Stage
from foresail.backtest.curve import CurvePoint
from foresail.backtest.policies import CLAIRVOYANT, default_knob, knob_grid, knob_name
from foresail.backtest.report import (
    DAY_SECONDS,
    PolicyRow,
    RowFacts,
    curve_point,
    in_order,
    policy_row,
)
from foresail.backtest.tuning import Tuned, tuned

RunCells = Callable[[Problem, Sequence[Cell]], Sequence[CellResult]]
"""Results in the order of the cells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked."""

    problem: Problem
    policies: tuple[str, ...]  # the clairvoyant among them
    seeds: int
    is_sweep: bool  # score every knob value, not only the chosen one


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What was found; `first` has the replays of seed 0 that the rows are about."""

    rows: tuple[PolicyRow, ...]
    curves: Mapping[str, tuple[CurvePoint, ...]]
    first: Mapping[str, CellResult]  # {policy: result}


def study(question: Question, *, run_cells: RunCells) -> Findings:
    """Tunes, replays and compares."""
    choices = _choices(question, run_cells=run_cells)
    cells = tuple(_scoring_cells(question, choices=choices))
    results = _by_setting(run_cells(question.problem, cells))
    curves = {
        policy: tuple(curve_point(each) for (name, _), each in results.items() if name == policy)
        for policy in question.policies
        if question.is_sweep or policy == CLAIRVOYANT
    }
    rows = (
        policy_row(
            [each.score for each in results[policy, choice.knob]],
            row=_facts(policy, choice=choice, problem=question.problem),
            clairvoyant=curves[CLAIRVOYANT],
        )
        for policy, choice in choices.items()
    )
    return Findings(
        rows=in_order(rows, target_ratio=question.problem.setting.objectives.target_ratio),
        curves=curves,
        first={policy: results[policy, each.knob][0] for policy, each in choices.items()},
    )


def _choices(question: Question, *, run_cells: RunCells) -> dict[str, Tuned]:
    problem = question.problem
    setup = problem.setup(0)
    if not problem.tuning_seconds:
        return {
            policy: Tuned(knob=default_knob(policy, setup=setup), reached_target=None)
            for policy in question.policies
        }
    grids = {policy: knob_grid(policy, setup=setup) for policy in question.policies}
    cells = [
        Cell(policy=policy, knob=knob, seed=0, stage=Stage.TUNING)
        for policy, grid in grids.items()
        for knob in grid
        if knob is not None
    ]
    results = _by_setting(run_cells(problem, cells))
    return {policy: _choice(policy, grid, results, problem) for policy, grid in grids.items()}


def _choice(
    policy: str,
    grid: tuple[float | None, ...],
    results: Mapping[tuple[str, float | None], Sequence[CellResult]],
    problem: Problem,
) -> Tuned:
    if grid == (None,):
        return Tuned(knob=None, reached_target=None)
    scores = {knob: [each.score for each in results[policy, knob]] for knob in grid}
    return tuned(scores, target_ratio=problem.setting.objectives.target_ratio)


def _scoring_cells(question: Question, *, choices: Mapping[str, Tuned]) -> Iterable[Cell]:
    setup = question.problem.setup(0)
    for policy, choice in choices.items():
        is_swept = question.is_sweep or policy == CLAIRVOYANT
        for knob in knob_grid(policy, setup=setup) if is_swept else (choice.knob,):
            for seed in range(question.seeds):
                yield Cell(policy=policy, knob=knob, seed=seed, stage=Stage.SCORING)


def _by_setting(
    results: Iterable[CellResult],
) -> dict[tuple[str, float | None], list[CellResult]]:
    """{(policy, knob): results by seed}."""
    found: dict[tuple[str, float | None], list[CellResult]] = defaultdict(list)
    for each in results:
        found[each.cell.policy, each.cell.knob].append(each)
    return found


def _facts(policy: str, *, choice: Tuned, problem: Problem) -> RowFacts:
    return RowFacts(
        policy=policy,
        knob=knob_name(policy),
        knob_value=choice.knob,
        reached_target_when_tuned=choice.reached_target,
        scored_days=(problem.end_seconds - problem.tuning_seconds) / DAY_SECONDS,
    )
