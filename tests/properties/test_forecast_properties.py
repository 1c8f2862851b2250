"""Whatever the demand was, a forecast is a number, its quantiles do not cross, and scale is only scale."""

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.forecast.forecaster import observe, predict
from autoscaler.forecast.refit import refit
from autoscaler.forecast.rows import empty_state
from autoscaler.forecast.tasks import PEAK_TASK
from autoscaler.model.forecast_state import DemandBins, ForecastInputs, ForecastState, Prediction
from collector.model.ids import ServiceName

NAMES = (ServiceName("chat"), ServiceName("code"))
QUANTILES = (0.1, 0.5, 0.9, 0.99)
BINS = 60

rates = st.one_of(
    st.just(0.0),
    st.floats(min_value=0.0, max_value=1e6),
    st.sampled_from([float("nan"), float("inf"), -1.0, 1e300]),
)
tables = st.lists(st.lists(rates, min_size=BINS, max_size=BINS), min_size=2, max_size=2)
covers = st.lists(st.sampled_from([0.0, 7.5, 15.0]), min_size=BINS, max_size=BINS)
Table = npt.NDArray[np.float64]


def run(values: Table, covered: Table, *, size: float) -> tuple[ForecastState, Prediction]:
    state = empty_state(NAMES, task=PEAK_TASK)
    inputs = None
    for now in range(1, BINS + 1):
        bins = DemandBins(
            services=NAMES,
            bin_seconds=15.0,
            end_timestamp_seconds=1e6 + 15.0 * now,
            per_second=values[:, :now],
            covered_seconds=covered[:, :now],
            request_size=np.full(2, size),
        )
        models = refit(bins, task=PEAK_TASK, ahead_seconds=1800.0) if now % 20 == 1 else None
        inputs = ForecastInputs(task=PEAK_TASK, bins=bins, models=models)
        state = observe(state, inputs=inputs)
    assert inputs is not None
    return state, predict(
        state, inputs=inputs, horizon_seconds=np.array([15.0, 900.0]), quantiles=QUANTILES
    )


@settings(max_examples=25, deadline=None)
@given(table=tables, cover=covers)
def test_every_forecast_is_finite_not_negative_and_its_quantiles_do_not_cross(
    table: list[list[float]], cover: list[float]
) -> None:
    state, found = run(np.array(table), np.array([cover, cover]), size=1.0)
    assert np.isfinite(found.per_second).all()
    assert (found.per_second >= 0).all()
    assert (np.diff(found.per_second, axis=1) >= 0).all()
    assert np.isfinite(state.loss).all()
    assert ((state.covered >= 0) & (state.covered <= 1)).all()


@settings(max_examples=15, deadline=None)
@given(scale=st.sampled_from([0.01, 3.0, 5000.0]), seed=st.integers(0, 5))
def test_in_another_unit_of_demand_the_forecast_is_the_same(scale: float, seed: int) -> None:
    values = np.random.default_rng(seed).poisson(30.0, size=(2, BINS)) / 15.0
    covered = np.full((2, BINS), 15.0)
    _, plain = run(values, covered, size=1.0)
    _, scaled = run(values * scale, covered, size=scale)
    np.testing.assert_allclose(scaled.per_second, plain.per_second * scale, rtol=1e-3)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 9))
def test_a_service_is_forecast_alike_whoever_stands_beside_it(seed: int) -> None:
    generator = np.random.default_rng(seed)
    one, other = generator.poisson(30.0, (2, BINS)) / 15.0
    covered = np.full((2, BINS), 15.0)
    _, first = run(np.stack([one, one]), covered, size=1.0)
    _, second = run(np.stack([one, other]), covered, size=1.0)
    np.testing.assert_allclose(first.per_second[0], second.per_second[0], rtol=1e-9)
