"""How busy a replica may be, and what that makes of its capacity."""

import pytest

from autoscaler.capacity.estimate import estimate_capacity
from autoscaler.capacity.objectives import usable_ratio
from autoscaler.capacity.steps import StepTimes, add_run
from autoscaler.model.state import StepFit, VariantState
from collector.model.catalogue import Objective, Sli
from support.builders import make_variant
from support.step_runs import make_step_runs

TIMES = StepTimes(
    floor_seconds=0.02, output_seconds_per_token=0.0005, prompt_seconds_per_token=0.0001
)


def objective(sli: Sli, seconds: float | None) -> Objective:
    return Objective(sli=sli, threshold_seconds=seconds, target_ratio=0.99, window_seconds=86_400.0)


ITL, TTFT = Sli.INTER_TOKEN_LATENCY, Sli.TIME_TO_FIRST_TOKEN


@pytest.mark.parametrize(
    ("objectives", "ratio"),
    [
        pytest.param((objective(ITL, 0.15),), 0.8, id="a-step-of-100-ms-leaves-four-fifths"),
        pytest.param((objective(TTFT, 0.4),), 0.8, id="four-steps-to-the-first-token"),
        pytest.param((objective(TTFT, 9.0), objective(ITL, 0.06)), 0.5, id="the-tightest-counts"),
        pytest.param((objective(ITL, 30.0),), 0.95, id="never-quite-all"),
        pytest.param((objective(ITL, 0.01),), 0.1, id="never-nothing"),
        pytest.param((), 0.95, id="nothing-promised"),
        pytest.param((objective(Sli.END_TO_END_LATENCY, 0.01),), 0.95, id="end-to-end-is-no-step"),
        pytest.param((objective(Sli.AVAILABILITY, None),), 0.95, id="nor-is-availability"),
    ],
)
def test_the_longest_step_allowed_says_how_much_work_fits(
    objectives: tuple[Objective, ...], ratio: float
) -> None:
    assert usable_ratio(TIMES, objectives=objectives) == pytest.approx(ratio)


def learned() -> StepFit:
    fit = StepFit()
    for run in make_step_runs(TIMES, count=60):
        fit = add_run(fit, run, slots=256)
    return fit


def test_measured_steps_win_over_a_prior() -> None:
    capacity = estimate_capacity(
        make_variant(slots=64),
        state=VariantState(step_fit=learned()),
        objectives=(objective(ITL, 0.15),),
    )
    assert capacity is not None
    assert capacity.prompt_seconds_per_token == pytest.approx(0.0001, rel=0.02)
    # 0.8 x (0.5 ms + 20 ms / 64 slots) = 0.65 ms: with all slots busy the floor is shared by them.
    assert capacity.output_seconds_per_token == pytest.approx(0.00065, rel=0.02)
    assert (capacity.low_ratio, capacity.high_ratio) == (pytest.approx(0.8, rel=0.02), 1.0)
    assert capacity.sample_count > 50


def test_few_slots_make_a_token_dearer() -> None:
    capacity = estimate_capacity(
        make_variant(slots=4),
        state=VariantState(step_fit=learned()),
        objectives=(objective(ITL, 0.15),),
    )
    assert capacity is not None
    assert capacity.output_seconds_per_token == pytest.approx(0.8 * (0.0005 + 0.005), rel=0.02)


def test_a_fit_that_no_load_at_all_would_suit_is_not_believed() -> None:
    capacity = estimate_capacity(
        make_variant(),
        state=VariantState(step_fit=learned()),
        objectives=(objective(ITL, 0.02),),
    )
    assert capacity is not None
    assert (capacity.low_ratio, capacity.high_ratio, capacity.sample_count) == (0.8, 1.2, 0)


def test_a_service_without_prior_or_rows_has_no_known_capacity() -> None:
    unknown = make_variant(capacity_prior=None)
    assert estimate_capacity(unknown, state=VariantState(), objectives=()) is None
