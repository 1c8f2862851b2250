"""The first minutes of an engine of which nothing is known say what it sustains, roughly and on the safe side."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.capacity.first_estimate import first_capacity, first_step_times
from autoscaler.capacity.steps import StepTimes, add_run
from autoscaler.model.capacity import Capacity
from autoscaler.model.demand import Rates
from autoscaler.model.state import StepFit, VariantState
from collector.model.catalogue import CapacityPrior, Objective, Sli
from support.builders import PRIOR, make_variant
from support.step_runs import make_step_run

TIMES = StepTimes(
    floor_seconds=0.02, output_seconds_per_token=0.0008, prompt_seconds_per_token=0.0002
)
SLOTS = 256
LONGEST_SECONDS = 0.2
OBJECTIVES = (
    Objective(
        sli=Sli.INTER_TOKEN_LATENCY,
        threshold_seconds=1.5 * LONGEST_SECONDS,  # the mean of slow requests is so much longer
        target_ratio=0.99,
        window_seconds=86_400.0,
    ),
)


def fitted(*batches: float, times: StepTimes = TIMES) -> StepFit:
    fit = StepFit()
    for each in batches:
        fit = add_run(fit, make_step_run(times, batch=each), slots=SLOTS)
    return fit


def first(fit: StepFit) -> Capacity | None:
    variant = make_variant(slots=SLOTS, capacity_prior=None)
    return first_capacity(variant, state=VariantState(step_fit=fit), objectives=OBJECTIVES)


def output_rate(capacity: Capacity) -> float:
    """Output tokens per second that it says a replica sustains."""
    rates = Rates(
        requests_per_second=0.0, prompt_tokens_per_second=0.0, output_tokens_per_second=1.0
    )
    return capacity.low_ratio / capacity.work_ratio(rates)


def test_nothing_is_said_before_the_first_stretch_of_work() -> None:
    assert first(StepFit()) is None


@pytest.mark.parametrize(
    "state",
    [
        pytest.param({"capacity_prior": PRIOR}, id="declared"),
        pytest.param({"probed": PRIOR}, id="probed"),
    ],
)
def test_nothing_is_said_beside_a_cost_that_was_declared_or_probed(
    state: dict[str, CapacityPrior],
) -> None:
    variant = make_variant(slots=SLOTS, capacity_prior=state.get("capacity_prior"))
    known = VariantState(step_fit=fitted(50.0), probed_capacity=state.get("probed"))
    assert first_capacity(variant, state=known, objectives=OBJECTIVES) is None


@pytest.mark.parametrize(
    ("batches", "low", "high"),
    [
        # The truth is 1125 tokens/s: 0.9 of the time at 0.0008 s.
        pytest.param((225.0,), 900.0, 1400.0, id="at-its-limit"),
        pytest.param((250.0,), 800.0, 1400.0, id="beyond-it"),
        pytest.param((100.0,), 1100.0, 2500.0, id="half-busy"),
        pytest.param((10.0, 50.0, 100.0, 200.0), 1000.0, 1300.0, id="different-loads"),
    ],
)
def test_one_replica_is_sized_up_from_its_first_stretches(
    batches: tuple[float, ...], low: float, high: float
) -> None:
    capacity = first(fitted(*batches))
    assert capacity is not None
    assert low <= output_rate(capacity) <= high


@pytest.mark.parametrize(
    ("stretches", "is_provisional"),
    [
        pytest.param(1, True, id="one"),
        pytest.param(9, True, id="nine"),
        pytest.param(10, False, id="ten"),
    ],
)
def test_few_stretches_may_add_replicas_and_take_none_away(
    stretches: int, is_provisional: bool
) -> None:
    capacity = first(fitted(*[60.0] * stretches))
    assert capacity is not None
    assert (capacity.sample_count, capacity.is_provisional) == (stretches, is_provisional)


def test_an_engine_is_taken_for_one_that_keeps_its_objectives_at_some_load() -> None:
    """Its first step is longer than they allow; half of that is work, whatever its floor may be."""
    times = StepTimes(
        floor_seconds=1.0, output_seconds_per_token=0.01, prompt_seconds_per_token=0.001
    )
    capacity = first(fitted(20.0, times=times))
    assert capacity is not None
    assert capacity.low_ratio == pytest.approx(0.5, abs=0.15)
    assert output_rate(capacity) < 20.0 / 1.2


def test_stretches_without_tokens_say_nothing() -> None:
    fit = StepFit(rows=3.0, least_step_seconds=0.02)
    assert first_step_times(fit, most_floor_seconds=0.1) is None


@given(
    batches=st.lists(st.floats(1.0, 256.0), min_size=1, max_size=20),
    floor=st.floats(0.001, 0.1),
    output=st.floats(0.00001, 0.01),
    most=st.floats(0.001, 10.0),
)
def test_costs_are_positive_and_the_floor_stays_within_what_was_seen(
    batches: list[float], floor: float, output: float, most: float
) -> None:
    times = StepTimes(
        floor_seconds=floor, output_seconds_per_token=output, prompt_seconds_per_token=0.0001
    )
    fit = fitted(*batches, times=times)
    found = first_step_times(fit, most_floor_seconds=most)
    if fit.rows < 1.0:
        assert found is None
        return
    if found is not None:
        assert fit.least_step_seconds is not None
        assert 0.0 <= found.floor_seconds <= min(most, fit.least_step_seconds)
        assert found.output_seconds_per_token == 4.0 * found.prompt_seconds_per_token > 0.0
