"""What a snapshot and events teach: state in, state out. Pure.

First part of `decide` (`observe`), and between ticks (`apply_event`).
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from autoscaler.capacity.lead_time import lead_time_seconds
from autoscaler.capacity.learn import RUN_SECONDS_PER_LEVEL_WINDOW, learn
from autoscaler.capacity.step_learning import WorkDone, learn_steps
from autoscaler.capacity.token_costs import output_weight
from autoscaler.forecast.calendar import is_announced, is_unsettled
from autoscaler.forecast.day_profile import told
from autoscaler.forecast.demand import demand_series, mean_lengths
from autoscaler.forecast.lead_time import learn_from, look_back_seconds
from autoscaler.forecast.past_days import was_told_more
from autoscaler.learn_roles import OfRoles, answering_part, answering_slots, observe_engines
from autoscaler.model.event import (
    Event,
    PastDaysTold,
    ReplicaDied,
    ReplicaReady,
    ReplicaStartFailed,
)
from autoscaler.model.inputs import Inputs
from autoscaler.model.state import (
    MAX_SAMPLES,
    ControllerState,
    ScaleFit,
    ServiceState,
    VariantState,
    WorkSample,
    bounded,
)
from autoscaler.slo.budget import spend
from collector.model.catalogue import Service
from collector.model.history import Signal
from collector.model.ids import ReplicaId, ServiceName, VariantName
from collector.model.reading import fresh_value
from collector.model.replica import ReplicaState
from collector.model.snapshot import ReplicaView, ServiceView, Snapshot

SHORT_LIFE_SECONDS = 60.0
"""A replica that dies within this time of serving counts as a failed start, so that a crash loop
backs off."""

RECENT_BINS = 2
"""The open bin may have begun this very moment; what came just before it counts as now."""
MAX_FOOTPRINT_BYTES = 2.0**50
"""A pebibyte; a reading above it is no footprint."""


def observe(inputs: Inputs) -> ControllerState:
    """The state with everything this snapshot teaches; what is no longer declared is forgotten."""
    services: dict[ServiceName, ServiceState] = {}
    variants: dict[ServiceName, Mapping[VariantName, VariantState]] = {}
    roles: dict[ServiceName, OfRoles] = {}
    samples: dict[ReplicaId, WorkSample] = {}
    for service in inputs.catalogue.services:
        known = _observe_service(service, inputs=inputs)
        learned, work = _observe_replicas(service, inputs=inputs)
        if any(each.roles for each in service.variants):
            of_engines = observe_engines(service, inputs=inputs)
            roles[service.name], work = of_engines.roles, {**work, **of_engines.samples}
        services[service.name], variants[service.name] = _observe_steps(
            service, known=known, variants=learned, samples=work, inputs=inputs
        )
        samples.update(work)
    return ControllerState(services=services, variants=variants, roles=roles, replicas=samples)


def apply_event(state: ControllerState, event: Event | PastDaysTold) -> ControllerState:
    """The state after one fact from the executor or the history."""
    if isinstance(event, PastDaysTold):
        return _with_past_days(state, event)
    known = state.variant(event.service, event.variant)
    return with_variant(state, event.service, event.variant, _after(known, event))


def _with_past_days(state: ControllerState, event: PastDaysTold) -> ControllerState:
    """With the profiles that were told more than those in the state.

    The last bins that a profile in the state was told are not in the new one: they come again, since
    `next_bin` is that of the new one and demand is looked back at for longer than a reading takes.
    """
    changed: dict[ServiceName, ServiceState] = {}
    for name, profile in event.profiles.items():
        known = state.service(name)
        if was_told_more(profile, than=known.scale_fit.day_profile):
            changed[name] = replace(known, scale_fit=replace(known.scale_fit, day_profile=profile))
    return replace(state, services={**state.services, **changed})


def _after(variant: VariantState, event: Event) -> VariantState:
    match event:
        case ReplicaReady():
            return replace(
                variant,
                lead_time_seconds=bounded(variant.lead_time_seconds, event.lead_time_seconds),
                probed_capacity=variant.probed_capacity or event.probed_capacity,
                consecutive_start_failures=0,
            )
        case ReplicaStartFailed():
            return _start_failed(variant, event)
        case ReplicaDied() if event.lived_seconds < SHORT_LIFE_SECONDS:
            return _failed(variant, at=event.died_timestamp_seconds)
        case ReplicaDied():
            return variant


def with_variant(
    state: ControllerState, service: ServiceName, variant: VariantName, changed: VariantState
) -> ControllerState:
    """The state with one variant replaced."""
    of_service = {**state.variants.get(service, {}), variant: changed}
    return replace(state, variants={**state.variants, service: of_service})


def _start_failed(variant: VariantState, event: ReplicaStartFailed) -> VariantState:
    """One more failure in a row; none where the start was ordered before the last one: that it fails
    too says nothing about starts that know of it."""
    ordered, last = event.ordered_timestamp_seconds, variant.last_start_failure_timestamp_seconds
    if ordered is None or last is None or variant.consecutive_start_failures == 0:
        return _failed(variant, at=event.failed_timestamp_seconds)
    if ordered < last <= event.failed_timestamp_seconds:
        return variant
    return _failed(variant, at=event.failed_timestamp_seconds)


def _failed(variant: VariantState, *, at: float) -> VariantState:
    return replace(
        variant,
        consecutive_start_failures=variant.consecutive_start_failures + 1,
        last_start_failure_timestamp_seconds=at,
    )


def _observe_service(service: Service, *, inputs: Inputs) -> ServiceState:
    known, history, window = (
        inputs.state.service(service.name),
        inputs.history,
        inputs.control.length_window_seconds,
    )
    prompt, output = mean_lengths(history, service=service.name, window_seconds=window, state=known)
    known = replace(
        known,
        prompt_tokens_per_request=prompt,
        output_tokens_per_request=output,
        last_demand_timestamp_seconds=_last_demand(known, service=service.name, inputs=inputs),
    )
    known = spend(
        known, service=service, view=inputs.part(service.name).service(service.name), now=inputs.now
    )
    return replace(known, scale_fit=_learned_fit(service, known=known, inputs=inputs))


def _learned_fit(service: Service, *, known: ServiceState, inputs: Inputs) -> ScaleFit:
    """What the newest bins teach about the forecast at the lead time, and about days."""
    history = inputs.history
    series = demand_series(
        history,
        service=service.name,
        state=known,
        window_seconds=look_back_seconds(inputs.control),
        output_weight=output_weight(service, state=inputs.state),
    )
    profile = told(
        known.scale_fit.day_profile,
        series=series,
        control=inputs.control,
        end_timestamp_seconds=history.end_timestamp_seconds,
        is_announced=partial(is_announced, service),
    )
    fit = known.scale_fit
    if profile is not fit.day_profile:
        fit = replace(fit, day_profile=profile)
    horizon = _longest_lead(service, state=inputs.state) + series.bin_seconds
    if is_unsettled(service, inputs=inputs, horizon_seconds=horizon):
        return fit
    return learn_from(
        fit,
        series=series,
        control=inputs.control,
        horizon_seconds=horizon,
        end_timestamp_seconds=history.end_timestamp_seconds,
    )


def _longest_lead(service: Service, *, state: ControllerState) -> float:
    leads = (
        lead_time_seconds(each, state=state.variant(service.name, each.name))
        for each in service.variants
    )
    return max(leads, default=0.0)


def _last_demand(known: ServiceState, *, service: ServiceName, inputs: Inputs) -> float:
    """When the service was last wanted; now, as long as that cannot be told (unknown is not idle)."""
    before = known.last_demand_timestamp_seconds
    if before is None or _may_have_demand(service, inputs=inputs):
        return inputs.now
    return min(before, inputs.now)


def _may_have_demand(service: ServiceName, *, inputs: Inputs) -> bool:
    view = inputs.part(service).service(service)
    if view is None:
        return True
    waiting = (
        fresh_value(view.traffic.held_requests),
        fresh_value(view.traffic.in_flight_requests),
    )
    rates, covered = inputs.history.rates(
        Signal.ARRIVED_REQUESTS, service, window_seconds=RECENT_BINS * inputs.history.bin_seconds
    )
    blind = None in waiting or not covered.any()
    return blind or any(waiting) or bool((rates > 0).any())


def _observe_replicas(
    service: Service, *, inputs: Inputs
) -> tuple[Mapping[VariantName, VariantState], Mapping[ReplicaId, WorkSample]]:
    """What the serving replicas of one service teach about its variants, and their running samples."""
    declared = {variant.name: variant for variant in service.variants}
    known = {name: inputs.state.variant(service.name, name) for name in declared}
    samples: dict[ReplicaId, WorkSample] = {}
    for view in inputs.part(service.name).replicas:
        replica = view.replica
        if replica.variant not in declared or replica.state is not ReplicaState.SERVING:
            continue
        if declared[replica.variant].roles:
            continue  # a unit: its engines are learned from one by one
        lesson = learn(
            view,
            variant=declared[replica.variant],
            variant_state=_with_footprint(known[replica.variant], view),
            previous=inputs.state.replicas.get(replica.replica_id),
            run_seconds=RUN_SECONDS_PER_LEVEL_WINDOW * inputs.control.level_window_seconds,
        )
        known[replica.variant] = lesson.variant
        if lesson.sample is not None:
            samples[replica.replica_id] = lesson.sample
    return known, samples


def _observe_steps(
    service: Service,
    *,
    known: ServiceState,
    variants: Mapping[VariantName, VariantState],
    samples: Mapping[ReplicaId, WorkSample],
    inputs: Inputs,
) -> tuple[ServiceState, Mapping[VariantName, VariantState]]:
    """What the time between tokens teaches about the one variant that serves."""
    part = inputs.part(service.name)
    serving = {
        view.replica.variant
        for view in part.replicas
        if view.replica.state is ReplicaState.SERVING and view.replica.variant in variants
    }
    if len(serving) != 1:
        return replace(known, token_gap_totals=None), variants
    name = serving.pop()
    variant = next(each for each in service.variants if each.name == name)
    workers = answering_part(service, inputs=inputs) if variant.roles else part
    lesson = learn_steps(
        known,
        view=part.service(service.name),
        done=None
        if _has_overflowed(service, view=part.service(service.name), known=known)
        else _work_done(workers, samples=samples, state=inputs.state),
        fit=variants[name].step_fit,
        slots=answering_slots(variant),
    )
    return lesson.service, {**variants, name: replace(variants[name], step_fit=lesson.fit)}


def _has_overflowed(service: Service, *, view: ServiceView | None, known: ServiceState) -> bool:
    """Whether answers of the overflow are among the times between tokens since the last look.

    Of one that is declared no more, the totals are not followed: what it still has tells.
    """
    if view is None:
        return False
    if service.overflow is None:
        return (fresh_value(view.traffic.overflow_in_flight_requests) or 0.0) > 0
    now = fresh_value(view.traffic.overflow_output_tokens_total)
    return now is not None and now != (known.overflow.output_tokens_total or 0.0)


def _work_done(
    part: Snapshot, *, samples: Mapping[ReplicaId, WorkSample], state: ControllerState
) -> WorkDone | None:
    """Increases over all serving replicas; None unless every one was counted at both looks."""
    done = WorkDone()
    for view in part.replicas:
        if view.replica.state is not ReplicaState.SERVING:
            continue
        before = state.replicas.get(view.replica.replica_id)
        after = samples.get(view.replica.replica_id)
        if before is None or after is None:
            return None
        increase = (
            after.observed_timestamp_seconds - before.observed_timestamp_seconds,
            after.prompt_tokens_total - before.prompt_tokens_total,
            after.output_tokens_total - before.output_tokens_total,
        )
        if min(increase) < 0:
            return None
        done = done.plus(
            seconds=increase[0],
            prompt_tokens=increase[1],
            output_tokens=increase[2],
            kv_use_ratio=_mean(before.kv_use_ratio, after.kv_use_ratio),
            is_saturated=before.is_saturated and after.is_saturated,
        )
    return done


def _mean(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else (first + second) / 2


def _with_footprint(state: VariantState, view: ReplicaView) -> VariantState:
    measured = fresh_value(view.memory_bytes)
    if measured is None or not 1 <= measured <= MAX_FOOTPRINT_BYTES:
        return state
    return replace(state, footprint_bytes=(*state.footprint_bytes, int(measured))[-MAX_SAMPLES:])
