"""What a tick leaves behind for the next ones: looks for the hold, forecasts to be scored, reasons.

Pure: state in, state out. The counterpart of `learn`, which takes in what a snapshot teaches. Between
ticks what is remembered moves with the host's clock, where that was set.
"""

from dataclasses import replace

from autoscaler.model.assessment import Assessment
from autoscaler.model.decision import Decision
from autoscaler.model.overflow import OverflowState
from autoscaler.model.state import (
    ControllerState,
    ObjectiveTotals,
    Recommendation,
    ServiceState,
    VariantState,
)
from autoscaler.plan.look_back import larger, look_at
from autoscaler.plan.size import Need, has_standing_queue, load_ratio
from autoscaler.slo.budget import events_between
from autoscaler.slo.burn_curve import with_look
from collector.model.catalogue import Control

LOOKS_PER_HOLD = 200
OVERLOAD_ECHO_SECONDS = 180.0
"""After an overload, until those who came in it have their answers."""


def remember_needs(
    state: ControllerState,
    *,
    assessments: list[Assessment],
    needs: list[Need],
    control: Control,
    now: float,
) -> ControllerState:
    services = {
        each.service.name: _remember_service(
            each, known=state.service(each.service.name), need=need, control=control, now=now
        )
        for each, need in zip(assessments, needs, strict=True)
    }
    return replace(state, services=services)


def remember_burns(
    state: ControllerState,
    *,
    before: ControllerState,
    assessments: list[Assessment],
    needs: list[Need],
    now: float,
) -> ControllerState:
    """The state with what the objectives counted since the last look laid on the load of now.

    `before`: the state of the last look.
    """
    services = {
        each.service.name: _burned(
            each,
            known=state.service(each.service.name),
            before=before.service(each.service.name),
            load=load_ratio(each, parts=need.parts),
            now=now,
        )
        for each, need in zip(assessments, needs, strict=True)
    }
    return replace(state, services={**state.services, **services})


def _burned(
    assessment: Assessment,
    *,
    known: ServiceState,
    before: ServiceState,
    load: float | None,
    now: float,
) -> ServiceState:
    """An overload is missed for minutes by those who came in it: what is counted then at a lower load
    says nothing of that load."""
    if (load is not None and load >= 1.0) or has_standing_queue(assessment):
        known = replace(known, overloaded_timestamp_seconds=now)
    if load is None:
        return known
    overloaded = known.overloaded_timestamp_seconds
    if load < 1.0 and overloaded is not None and now - overloaded <= OVERLOAD_ECHO_SECONDS:
        return known
    events = events_between(
        before.objective_totals,
        known.objective_totals,
        service=assessment.service,
        tokens_per_request=known.output_tokens_per_request,
    )
    curve = with_look(known.burn_curve, events, objectives=assessment.service.objectives, load=load)
    return replace(known, burn_curve=curve)


def _remember_service(
    assessment: Assessment, *, known: ServiceState, need: Need, control: Control, now: float
) -> ServiceState:
    looks = _since(known.recommendations, begin=now - control.scale_in_hold_seconds, now=now)
    look = look_at(need, now=now)
    last_served = now if assessment.serving_count else known.last_served_timestamp_seconds
    return replace(
        known,
        recommendations=_with_look(looks, look, control=control),
        demand_before_events=assessment.announced.demand_before_events,
        last_served_timestamp_seconds=last_served,
    )


def _since(
    looks: tuple[Recommendation, ...], *, begin: float, now: float
) -> tuple[Recommendation, ...]:
    """The looks since `begin` and the last one before it, which says what held when it began.

    Looks that are not in the past were made before the clock went back: they are forgotten.
    """
    past = tuple(each for each in looks if each.timestamp_seconds < now)
    before = sum(each.timestamp_seconds <= begin for each in past)
    return past[max(0, before - 1) :]


def _with_look(
    looks: tuple[Recommendation, ...], look: Recommendation, *, control: Control
) -> tuple[Recommendation, ...]:
    """The looks with one more. Those close together are kept as one with the larger need, so that
    wakes in quick succession never push the begin of a hold out."""
    spacing_seconds = control.scale_in_hold_seconds / LOOKS_PER_HOLD
    if len(looks) < 2 or look.timestamp_seconds - looks[-2].timestamp_seconds >= spacing_seconds:
        return (*looks, look)
    return (*looks[:-1], replace(larger(look, looks[-1]), timestamp_seconds=look.timestamp_seconds))


def remember_reasons(state: ControllerState, decisions: tuple[Decision, ...]) -> ControllerState:
    services = {
        each.service: replace(known, last_reason=each.reason)
        for each in decisions
        # Of what is not declared nothing is remembered.
        if (known := state.services.get(each.service)) and known.last_reason is not each.reason
    }
    return replace(state, services={**state.services, **services})


def with_clock_set(state: ControllerState, *, by_seconds: float) -> ControllerState:
    """The state as if the host's clock had gone so much ahead (below 0: behind) all the time.

    What happened lies as long ago as before: an hour that never was makes no service idle, ends no hold
    and forgives no spending. Forecasts and days keep their times, they are of the clock itself. Running
    samples of replicas begin anew, since their times are those of whoever told the page.
    """
    if not by_seconds:
        return state
    return replace(
        state,
        services={
            name: _service_moved(each, by=by_seconds) for name, each in state.services.items()
        },
        variants={
            name: {variant: _variant_moved(each, by=by_seconds) for variant, each in known.items()}
            for name, known in state.variants.items()
        },
        replicas={},
    )


def _service_moved(known: ServiceState, *, by: float) -> ServiceState:
    looks = (
        replace(each, timestamp_seconds=each.timestamp_seconds + by)
        for each in known.recommendations
    )
    return replace(
        known,
        recommendations=tuple(looks),
        last_demand_timestamp_seconds=_moved(known.last_demand_timestamp_seconds, by=by),
        last_served_timestamp_seconds=_moved(known.last_served_timestamp_seconds, by=by),
        overloaded_timestamp_seconds=_moved(known.overloaded_timestamp_seconds, by=by),
        objective_totals=_totals_moved(known.objective_totals, by=by),
        overflow=_overflow_moved(known.overflow, by=by),
    )


def _overflow_moved(known: OverflowState, *, by: float) -> OverflowState:
    spending = (
        replace(each, timestamp_seconds=each.timestamp_seconds + by) for each in known.spending
    )
    return replace(
        known,
        needed_timestamp_seconds=_moved(known.needed_timestamp_seconds, by=by),
        spending=tuple(spending),
    )


def _totals_moved(totals: ObjectiveTotals | None, *, by: float) -> ObjectiveTotals | None:
    return replace(totals, seconds=totals.seconds + by) if totals else None


def _variant_moved(known: VariantState, *, by: float) -> VariantState:
    failed = _moved(known.last_start_failure_timestamp_seconds, by=by)
    return replace(known, last_start_failure_timestamp_seconds=failed)


def _moved(timestamp_seconds: float | None, *, by: float) -> float | None:
    return None if timestamp_seconds is None else timestamp_seconds + by
