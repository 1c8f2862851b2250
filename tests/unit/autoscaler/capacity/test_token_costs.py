"""What an output token costs beside a prompt token."""

import pytest

from autoscaler.capacity.steps import StepTimes, add_run
from autoscaler.capacity.token_costs import output_weight
from autoscaler.model.state import ControllerState, StepFit, VariantState
from collector.model.catalogue import CapacityPrior
from support.builders import CHAT, make_service, make_variant
from support.step_runs import make_step_runs


def fit(output_seconds: float, prompt_seconds: float) -> StepFit:
    times = StepTimes(
        floor_seconds=0.02,
        output_seconds_per_token=output_seconds,
        prompt_seconds_per_token=prompt_seconds,
    )
    learned = StepFit()
    for run in make_step_runs(times, count=60):
        learned = add_run(learned, run, slots=256)
    return learned


def costs(prompt: float, output: float) -> CapacityPrior:
    return CapacityPrior(prompt_seconds_per_token=prompt, output_seconds_per_token=output)


@pytest.mark.parametrize(
    ("prior", "state", "weight"),
    [
        pytest.param(None, VariantState(), 4.0, id="nothing-known"),
        pytest.param(costs(0.001, 0.01), VariantState(), 10.0, id="declared"),
        pytest.param(
            costs(0.001, 0.01),
            VariantState(probed_capacity=costs(0.002, 0.01)),
            5.0,
            id="a-probe-wins",
        ),
        pytest.param(
            costs(0.001, 0.01), VariantState(step_fit=fit(0.0005, 0.0001)), 5.0, id="steps-win"
        ),
        pytest.param(costs(0.0, 0.01), VariantState(), 4.0, id="prompts-that-cost-nothing"),
        pytest.param(costs(1e-9, 1.0), VariantState(), 1e4, id="bounded"),
    ],
)
def test_the_weight_of_an_output_token(
    prior: CapacityPrior | None, state: VariantState, weight: float
) -> None:
    service = make_service(variants=(make_variant(capacity_prior=prior),))
    known = ControllerState(variants={CHAT: {"small": state}})
    assert output_weight(service, state=known) == pytest.approx(weight, rel=0.02)


def test_the_first_variant_that_tells_is_asked() -> None:
    silent = make_variant("silent", capacity_prior=None)
    service = make_service(variants=(silent, make_variant("told", capacity_prior=costs(1.0, 2.0))))
    assert output_weight(service, state=ControllerState()) == pytest.approx(2.0)
