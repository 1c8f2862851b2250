"""Which knob value a peer gets."""

import pytest

from foresail.backtest.tuning import Tuned, tuned
from support.backtests import make_score


@pytest.mark.parametrize(
    ("scores", "chosen"),
    [
        pytest.param({0.5: (0.999, 9.0), 0.7: (0.99, 7.0), 0.9: (0.98, 5.0)}, (0.7, True), id="cheapest-good"),
        pytest.param({0.5: (0.98, 9.0), 0.7: (0.97, 7.0)}, (0.5, False), id="best-of-the-missing"),
        pytest.param({0.5: (0.9, 9.0), 0.7: (0.9, 7.0)}, (0.7, False), id="cheaper-of-equals"),
        pytest.param({None: (0.9, 9.0)}, (None, False), id="no-knob"),
    ],
)  # fmt: skip
def test_the_cheapest_value_that_holds_the_target_is_taken(scores, chosen):
    made = {
        knob: [make_score(attainment_ratio=attainment, gpu_hours=hours)]
        for knob, (attainment, hours) in scores.items()
    }
    assert tuned(made, target_ratio=0.99) == Tuned(knob=chosen[0], reached_target=chosen[1])


def test_seeds_are_averaged():
    scores = {
        1.0: [make_score(attainment_ratio=1.0), make_score(attainment_ratio=0.96)],
        2.0: [make_score(attainment_ratio=0.99, gpu_hours=2.0)] * 2,
    }
    assert tuned(scores, target_ratio=0.99).knob == 2.0
