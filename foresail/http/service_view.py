"""One service as `/v1/state` tells it: replicas, demand, objectives, last decision. Pure.

In: a declared service and the controller's report. Out: `ServiceBody`. Missing readings become null
with a reason, unmeasured bins null. Must not guess.
"""

from autoscaler.slo.burn import good_signal, judged_signal
from collector.model.catalogue import Objective, Service, Sli, Variant
from collector.model.history import FloatArray, History, Signal
from collector.model.ids import ServiceName
from collector.model.reading import Missing, MissingReason, Number, Reading
from collector.model.snapshot import ReplicaView, ServiceView
from foresail.http.bodies import (
    DemandBody,
    ObjectiveBody,
    ReadingBody,
    ReplicaBody,
    ServiceBody,
    VariantBody,
)
from foresail.http.decision_view import decision_body
from foresail.ports import ControllerReport

MAX_DEMAND_BINS = 80
"""As many points as a small curve can show; 20 minutes of 15 s bins."""

_NOT_READ = Missing(reason=MissingReason.NOT_READ_YET, source="gateway")
_SLI_WORDS = {
    Sli.TIME_TO_FIRST_TOKEN: "first token",
    Sli.INTER_TOKEN_LATENCY: "between tokens",
    Sli.END_TO_END_LATENCY: "whole answer",
    Sli.AVAILABILITY: "answered",
}


def service_body(service: Service, *, report: ControllerReport) -> ServiceBody:
    """Everything about one declared service."""
    view = report.snapshot.service(service.name) if report.snapshot else None
    views = report.snapshot.replicas_of(service.name) if report.snapshot else ()
    now = report.reported_timestamp_seconds
    decision = next((each for each in report.decisions if each.service == service.name), None)
    return ServiceBody(
        name=service.name,
        models=list(service.models),
        owner=service.owner,
        tier=service.tier,
        variants=[_variant_body(each) for each in service.variants],
        replicas=[_replica_body(each, now=now) for each in views],
        demand=_demand_body(
            service.name,
            history=report.history,
            level=decision.evidence.demand_requests_per_second if decision else None,
        ),
        **_waiting(view, now=now),
        objectives=[
            _objective_body(each, service=service.name, history=report.history)
            for each in service.objectives
        ],
        last_decision=decision_body(decision) if decision else None,
    )


def reading_body(reading: Number, *, now: float) -> ReadingBody:
    """A reading with its age at `now`; a value from the future has the age 0."""
    if isinstance(reading, Missing):
        return ReadingBody(
            value=None,
            quality="missing",
            age_seconds=None,
            source=reading.source,
            missing_reason=reading.reason,
        )
    return ReadingBody(
        value=reading.value,
        quality=reading.kind,
        age_seconds=max(0.0, now - reading.observed_timestamp_seconds),
        source=reading.source,
    )


def objective_words(objective: Objective) -> str:
    """`first token within 1 s for 99 % over 28 d`."""
    limit = objective.threshold_seconds
    within = "" if limit is None else f" within {duration_words(limit)}"
    return (
        f"{_SLI_WORDS[objective.sli]}{within} for {percent_words(objective.target_ratio)} "
        f"over {duration_words(objective.window_seconds)}"
    )


def duration_words(seconds: float) -> str:
    """`250 ms`, `1.5 s`, `5 min`, `28 d`: the largest unit that gives a whole number, or seconds."""
    for unit_seconds, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= unit_seconds and seconds % unit_seconds == 0:
            return f"{seconds / unit_seconds:.0f} {unit}"
    return f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:g} ms"


def percent_words(ratio: float) -> str:
    """`99 %`, `99.9 %`: without rounding a target up to 100 %."""
    return f"{round(ratio * 100, 6):g} %"


def attainment(
    objective: Objective, *, service: ServiceName, history: History
) -> tuple[float | None, float | None, float]:
    """(share kept, judged events, seconds measured) over all the history holds.

    The share is None without a judged event, both are None when nothing was measured.
    """
    window = _span_seconds(history)
    good, good_covered = history.rates(good_signal(objective), service, window_seconds=window)
    judged, covered = history.rates(judged_signal(objective), service, window_seconds=window)
    if not covered.any() or not good_covered.any():
        return None, None, 0.0
    events = _total(judged, covered)
    ratio = min(1.0, _total(good, good_covered) / events) if events > 0 else None
    return ratio, events, float(covered.sum())


def _objective_body(
    objective: Objective, *, service: ServiceName, history: History | None
) -> ObjectiveBody:
    ratio, judged, measured = (
        attainment(objective, service=service, history=history) if history else (None, None, 0.0)
    )
    return ObjectiveBody(
        sli=objective.sli,
        threshold_seconds=objective.threshold_seconds,
        target_ratio=objective.target_ratio,
        window_seconds=objective.window_seconds,
        words=objective_words(objective),
        attainment_ratio=ratio,
        is_met=None if ratio is None else ratio >= objective.target_ratio,
        judged_events=judged,
        measured_seconds=measured or None,
    )


def _demand_body(
    service: ServiceName, *, history: History | None, level: float | None
) -> DemandBody:
    if history is None:
        return DemandBody(requests_per_second=level, bin_seconds=None, bins_requests_per_second=[])
    rates, covered = history.rates(
        Signal.ARRIVED_REQUESTS, service, window_seconds=MAX_DEMAND_BINS * history.bin_seconds
    )
    return DemandBody(
        requests_per_second=level,
        bin_seconds=history.bin_seconds,
        bins_requests_per_second=[
            float(rate) if seconds > 0 else None
            for rate, seconds in zip(rates, covered, strict=True)
        ],
    )


def _waiting(view: ServiceView | None, *, now: float) -> dict[str, ReadingBody]:
    traffic = view.traffic if view else None
    readings: dict[str, Reading[float]] = {
        "in_flight_requests": traffic.in_flight_requests if traffic else _NOT_READ,
        "held_requests": traffic.held_requests if traffic else _NOT_READ,
        "oldest_held_seconds": traffic.oldest_held_seconds if traffic else _NOT_READ,
    }
    return {name: reading_body(reading, now=now) for name, reading in readings.items()}


def _variant_body(variant: Variant) -> VariantBody:
    return VariantBody(
        name=variant.name,
        engine=variant.engine,
        pool=variant.pool,
        min_replicas=variant.min_replicas,
        max_replicas=variant.max_replicas,
        memory_bytes=variant.memory_bytes,
    )


def _replica_body(view: ReplicaView, *, now: float) -> ReplicaBody:
    replica = view.replica
    return ReplicaBody(
        replica_id=replica.replica_id,
        variant=replica.variant,
        role=replica.role,
        state=replica.state,
        ordered_timestamp_seconds=replica.ordered_timestamp_seconds,
        serving_timestamp_seconds=replica.serving_timestamp_seconds,
        base_url=replica.base_url,
        in_flight_requests=reading_body(view.in_flight_requests, now=now),
        running_requests=reading_body(view.running_requests, now=now),
        waiting_requests=reading_body(view.waiting_requests, now=now),
        memory_bytes=reading_body(view.memory_bytes, now=now),
    )


def _span_seconds(history: History) -> float:
    bins = max((signal.sums.shape[1] for signal in history.signals.values()), default=1)
    return bins * history.bin_seconds


def _total(rates: FloatArray, covered: FloatArray) -> float:
    return float((rates * covered).sum())
