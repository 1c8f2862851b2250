"""ARIMA, Holt-Winters, and the peers that plan with them: predictive HPA and SageServe."""

import warnings

import numpy as np
import pytest

from autoscaler.replay.baselines.arima import ArimaModel, fit_arima
from autoscaler.replay.baselines.holt_winters import Smoothing, is_enough, next_value
from autoscaler.replay.baselines.phpa import PhpaHoltWinters
from autoscaler.replay.baselines.sageserve import SageServe
from autoscaler.replay.work import WorkCosts
from support.fleet_views import make_setting, make_view

SMOOTHING = Smoothing(level=0.5, trend=0.1, season=0.3)


def model(*, differences=0, mean=0.0, ar=(), ma=()):
    return ArimaModel(differences=differences, mean=mean, ar=ar, ma=ma)


@pytest.mark.parametrize(
    ("fitted", "series", "expected"),
    [
        pytest.param(model(mean=10.0, ar=(0.5,)), [9.0, 14.0], [12.0, 11.0], id="back to the mean"),
        pytest.param(model(ma=(0.5,)), [2.0, 3.0], [1.0, 0.0], id="half of the last surprise"),
        pytest.param(
            model(differences=1, ar=(0.5,)), [10.0, 14.0], [16.0, 17.0], id="half of the last move"
        ),
        pytest.param(model(differences=1), [10.0, 14.0], [14.0, 14.0], id="a random walk stays"),
    ],
)
def test_arima_by_hand(fitted, series, expected):
    assert fitted.forecast(series, steps=2).tolist() == expected


def test_arima_carried_forward_agrees_with_statsmodels():
    from statsmodels.tsa.arima.model import ARIMA

    random = np.random.default_rng(5)
    series = [0.0]
    for _ in range(300):
        series.append(0.7 * series[-1] + float(random.normal()))
    fitted = fit_arima(series)
    assert fitted is not None
    assert fitted.differences == 0
    values = np.array(series) - fitted.mean
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        order = (len(fitted.ar), 0, len(fitted.ma))
        theirs = ARIMA(values, order=order, trend="n").filter([*fitted.ar, *fitted.ma, 1.0])
    expected = theirs.forecast(3) + fitted.mean
    assert fitted.forecast(series, steps=3) == pytest.approx(expected, abs=1e-6)


def test_arima_differences_what_wanders():
    fitted = fit_arima([100.0 + 3 * step + (step * 7 % 5) for step in range(120)])
    assert fitted is not None
    assert fitted.differences == 1


def test_holt_winters_continues_a_trend_with_a_season():
    season = [0.0, 10.0, 0.0, -10.0]
    series = np.array([100 + 2 * step + season[step % 4] for step in range(24)])
    value = next_value(series, season_points=4, smoothing=SMOOTHING)
    assert value == pytest.approx(148.0, abs=0.5)


@pytest.mark.parametrize("season_points", [4, 5, 12])
def test_holt_winters_agrees_with_statsmodels(season_points):
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    random = np.random.default_rng(3)
    steps = np.arange(6 * season_points + 3)
    series = 20 + 5 * np.sin(steps * 2 * np.pi / season_points) + random.normal(0, 1, len(steps))
    theirs = ExponentialSmoothing(
        series,
        trend="add",
        seasonal="add",
        seasonal_periods=season_points,
        initialization_method="heuristic",
    ).fit(smoothing_level=0.5, smoothing_trend=0.1, smoothing_seasonal=0.3, optimized=False)
    ours = next_value(series, season_points=season_points, smoothing=SMOOTHING)
    assert ours == pytest.approx(float(theirs.forecast(1)[0]), abs=0.3)


@pytest.mark.parametrize(
    ("points", "season_points", "expected"),
    [(575, 288, False), (576, 288, True), (13, 4, False), (14, 4, True)],
)
def test_holt_winters_needs_two_seasons(points, season_points, expected):
    assert is_enough(points, season_points=season_points) is expected


def test_holt_winters_refuses_less():
    with pytest.raises(ValueError, match="two seasons"):
        next_value(np.zeros(5), season_points=4, smoothing=SMOOTHING)


def test_predictive_hpa_orders_ahead_of_a_season_it_has_seen():
    policy = PhpaHoltWinters(
        setting=make_setting(), target_requests=10, season_points=20, syncs_per_point=1
    )
    plain = PhpaHoltWinters(
        setting=make_setting(), target_requests=10, season_points=1000, syncs_per_point=1
    )

    def run(target):
        ready, orders = 1, []
        for tick in range(1, 101):
            in_all = 90 if tick % 20 == 10 else 10
            loads = [(in_all // ready, 0, 0)] * ready
            ready = target.desired_replicas(make_view(now=tick * 600.0, loads=loads))
            orders.append(ready)
        return orders

    # Tick 70 brings the load; with two seasons seen, the count is up at 69 already.
    assert run(plain)[68] == 1
    assert run(policy)[68] > 1


WORK = WorkCosts(prompt_work_per_token=0.001, output_work_per_token=0.0)


def sage_orders(per_minute, *, minutes):
    """Requests of 1,000 prompt tokens, so that one request is one replica-second of work."""
    policy = SageServe(setting=make_setting(), work=WORK, planned_utilisation=0.5)
    arrived, ready, orders = 0, 3, {}
    for minute in range(minutes):
        arrived += per_minute(minute)
        view = make_view(
            now=minute * 60.0, loads=[(1, 0, 30_000)] * ready, arrived=arrived, completed=arrived
        )
        ready = policy.desired_replicas(view)
        orders[minute] = ready
    return orders


def test_sageserve_waits_for_the_hour_and_plans_at_half_the_throughput():
    orders = sage_orders(lambda _: 120, minutes=62)
    assert {orders[minute] for minute in range(59)} == {3}
    assert orders[59] == 4  # 2 replica-seconds a second over 0.5


def test_sageserve_knows_the_day_before():
    def per_minute(minute):
        return 600 if 520 <= minute % 1440 < 640 else 60 + minute % 7

    orders = sage_orders(per_minute, minutes=1440 + 600)
    assert orders[519] <= 4  # the first day: no idea of what comes at 520
    # The second: 10 replica-seconds a second over 0.5 ahead of it, or one more for the noise.
    assert orders[1440 + 519] in {20, 21}


def test_sageserve_takes_one_away_when_little_came_and_memory_is_idle():
    policy = SageServe(setting=make_setting(), work=WORK)
    for minute in range(60):
        policy.desired_replicas(
            make_view(now=minute * 60.0, loads=[(1, 0, 0)], arrived=minute * 120, completed=1)
        )
    view = make_view(now=3600.0, loads=[(0, 0, 0)] * 4, arrived=59 * 120, completed=1)
    assert policy.desired_replicas(view) == 3
