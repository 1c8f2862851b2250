"""Slow curves: fitted in order of what errors cost, within a budget, and laid beside the others."""

from collections.abc import Callable

import numpy as np

from autoscaler.forecast.refit import refit
from autoscaler.forecast.refit_statsmodels import refit_order, refit_slow, with_slow_curves
from autoscaler.forecast.tasks import PEAK_TASK
from autoscaler.model.forecast_state import Curve, DemandBins
from collector.model.ids import ServiceName

CHAT, CODE, DRAFT = ServiceName("chat"), ServiceName("code"), ServiceName("draft")
DAY_BINS = 288
WAVE = 5.0 + 4.0 * np.sin(2 * np.pi * np.arange(10 * DAY_BINS) / DAY_BINS)


def history(days: int, *, services: tuple[ServiceName, ...] = (CHAT,)) -> DemandBins:
    rates = np.tile(WAVE[: days * DAY_BINS], (len(services), 1))
    return DemandBins(
        services=services,
        bin_seconds=300.0,
        end_timestamp_seconds=days * 86400.0,
        per_second=rates,
        covered_seconds=np.full(rates.shape, 300.0),
        request_size=np.ones(len(services)),
    )


def no_time() -> float:
    return 0.0


def clock(step: float) -> Callable[[], float]:
    """CPU time that grows by `step` at every look."""
    looks = iter(range(1000))
    return lambda: step * next(looks)


def test_a_daily_wave_is_followed() -> None:
    (curve,) = refit_slow(
        history(5),
        order=[CHAT],
        ahead_seconds=21600.0,
        budget_cpu_seconds=60.0,
        cpu_seconds=no_time,
    )
    expected = WAVE[5 * DAY_BINS : 5 * DAY_BINS + 72].reshape(-1, 6).mean(axis=1)
    np.testing.assert_allclose(curve.per_second[:12], expected, rtol=0.05)


def test_no_fit_starts_after_the_budget_is_spent() -> None:
    curves = refit_slow(
        history(3, services=(CHAT, CODE, DRAFT)),
        order=[DRAFT, CODE, CHAT],
        ahead_seconds=3600.0,
        budget_cpu_seconds=2.0,
        cpu_seconds=clock(1.0),
    )
    assert [curve.service for curve in curves] == [DRAFT]


def test_a_service_with_less_than_two_days_is_passed_over() -> None:
    assert not refit_slow(
        history(1), order=[CHAT], ahead_seconds=3600.0, budget_cpu_seconds=9.0, cpu_seconds=no_time
    )


def test_errors_that_cost_most_are_fitted_first_and_age_brings_everyone_round() -> None:
    cost = {CHAT: 10.0, CODE: 1.0, DRAFT: 1.0}
    fresh = {CHAT: 900.0, CODE: 900.0, DRAFT: 900.0}
    assert refit_order(cost_per_hour=cost, made=fresh, now=1000.0)[0] == CHAT
    old = {CHAT: 999.0, CODE: 0.0, DRAFT: 500.0}
    assert refit_order(cost_per_hour=cost, made=old, now=1000.0) == (CODE, DRAFT, CHAT)
    assert refit_order(cost_per_hour=cost, made={CHAT: 999.0, CODE: 0.0}, now=1000.0)[0] == DRAFT


def test_a_slow_curve_is_known_until_it_ends_and_only_for_its_service() -> None:
    curves = refit_slow(
        history(3), order=[CHAT], ahead_seconds=3600.0, budget_cpu_seconds=9.0, cpu_seconds=no_time
    )
    models = refit(history(3, services=(CODE, CHAT)), task=PEAK_TASK, ahead_seconds=4 * 3600.0)
    merged = with_slow_curves(models, curves=curves)
    known = merged.is_known[list(Curve).index(Curve.STATSMODELS)]
    assert not known[0].any()
    assert known[1, :12].all()
    assert not known[1, 36:].any()
