"""Whatever an engine costs, its steps tell; and what they tell stays in bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.capacity.objectives import usable_ratio
from autoscaler.capacity.samples import sample_quantile
from autoscaler.capacity.steps import StepTimes, add_run, non_negative, step_times
from autoscaler.model.state import StepFit, StepRun
from collector.model.catalogue import Objective, Sli
from support.step_runs import make_step_runs

costs = st.builds(
    StepTimes,
    floor_seconds=st.floats(0.002, 0.1),
    output_seconds_per_token=st.floats(2e-5, 2e-3),
    prompt_seconds_per_token=st.floats(1e-6, 1e-3),
)


def fitted(runs: list[StepRun]) -> StepTimes | None:
    fit = StepFit()
    for run in runs:
        fit = add_run(fit, run, slots=256)
    return step_times(fit)


@settings(max_examples=40, deadline=None)
@given(times=costs, count=st.integers(40, 120))
def test_known_costs_are_recovered_within_two_percent(times: StepTimes, count: int) -> None:
    found = fitted(make_step_runs(times, count=count))
    assert found is not None
    assert found.floor_seconds == pytest.approx(times.floor_seconds, rel=0.02)
    assert found.output_seconds_per_token == pytest.approx(times.output_seconds_per_token, rel=0.02)
    assert found.prompt_seconds_per_token == pytest.approx(times.prompt_seconds_per_token, rel=0.02)


amounts = st.one_of(st.just(0.0), st.floats(0.0, 1e6))
stretches = st.builds(
    StepRun,
    replica_seconds=st.floats(0.0, 1e4),
    prompt_tokens=amounts,
    output_tokens=amounts,
    token_gaps=amounts,
    token_gap_seconds=amounts,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(stretches, min_size=31, max_size=60))
def test_no_stretches_whatever_give_a_negative_cost(runs: list[StepRun]) -> None:
    found = fitted(runs)
    if found is not None:
        assert found.floor_seconds > 0
        assert min(found.output_seconds_per_token, found.prompt_seconds_per_token) >= 0
        assert found.output_seconds_per_token + found.prompt_seconds_per_token > 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.floats(0.0, 100.0), min_size=3, max_size=3), min_size=3, max_size=12),
    st.lists(st.floats(0.0, 50.0), min_size=3, max_size=3),
)
def test_no_other_costs_fit_better(rows: list[list[float]], other: list[float]) -> None:
    matrix = np.array(rows)
    gram, moment = matrix.T @ matrix, matrix.sum(axis=0)

    def loss(x: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> float:
        return float(x @ gram @ x - 2.0 * moment @ x)

    found = np.array(non_negative(gram, moment))
    assert loss(found) <= loss(np.array(other)) + 1e-6 * len(rows)


def promised(*, itl_seconds: float, ttft_seconds: float) -> tuple[Objective, ...]:
    thresholds = {Sli.INTER_TOKEN_LATENCY: itl_seconds, Sli.TIME_TO_FIRST_TOKEN: ttft_seconds}
    return tuple(
        Objective(sli=sli, threshold_seconds=each, target_ratio=0.99, window_seconds=86_400.0)
        for sli, each in thresholds.items()
    )


seconds = st.floats(0.001, 100.0)


@given(times=costs, itl=seconds, ttft=seconds, looser=st.floats(1.0, 10.0))
def test_a_replica_may_be_busier_the_looser_its_objectives(
    times: StepTimes, itl: float, ttft: float, looser: float
) -> None:
    strict = usable_ratio(times, objectives=promised(itl_seconds=itl, ttft_seconds=ttft))
    loose = usable_ratio(
        times, objectives=promised(itl_seconds=itl * looser, ttft_seconds=ttft * looser)
    )
    assert 0.1 <= strict <= loose <= 0.95


@given(
    st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=240),
    st.floats(0.0, 1.0),
)
def test_quantiles_are_those_of_numpy(samples: list[float], q: float) -> None:
    expected = float(np.quantile(np.array(samples), q))
    assert sample_quantile(samples, q) == pytest.approx(expected, rel=1e-9, abs=1e-6)
