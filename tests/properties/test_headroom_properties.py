"""More burn never means less margin, and more margin never means fewer replicas."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.forecast.lead_time import forecast_at_lead, learn_from
from autoscaler.model.demand import factor_at
from autoscaler.model.state import BudgetSpending, ScaleFit, ServiceState
from autoscaler.plan.size import size
from autoscaler.slo.budget import long_burn_rate, watched_ratio
from autoscaler.slo.headroom import headroom_deviates
from collector.model.catalogue import Control
from support.builders import NOW, make_assessment, make_forecast
from support.demand_series import make_series

burns = st.one_of(st.none(), st.floats(0.0, 1e6))
shares = st.floats(0.0, 1.0)
scenarios = st.lists(st.floats(0.0, 5.0), min_size=5, max_size=5).map(lambda f: tuple(sorted(f)))
deviates = st.floats(-0.5, 3.0)


@given(burn=st.floats(0.0, 1e6), more=st.floats(1.0, 100.0), watched=shares)
def test_the_margin_rises_with_the_burn_within_bounds(
    burn: float, more: float, watched: float
) -> None:
    margin = headroom_deviates(burn, watched_ratio=watched)
    assert -0.5 <= margin <= headroom_deviates(burn * more, watched_ratio=watched) <= 3.0


@given(burn=burns, watched=shares, more=shares)
def test_the_longer_it_was_watched_the_further_the_margin_goes(
    burn: float | None, watched: float, more: float
) -> None:
    little, much = sorted((watched, more))
    begin = 1.5
    near = headroom_deviates(burn, watched_ratio=little) - begin
    far = headroom_deviates(burn, watched_ratio=much) - begin
    assert abs(near) <= abs(far) + 1e-9
    assert near * far >= 0


@given(factors=scenarios, one=deviates, other=deviates)
def test_the_factor_rises_with_the_deviate(
    factors: tuple[float, ...], one: float, other: float
) -> None:
    low, high = sorted((one, other))
    assert 0.0 <= factor_at(factors, low) <= factor_at(factors, high) + 1e-9


@settings(max_examples=60)
@given(
    demand=st.floats(0.01, 9.0),
    factors=scenarios,
    bad=st.floats(0.0, 50.0),
    more=st.floats(0.0, 50.0),
    seconds=st.floats(0.0, 1e6),
)
def test_more_burn_never_means_fewer_replicas(
    demand: float, factors: tuple[float, ...], bad: float, more: float, seconds: float
) -> None:
    def needed(spent: float) -> int:
        budget = BudgetSpending(bad=spent, allowed=1.0, seconds=seconds)
        known = ServiceState(budget=budget)
        margin = headroom_deviates(long_burn_rate(known), watched_ratio=watched_ratio(known))
        assessment = make_assessment(
            demand=demand,
            forecast=make_forecast(demand, factors=factors),
            headroom_deviates=margin,
        )
        return size(assessment, control=Control()).unbounded_replicas

    assert needed(bad) <= needed(bad + more)


@settings(max_examples=40, deadline=None)
@given(
    work=st.lists(st.floats(0.0, 1e6), min_size=20, max_size=60),
    covered=st.lists(st.sampled_from([0.0, 7.5, 15.0]), min_size=60, max_size=60),
    scale=st.sampled_from([1e-3, 0.5, 1000.0]),
)
def test_what_is_learned_of_a_forecast_does_not_depend_on_the_scale(
    work: list[float], covered: list[float], scale: float
) -> None:
    def learned(factor: float) -> tuple[ScaleFit, float | None]:
        fit = ScaleFit()
        for end in range(16, len(work)):
            series = make_series(
                [each * factor for each in work[:end]], covered_seconds=covered[:end]
            )
            fit = learn_from(
                fit,
                series=series,
                control=Control(),
                horizon_seconds=60.0,
                end_timestamp_seconds=NOW + 15.0 * end,
            )
        found = forecast_at_lead(
            series,
            fit=fit,
            control=Control(),
            horizon_seconds=60.0,
            end_timestamp_seconds=NOW + 15.0 * len(work),
        )
        return fit, None if found is None else found.peak.prompt_tokens_per_second / factor

    (one, peak), (other, scaled_peak) = learned(1.0), learned(scale)
    assert other.rows_total == one.rows_total
    assert other.weights == pytest.approx(one.weights, rel=1e-6, abs=1e-9)
    assert scaled_peak == (None if peak is None else pytest.approx(peak, rel=1e-6, abs=1e-9))
