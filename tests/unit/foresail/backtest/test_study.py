"""The course of a backtest: what is replayed, what is chosen, and that it does not matter who runs it."""

import pytest

from collector.errors import ConfigurationError
from foresail.backtest.cell import CellResult, Stage
from foresail.backtest.policies import chosen_policies, policy_names
from foresail.backtest.study import Question, study
from support.backtests import make_problem, make_score


class CountingRunner:
    """Scores by knob instead of replaying: dearer and better with every step of the knob."""

    def __init__(self):
        self.cells = []

    def __call__(self, problem, cells):
        self.cells += cells
        return [self._result(cell) for cell in cells]

    def _result(self, cell):
        knob = cell.knob if cell.knob is not None else 1.0
        score = make_score(attainment_ratio=1.0 - 0.1 * knob, gpu_hours=10.0 / knob)
        return CellResult(cell=cell, score=score, tuning_score=None, schedule=(), expected=())


def ask(**changes):
    options = {
        "problem": make_problem(),
        "policies": ("foresail", "work_rule", "clairvoyant"),
        "seeds": 2,
        "is_sweep": False,
    }
    runner = CountingRunner()
    return study(Question(**(options | changes)), run_cells=runner), runner.cells


def test_peers_are_tuned_on_the_first_days_and_scored_once_per_seed():
    found, cells = ask()
    tuning = [each for each in cells if each.stage is Stage.TUNING]
    assert {each.policy for each in tuning} == {"work_rule", "clairvoyant"}
    assert {each.seed for each in tuning} == {0}
    scored = [each for each in cells if each.stage is Stage.SCORING and each.policy == "work_rule"]
    assert [(each.knob, each.seed) for each in scored] == [(1.0, 0), (1.0, 1)]
    row = next(each for each in found.rows if each.policy == "work_rule")
    assert (row.knob, row.knob_value) == ("utilisation", 1.0)
    assert row.reached_target_when_tuned is True
    assert set(found.curves) == {"clairvoyant"}
    assert found.first["work_rule"].cell.seed == 0


def test_foresail_has_nothing_to_tune():
    found, cells = ask()
    assert [each.knob for each in cells if each.policy == "foresail"] == [None, None]
    row = next(each for each in found.rows if each.policy == "foresail")
    assert (row.knob, row.knob_value, row.reached_target_when_tuned) == (None, None, None)


def test_a_sweep_scores_every_value_and_chooses_the_same():
    found, cells = ask(is_sweep=True)
    plain, _ = ask()
    assert found.rows == plain.rows
    assert set(found.curves) == {"foresail", "work_rule", "clairvoyant"}
    swept = {each.knob for each in cells if each.policy == "work_rule"}
    assert {point.knob for point in found.curves["work_rule"]} == swept
    assert len(swept) > 3


def test_without_days_to_tune_on_documented_defaults_are_taken():
    found, cells = ask(problem=make_problem(tuning_seconds=0.0))
    assert all(each.stage is Stage.SCORING for each in cells)
    row = next(each for each in found.rows if each.policy == "work_rule")
    assert (row.knob_value, row.reached_target_when_tuned) == (0.7, None)


def test_rows_stand_by_price_among_those_that_hold_the_target():
    found, _ = ask()
    assert [each.attainment_ratio >= 0.9 for each in found.rows] == [True, True, True]
    hours = [each.gpu_hours for each in found.rows]
    assert hours == sorted(hours)


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        pytest.param(["hpa_kv"], ("hpa_kv", "clairvoyant"), id="foresight-is-always-there"),
        pytest.param(["work_rule,foresail"], ("foresail", "work_rule", "clairvoyant"), id="commas"),
        pytest.param(["all"], policy_names(), id="all"),
    ],
)
def test_policies_are_chosen_by_name(asked, chosen):
    assert chosen_policies(asked) == chosen


def test_an_unknown_policy_is_told_with_all_there_are():
    with pytest.raises(ConfigurationError, match=r"--policy hpa: .*hpa_concurrency.*clairvoyant"):
        chosen_policies(["hpa"])
