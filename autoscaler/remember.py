"""What a tick leaves behind for the next ones: looks for the hold, forecasts to be scored, reasons.

Pure: state in, state out. The counterpart of `learn`, which takes in what a snapshot teaches.
"""

from dataclasses import replace

from autoscaler.model.assessment import Assessment
from autoscaler.model.decision import Decision
from autoscaler.model.state import ControllerState, Recommendation, ServiceState
from autoscaler.plan.look_back import larger, look_at
from autoscaler.plan.size import Need
from collector.model.catalogue import Control

LOOKS_PER_HOLD = 200


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
            replace(
                state.service(each.service.name),
                demand_before_events=each.announced.demand_before_events,
            ),
            need=need,
            control=control,
            now=now,
        )
        for each, need in zip(assessments, needs, strict=True)
    }
    return replace(state, services=services)


def _remember_service(
    known: ServiceState, *, need: Need, control: Control, now: float
) -> ServiceState:
    looks = _since(known.recommendations, begin=now - control.scale_in_hold_seconds, now=now)
    look = look_at(need, now=now)
    return replace(known, recommendations=_with_look(looks, look, control=control))


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
        each.service: replace(state.service(each.service), last_reason=each.reason)
        for each in decisions
        if each.service in state.services  # of what is not declared nothing is remembered
    }
    return replace(state, services={**state.services, **services})
