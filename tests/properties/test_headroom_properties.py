"""More burn never means less margin, and more margin never means fewer replicas."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.forecast.lead_time import forecast_at_lead, learn_from
from autoscaler.model.demand import factor_at
from autoscaler.model.state import LOAD_BINS, ScaleFit
from autoscaler.plan.size import size
from autoscaler.slo.burn_curve import burn_at
from autoscaler.slo.headroom import NO_DEMAND, OUTCOMES, allowed_burn, headroom_factor
from collector.model.catalogue import Control
from support.builders import NOW, make_assessment, make_forecast
from support.demand_series import make_series

curves = st.lists(st.floats(0.0, 100.0), min_size=LOAD_BINS, max_size=LOAD_BINS).map(
    lambda c: tuple(sorted(c))
)
shares = st.floats(0.0, 1.0)
scenarios = st.lists(st.floats(0.0, 5.0), min_size=5, max_size=5).map(lambda f: tuple(sorted(f)))
deviates = st.floats(-0.5, 3.0)


@given(burn=st.floats(0.0, 1e6), more=st.floats(1.0, 100.0), watched=shares)
def test_less_is_allowed_the_more_was_burned(burn: float, more: float, watched: float) -> None:
    much = allowed_burn(burn * more, watched_ratio=watched)
    assert 1 / 3 <= much <= allowed_burn(burn, watched_ratio=watched) <= 1.0


@given(burn=st.floats(0.0, 1e6), watched=shares, more=shares)
def test_the_longer_it_was_watched_the_more_it_counts(
    burn: float, watched: float, more: float
) -> None:
    little, much = sorted((watched, more))
    assert allowed_burn(burn, watched_ratio=much) <= allowed_burn(burn, watched_ratio=little)


@given(factors=scenarios, curve=curves, more=st.floats(1.0, 20.0), allowed=st.floats(1 / 3, 1.0))
def test_a_curve_that_burns_more_throughout_never_means_a_smaller_margin(
    factors: tuple[float, ...], curve: tuple[float, ...], more: float, allowed: float
) -> None:
    def margin(steeper: float, burn: float) -> float:
        risen = tuple(each * steeper for each in curve)
        return headroom_factor(factors, limits=((risen, burn),))

    assert margin(1.0, allowed) <= margin(more, allowed) * (1 + 1e-9)
    assert margin(1.0, 1.0) <= margin(1.0, allowed) * (1 + 1e-9)


@given(factors=scenarios, curve=curves, allowed=st.floats(1 / 3, 1.0))
def test_the_margin_is_bounded_and_keeps_the_budget_where_replicas_can(
    factors: tuple[float, ...], curve: tuple[float, ...], allowed: float
) -> None:
    usual = factor_at(factors, 1.5)
    margin = headroom_factor(factors, limits=((curve, allowed),))
    assert min(usual, factor_at(factors, -0.5)) <= margin <= 3.0 * usual

    def expected(factor: float) -> float:
        return sum(
            share * burn_at(curve, factor_at(factors, deviate) / factor)
            for deviate, share in OUTCOMES
        )

    if usual >= NO_DEMAND:
        reachable = max(allowed, 1.25 * expected(3.0 * usual))
        assert expected(margin) <= reachable * (1 + 1e-9)


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
    curve=curves,
    more=st.floats(1.0, 50.0),
)
def test_more_burn_never_means_fewer_replicas(
    demand: float, factors: tuple[float, ...], curve: tuple[float, ...], more: float
) -> None:
    def needed(steeper: float) -> int:
        risen = tuple(each * steeper for each in curve)
        assessment = make_assessment(
            demand=demand,
            forecast=make_forecast(demand, factors=factors),
            headroom_factor=headroom_factor(factors, limits=((risen, 1.0),)),
        )
        return size(assessment, control=Control()).unbounded_replicas

    assert needed(1.0) <= needed(more)


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
