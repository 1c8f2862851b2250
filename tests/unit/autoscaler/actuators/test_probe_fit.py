"""Two runs of different mixes give two costs, or none."""

import pytest

from autoscaler.actuators.probe import MixRun, fitted_costs
from collector.model.catalogue import CapacityPrior


def run(seconds: float, prompt: int, output: int) -> MixRun:
    return MixRun(seconds=seconds, prompt_tokens=prompt, output_tokens=output)


EXACT = (run(1.2, 1000, 20), run(2.05, 50, 200))  # 1 ms per prompt token, 10 ms per output token
DISTURBED = (run(9.0, 1000, 20), run(2.05, 50, 200))
SAME_MIX = (run(1.0, 100, 10), run(1.1, 100, 10))
NEGATIVE = (run(0.0, 1000, 20), run(2.0, 50, 200))

CASES = {
    "exact": ((EXACT,), (0.001, 0.01)),
    "one_disturbed_turn": ((EXACT, DISTURBED, EXACT), (0.001, 0.01)),
    "senseless_turns_are_left_out": ((NEGATIVE, EXACT, SAME_MIX), (0.001, 0.01)),
}


@pytest.mark.parametrize(("turns", "costs"), CASES.values(), ids=CASES)
def test_costs_are_fitted(
    turns: tuple[tuple[MixRun, MixRun], ...], costs: tuple[float, float]
) -> None:
    fitted = fitted_costs(turns)
    assert isinstance(fitted, CapacityPrior)
    assert fitted.prompt_seconds_per_token == pytest.approx(costs[0])
    assert fitted.output_seconds_per_token == pytest.approx(costs[1])


@pytest.mark.parametrize("turns", [(), (SAME_MIX,), (NEGATIVE,)], ids=["none", "same", "negative"])
def test_nothing_sensible_gives_no_costs(turns: tuple[tuple[MixRun, MixRun], ...]) -> None:
    assert fitted_costs(turns) is None
