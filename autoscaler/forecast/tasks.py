"""The two questions that are asked, with their horizons and memories. Data; no rules.

Chosen by reason and on half of the recorded series, checked on the other half
(docs/benchmarks/forecast.md says how).
"""

from autoscaler.model.forecast_state import ForecastTask, Target

MINUTE_SECONDS = 60.0
HALF_HOUR_SECONDS = 1800.0
HOUR_SECONDS = 3600.0
DAY_SECONDS = 24 * HOUR_SECONDS

PEAK_TASK = ForecastTask(
    target=Target.PEAK,
    bin_seconds=15.0,
    smooth_seconds=MINUTE_SECONDS,
    horizon_seconds=(15.0, 60.0, 150.0, 300.0, 600.0, 1800.0),
    level_windows_seconds=(120.0, 300.0, 900.0, 1800.0),
    slope_window_seconds=600.0,
    loss_half_life_bins=480.0,  # two hours
    residual_count=240,
    pending_count=8,
    coverage_half_life_scores=100.0,
)
"""Largest demand within a lead time, for services by the thousand: what the tick of the forecaster is
measured on. `decide` sizes for `forecast.lead_time` (ADR 0005)."""

COUNT_TASK = ForecastTask(
    target=Target.COUNT,
    bin_seconds=600.0,
    smooth_seconds=600.0,
    horizon_seconds=(600.0, 1800.0, HOUR_SECONDS, 6 * HOUR_SECONDS, DAY_SECONDS),
    level_windows_seconds=(1200.0, 2400.0, 7200.0, 6 * HOUR_SECONDS, DAY_SECONDS),
    slope_window_seconds=HALF_HOUR_SECONDS,
    loss_half_life_bins=72.0,  # half a day
    residual_count=288,
    pending_count=144,
    coverage_half_life_scores=100.0,
)
"""Ten-minute counts hours ahead: what a forecast is compared on, and a plan for a day needs."""
