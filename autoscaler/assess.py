"""Joins slo, forecast and capacity for one service: snapshot and history in, an Assessment out. Pure.

Second part of `decide`, after the state has been updated with what the snapshot taught.
"""

from dataclasses import replace

from autoscaler.capacity.estimate import estimate_capacity
from autoscaler.capacity.first_estimate import first_capacity
from autoscaler.capacity.lead_time import footprint_bytes, lead_time_seconds
from autoscaler.capacity.token_costs import output_weight
from autoscaler.capacity.units import unit_capacity
from autoscaler.forecast.calendar import with_calendar
from autoscaler.forecast.demand import demand_series
from autoscaler.forecast.lead_time import forecast_at_lead, look_back_seconds
from autoscaler.forecast.level import level
from autoscaler.forecast.onset import onset
from autoscaler.model.assessment import Assessment, Fleet
from autoscaler.model.capacity import Capacity
from autoscaler.model.demand import Announced, DemandSeries, Forecast, Rates
from autoscaler.model.inputs import Inputs
from autoscaler.model.state import ServiceState, VariantState
from autoscaler.slo.budget import burn_rates, long_burn_rate, watched_ratio
from autoscaler.slo.burn import worst_burn_rate
from autoscaler.slo.burn_curve import burns
from autoscaler.slo.headroom import allowed_burn, headroom_factor
from autoscaler.slo.quality import doubts, unmeasured, unread
from collector.model.catalogue import Control, Service, Variant
from collector.model.history import History, Signal
from collector.model.ids import ServiceName
from collector.model.reading import fresh_value
from collector.model.replica import SUPPLY_STATES, ReplicaState
from collector.model.roles import EngineRole
from collector.model.snapshot import ReplicaView, ServiceView

BURN_WINDOW_LEVELS = 5.0
"""The burn that forbids scale-in is looked at over this many level windows (5 min by default)."""

MAX_WAITING_REQUESTS = 1e9
"""No gateway holds as many; keeps a nonsensical reading a number."""


def assess(service: Service, *, inputs: Inputs) -> Assessment:
    """Everything the plan needs to know about one service."""
    control, view = inputs.control, inputs.part(service.name).service(service.name)
    engines = inputs.engines(service.name)
    known = inputs.state.service(service.name)
    fleets = _fleets(service, inputs=inputs)
    series = demand_series(
        inputs.history,
        service=service.name,
        state=known,
        window_seconds=look_back_seconds(control),
        output_weight=output_weight(service, state=inputs.state),
    )
    demand = level(series, window_seconds=control.level_window_seconds)
    burn = worst_burn_rate(
        service,
        history=inputs.history,
        window_seconds=BURN_WINDOW_LEVELS * control.level_window_seconds,
    )
    spent = long_burn_rate(known, objectives=service.objectives)
    horizon = max((fleet.lead_time_seconds for fleet in fleets), default=0.0)
    backlog = backlog_requests(view, fleets=fleets)
    forecast, announced = _expected(
        series, service=service, inputs=inputs, horizon_seconds=horizon + series.bin_seconds
    )
    completed = _completed_by_replicas(
        service, history=inputs.history, window_seconds=control.level_window_seconds
    )
    return Assessment(
        service=service,
        fleets=fleets,
        engines=engines,
        doubts=(
            *doubts(view, now=inputs.now, limit_seconds=control.stale_after_seconds),
            *unmeasured(demand=demand, burn_rate=burn),
            *unread(
                _to_be_read(fleets, engines=engines),
                now=inputs.now,
                limit_seconds=control.stale_after_seconds,
            ),
        ),
        demand_now=demand,
        forecast=forecast,
        announced=announced,
        demand_onset=onset(series),
        held_requests=_held_requests(view, fleets=fleets),
        oldest_held_seconds=(fresh_value(view.traffic.oldest_held_seconds) or 0.0) if view else 0.0,
        backlog_requests=backlog,
        backlog_tokens=_backlog_tokens(
            backlog, state=known, drain_seconds=max(control.backlog_drain_seconds, horizon)
        ),
        completed_requests_per_second=completed,
        burn_rate=burn,
        long_burn_rate=spent,
        headroom_factor=_headroom(service, forecast=forecast, known=known),
        idle_seconds=_idle_seconds(known, now=inputs.now),
        are_lengths_unknown=known.output_tokens_per_request is None,
        violation_price_per_minute=inputs.catalogue.tier(service.tier).violation_price_per_minute,
    )


def _to_be_read(
    fleets: tuple[Fleet, ...], *, engines: tuple[ReplicaView, ...]
) -> list[ReplicaView]:
    """Every engine whose page should be there: of units each one, in whichever role."""
    if not engines:
        return [each for fleet in fleets for each in fleet.serving]
    whole = [each for fleet in fleets if not fleet.variant.roles for each in fleet.serving]
    return [*whole, *(each for each in engines if each.replica.state is ReplicaState.SERVING)]


def _headroom(service: Service, *, forecast: Forecast | None, known: ServiceState) -> float:
    """On the point forecast; 1, which nobody uses, without one."""
    if forecast is None:
        return 1.0
    watched = watched_ratio(known)
    return headroom_factor(
        forecast.scenario_factors,
        limits=[
            (by_load, allowed_burn(rate, watched_ratio=watched))
            for by_load, rate in zip(
                burns(known.burn_curve, objectives=service.objectives),
                burn_rates(known, objectives=service.objectives),
                strict=True,
            )
        ],
    )


def _expected(
    series: DemandSeries, *, service: Service, inputs: Inputs, horizon_seconds: float
) -> tuple[Forecast | None, Announced]:
    """The demand at the horizon, with what the calendar adds to it."""
    measured = forecast_at_lead(
        series,
        fit=inputs.state.service(service.name).scale_fit,
        control=inputs.control,
        horizon_seconds=horizon_seconds,
        end_timestamp_seconds=inputs.history.end_timestamp_seconds,
    )
    return with_calendar(measured, service=service, inputs=inputs, horizon_seconds=horizon_seconds)


def backlog_requests(view: ServiceView | None, *, fleets: tuple[Fleet, ...]) -> float | None:
    """Requests nobody works on: held ones, and those queued in engines or in flight beyond the slots
    of what serves."""
    if view is None:
        return None
    held = fresh_value(view.traffic.held_requests)
    in_flight = fresh_value(view.traffic.in_flight_requests)
    if held is None or in_flight is None:
        return None
    if any(fleet.capacity is not None for fleet in fleets):
        in_flight -= _overflowing(view)  # else it is the one sign that replicas are too few
    slots = sum(fleet.variant.slots * len(fleet.serving) for fleet in fleets)
    queued = max(in_flight - slots, _engine_queues(fleets), 0.0)
    return min(held, MAX_WAITING_REQUESTS) + min(queued, MAX_WAITING_REQUESTS)


def _held_requests(view: ServiceView | None, *, fleets: tuple[Fleet, ...]) -> float | None:
    """Requests that wait for a replica: held ones, and where none serves what the overflow answers."""
    held = fresh_value(view.traffic.held_requests) if view else None
    if view is None or held is None or any(fleet.serving for fleet in fleets):
        return held
    return held + _overflowing(view)


def _overflowing(view: ServiceView) -> float:
    """Requests at the overflow; 0 where nobody tells of one."""
    return fresh_value(view.traffic.overflow_in_flight_requests) or 0.0


def _engine_queues(fleets: tuple[Fleet, ...]) -> float:
    """Requests that wait inside engines, as far as they tell: slots say how many a batch may hold,
    not how many the cache lets in."""
    waiting = (fresh_value(view.waiting_requests) for fleet in fleets for view in fleet.serving)
    return sum(each for each in waiting if each is not None and each > 0)


def _completed_by_replicas(
    service: Service, *, history: History, window_seconds: float
) -> float | None:
    """Requests per second that our own replicas completed: what an overflow answers says nothing about
    them. None when either was not measured."""
    completed = level_rate(history, Signal.COMPLETED_REQUESTS, service.name, window_seconds)
    if completed is None or service.overflow is None:
        return completed
    elsewhere = level_rate(
        history, Signal.OVERFLOW_COMPLETED_REQUESTS, service.name, window_seconds
    )
    return None if elsewhere is None else max(0.0, completed - elsewhere)


def level_rate(
    history: History, signal: Signal, service: ServiceName, window_seconds: float
) -> float | None:
    """Events per second over the window; None when none of it was measured."""
    rates, covered = history.rates(signal, service, window_seconds=window_seconds)
    seconds = float(covered.sum())
    return float((rates * covered).sum()) / seconds if seconds > 0 else None


def _backlog_tokens(
    backlog: float | None, *, state: ServiceState, drain_seconds: float
) -> Rates | None:
    """As a rate. Nobody ordered for it helps before the lead time, and what serves works it off till
    then: it is never spread over less."""
    if backlog is None:
        return None
    rate = backlog / drain_seconds
    return Rates(
        requests_per_second=rate,
        prompt_tokens_per_second=rate * (state.prompt_tokens_per_request or 0.0),
        output_tokens_per_second=rate * (state.output_tokens_per_request or 0.0),
    )


def _idle_seconds(state: ServiceState, *, now: float) -> float | None:
    seen = state.last_demand_timestamp_seconds
    return None if seen is None else max(0.0, now - seen)


def _fleets(service: Service, *, inputs: Inputs) -> tuple[Fleet, ...]:
    fleets = [_fleet(service, variant=variant, inputs=inputs) for variant in service.variants]
    return tuple(sorted(fleets, key=cost_of_work))


def cost_of_work(fleet: Fleet) -> float:
    """Money per unit of sustained work; variants of unknown capacity count as their prior would."""
    sustained = fleet.capacity.low_ratio if fleet.capacity else 1.0
    per_work = fleet.capacity.work_ratio(UNIT_MIX) if fleet.capacity else 1.0
    return fleet.variant.cost_per_hour * per_work / sustained


UNIT_MIX = Rates(
    requests_per_second=0.0, prompt_tokens_per_second=4.0, output_tokens_per_second=1.0
)
"""Mix by which variants are compared; prompt to output about 4 : 1 in recorded conversations."""


def _fleet(service: Service, *, variant: Variant, inputs: Inputs) -> Fleet:
    state = inputs.state.variant(service.name, variant.name)
    views = [
        view for view in inputs.part(service.name).replicas if view.replica.variant == variant.name
    ]
    states = [view.replica.state for view in views]
    return Fleet(
        variant=variant,
        supply=tuple(view for view in views if view.replica.state in SUPPLY_STATES),
        serving=tuple(view for view in views if view.replica.state is ReplicaState.SERVING),
        draining_count=states.count(ReplicaState.DRAINING),
        capacity=_unit_capacity(service, variant=variant, inputs=inputs)
        if variant.roles
        else estimate_capacity(variant, state=state, objectives=service.objectives)
        or first_capacity(variant, state=state, objectives=service.objectives),
        lead_time_seconds=lead_time_seconds(variant, state=state),
        footprint_bytes=footprint_bytes(variant, state=state),
        start_allowed_timestamp_seconds=start_allowed(
            state, control=inputs.control, now=inputs.now
        ),
    )


def _unit_capacity(service: Service, *, variant: Variant, inputs: Inputs) -> Capacity | None:
    """Of a unit. Its step times, which are of decode engines, are kept with the variant."""
    state = inputs.state
    steps = state.variant(service.name, variant.name).step_fit
    decode = state.role(service.name, variant.name, EngineRole.DECODE)
    return unit_capacity(
        variant,
        states={
            EngineRole.PREFILL: state.role(service.name, variant.name, EngineRole.PREFILL),
            EngineRole.DECODE: replace(decode, step_fit=steps),
        },
        objectives=service.objectives,
        prompt_tokens_per_request=state.service(service.name).prompt_tokens_per_request,
    )


def start_allowed(state: VariantState, *, control: Control, now: float) -> float:
    """When the next start may be tried: at once, or after a wait that doubles per failure.

    A failure that lies ahead of `now` was timed before the clock went back: when it was is not
    known, and waiting for it could take for ever.
    """
    failed = state.last_start_failure_timestamp_seconds
    if failed is None or failed > now or state.consecutive_start_failures == 0:
        return float("-inf")
    doublings = min(state.consecutive_start_failures - 1, 20)
    wait = min(control.start_retry_seconds * 2.0**doublings, control.start_retry_max_seconds)
    return failed + wait
