"""What a service's calendar makes of its forecast: events raise it ahead of time, and lower nothing. Pure.

In: the forecast of measured demand, the declared events, what was forecast before the present ones
began. Out: the raised forecast, a clause for each event behind it, and what to remember. Between the
forecast and `plan.size`; `now` is passed in.

A factor counts on the demand as it was before its event began, so that nothing is counted twice:
before the beginning that is the present forecast, after it the last one from before. Once every
window that a forecast is made from lies inside the event, what is measured carries it. An absolute
rate counts to the end.
"""

from dataclasses import replace
from typing import Final

from autoscaler.forecast.lead_time import LONGEST_LEVELS
from autoscaler.forecast.multiscale import ANCHOR, SCALE_LEVELS
from autoscaler.forecast.occurrences import Occurrence, occurrences
from autoscaler.model.demand import Announced, DemandBefore, Forecast, Rates
from autoscaler.model.inputs import Inputs
from autoscaler.model.state import ServiceState
from collector.model.catalogue import Service

MAX_FACTOR: Final = 1e6
"""Of events at the same time, multiplied; keeps nonsense a number."""
NOTHING: Final = Rates(
    requests_per_second=0.0, prompt_tokens_per_second=0.0, output_tokens_per_second=0.0
)


def with_calendar(
    forecast: Forecast | None, *, service: Service, inputs: Inputs, horizon_seconds: float
) -> tuple[Forecast | None, Announced]:
    """The forecast with what is announced until its horizon, and what to say and remember about it."""
    if not service.calendar:
        return forecast, Announced()
    now, known = inputs.now, inputs.state.service(service.name)
    oldest = now - LONGEST_LEVELS * inputs.control.level_window_seconds
    found = occurrences(service.calendar, begin=oldest, end=now + horizon_seconds)
    ahead = tuple(each for each in found if each.end_timestamp_seconds > now)
    before = _remembered(known.demand_before_events, occurrences=ahead, now=now, oldest=oldest)
    present = _present(forecast, now=now)
    raised = _raised(
        forecast,
        expected=[_with_factors(each, occurrences=ahead, now=now) for each in before + present],
        least=_least(ahead, state=known),
        horizon_seconds=horizon_seconds,
    )
    is_before_one = any(each.begin_timestamp_seconds > now for each in ahead)
    return raised, Announced(
        clauses=_clauses(ahead, now=now) if raised != forecast else (),
        forecast_without=forecast,
        demand_before_events=before + present if is_before_one else before,
    )


def is_unsettled(service: Service, *, inputs: Inputs, horizon_seconds: float) -> bool:
    """Whether an event began or ended so lately that a forecast which is judged now was made from
    windows before it: what was announced is no error of the forecast, and no lesson."""
    window = SCALE_LEVELS[ANCHOR] * inputs.control.level_window_seconds
    begin, end = inputs.now - horizon_seconds - window, inputs.now
    return any(
        begin <= moment <= end
        for each in occurrences(service.calendar, begin=begin, end=end)
        for moment in (each.begin_timestamp_seconds, each.end_timestamp_seconds)
    )


def is_announced(service: Service, begin: float, end: float) -> bool:
    """Whether an event of the calendar touches the time between two epoch timestamps."""
    return bool(occurrences(service.calendar, begin=begin, end=end))


def _present(forecast: Forecast | None, *, now: float) -> tuple[DemandBefore, ...]:
    return (DemandBefore(timestamp_seconds=now, rates=forecast.peak),) if forecast else ()


def _remembered(
    known: tuple[DemandBefore, ...],
    *,
    occurrences: tuple[Occurrence, ...],
    now: float,
    oldest: float,
) -> tuple[DemandBefore, ...]:
    """For each event under way the last forecast from before it began, as far as it is not too old."""
    kept: dict[float, DemandBefore] = {}
    for each in occurrences:
        earlier = [
            one
            for one in known
            if oldest <= one.timestamp_seconds < min(now, each.begin_timestamp_seconds)
        ]
        if earlier and each.begin_timestamp_seconds <= now:
            last = max(earlier, key=lambda one: one.timestamp_seconds)
            kept[last.timestamp_seconds] = last
    return tuple(kept[key] for key in sorted(kept))


def _with_factors(
    before: DemandBefore, *, occurrences: tuple[Occurrence, ...], now: float
) -> Rates:
    """What is to be expected of a demand once the events that began since, or begin later, are there."""
    since = [
        each for each in occurrences if each.begin_timestamp_seconds > before.timestamp_seconds
    ]
    moments = {max(now, each.begin_timestamp_seconds) for each in since}
    return before.rates.scaled(max((_factor(since, at=each) for each in moments), default=1.0))


def _factor(occurrences: list[Occurrence], *, at: float) -> float:
    """Of all events that are on together at one moment."""
    product = 1.0
    for each in occurrences:
        if each.begin_timestamp_seconds <= at < each.end_timestamp_seconds:
            product *= max(1.0, each.event.factor or 1.0)
    return min(MAX_FACTOR, product)


def _least(ahead: tuple[Occurrence, ...], *, state: ServiceState) -> Rates | None:
    """The highest absolute rate as demand of requests of the mean length; None without any.

    With unknown lengths it is requests alone, for which one replica is made ready.
    """
    rate = max((each.event.requests_per_second or 0.0 for each in ahead), default=0.0)
    if rate <= 0:
        return None
    return Rates(
        requests_per_second=rate,
        prompt_tokens_per_second=rate * (state.prompt_tokens_per_request or 0.0),
        output_tokens_per_second=rate * (state.output_tokens_per_request or 0.0),
    )


def _raised(
    forecast: Forecast | None, *, expected: list[Rates], least: Rates | None, horizon_seconds: float
) -> Forecast | None:
    """The forecast with its point no lower than any of `expected`, and no scenario under `least`.

    Where demand is not measured now, it is what was expected before, and no more certain than that.
    """
    if forecast is None and not expected and least is None:
        return None
    base = forecast or Forecast(
        level=NOTHING, peak=NOTHING, scenario_factors=(1.0,), horizon_seconds=horizon_seconds
    )
    peak = base.peak
    for each in expected:
        peak = peak.at_least(each)
    return replace(base, peak=peak, least=least)


def _clauses(ahead: tuple[Occurrence, ...], *, now: float) -> tuple[str, ...]:
    """One per event that asks for more: its name, and when it begins or began."""
    return tuple(
        _clause(each, now=now)
        for each in sorted(ahead, key=lambda each: (each.begin_timestamp_seconds, each.event.name))
        if (each.event.factor or 1.0) > 1.0 or each.event.requests_per_second
    )


def _clause(occurrence: Occurrence, *, now: float) -> str:
    seconds = occurrence.begin_timestamp_seconds - now
    when = f"in {_span(seconds)}" if seconds > 0 else f"for {_span(abs(seconds))} now"
    return f"'{occurrence.event.name}' {when}"


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.0f} h"
