"""Capacity is an interval around a prior, moved by busy replicas only."""

import pytest

from autoscaler.capacity.estimate import estimate_capacity, prior_capacity
from autoscaler.model.capacity import Capacity
from autoscaler.model.demand import Rates
from autoscaler.model.state import StepFit, VariantState
from collector.model.catalogue import CapacityPrior
from support.builders import PRIOR, make_variant


def interval(**state: object) -> tuple[float, float, int]:
    capacity = prior_capacity(make_variant(), state=VariantState(**state))  # type: ignore[arg-type]  # by name
    assert capacity is not None
    return capacity.low_ratio, capacity.high_ratio, capacity.sample_count


@pytest.mark.parametrize(
    ("kv_share", "output_seconds"),
    [
        pytest.param(0.0, 0.0004 + 0.02 / 100, id="kv-not-told"),
        pytest.param(0.005, 0.0004 + 0.02 / 100, id="slots-are-fewer"),
        pytest.param(0.05, 0.0004 + 0.02 / 20, id="kv-cache-is-full-first"),
        pytest.param(3.0, 0.0004 + 0.02, id="one-always-fits"),
    ],
)
def test_a_batch_is_no_larger_than_its_slots_and_its_kv_cache(
    kv_share: float, output_seconds: float
) -> None:
    fit = StepFit(
        costs=(0.02, 0.0004, 0.0001, 0.0),
        least_step_seconds=0.02,
        recent_kv=kv_share,
        recent_sequences=1.0,
    )
    capacity = estimate_capacity(
        make_variant(slots=100), state=VariantState(step_fit=fit), objectives=()
    )
    assert capacity is not None
    assert capacity.low_ratio == 0.95
    assert capacity.output_seconds_per_token == pytest.approx(max(0.0004, 0.95 * output_seconds))


def test_the_prior_alone_is_a_wide_interval() -> None:
    assert interval() == (0.8, 1.2, 0)


def test_without_any_prior_a_token_has_no_known_cost() -> None:
    assert prior_capacity(make_variant(capacity_prior=None), state=VariantState()) is None


def test_a_probe_wins_over_the_declared_prior() -> None:
    probe = CapacityPrior(prompt_seconds_per_token=0.5, output_seconds_per_token=0.25)
    capacity = prior_capacity(make_variant(), state=VariantState(probed_capacity=probe))
    assert capacity is not None
    assert (capacity.prompt_seconds_per_token, capacity.output_seconds_per_token) == (0.5, 0.25)


@pytest.mark.parametrize(
    ("samples", "low", "high", "count"),
    [
        pytest.param((0.5,), 0.725, 1.025, 1, id="one-sample-weighs-a-quarter"),
        pytest.param((0.5,) * 3, 0.65, 0.85, 3, id="three-weigh-half"),
        pytest.param((0.5,) * 237, 0.50375, 0.50875, 237, id="many-decide"),
        pytest.param((1.0,) * 9 + (90.0,), 0.95, 1.05, 9, id="an-outlier-does-not-count"),
        pytest.param((1.0,) * 9 + (0.0,), 0.95, 1.05, 9, id="nor-one-below"),
    ],
)
def test_busy_samples_move_the_interval(
    samples: tuple[float, ...], low: float, high: float, count: int
) -> None:
    assert interval(saturated_work_ratios=samples) == (
        pytest.approx(low),
        pytest.approx(high),
        count,
    )


@pytest.mark.parametrize(
    ("samples", "low", "high"),
    [
        pytest.param((0.1,) * 50, 0.8, 1.2, id="low-load-is-not-low-capacity"),
        pytest.param((2.0,) * 3, 2.0, 2.0, id="what-was-done-can-be-done"),
        pytest.param((2.0,) * 2, 0.8, 1.2, id="two-prove-nothing"),
        pytest.param((0.1,) * 30 + (9.0,), 0.8, 1.2, id="one-extraordinary-sample-proves-nothing"),
    ],
)
def test_idle_samples_are_lower_bounds_only(
    samples: tuple[float, ...], low: float, high: float
) -> None:
    assert interval(unsaturated_work_ratios=samples)[:2] == (
        pytest.approx(low),
        pytest.approx(high),
    )


def test_an_engine_that_stood_still_still_has_some_capacity() -> None:
    low, high, _ = interval(saturated_work_ratios=(0.0,) * 240)
    assert 0 < low <= high


def test_work_is_linear_in_both_kinds_of_token() -> None:
    capacity = Capacity(
        prompt_seconds_per_token=PRIOR.prompt_seconds_per_token,
        output_seconds_per_token=PRIOR.output_seconds_per_token,
        low_ratio=1.0,
        high_ratio=1.0,
        sample_count=0,
    )
    rates = Rates(
        requests_per_second=9.0, prompt_tokens_per_second=300.0, output_tokens_per_second=70.0
    )
    assert capacity.work_ratio(rates) == pytest.approx(1.0)
