"""What became of the requests of one engine, as totals since its start. Pure; a part of `assemble`.

In: an `EngineView`. Out: the totals a service is made of (`engine_totals`). Engines name outcomes
differently and some tell fewer of them; what is not told is missing, not zero.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeVar

from collector.model.reading import Fresh, Missing, MissingReason, Number, Stale
from collector.model.snapshot import EngineView, ReplicaView

T = TypeVar("T")

_ABORTED: Final = "abort"
_FAILED: Final = "error"


def completed_total(engine: EngineView) -> Number:
    """Requests answered; from the latency histogram where outcomes are not told apart."""
    finished, latency = engine.finished_requests_by_reason, engine.end_to_end_latency
    if not isinstance(finished, Missing):
        answered = finished.value.keys() - {_ABORTED, _FAILED}
        return _sum_of(finished, reasons=answered)
    if isinstance(latency, Missing):
        return finished if latency.reason is MissingReason.CANNOT_SEE else latency
    return _number(latency.value.total, like=latency)


def failed_total(engine: EngineView) -> Number:
    """Requests the engine ended in an error."""
    if not isinstance(engine.failed_requests_total, Missing):
        return engine.failed_requests_total
    told = engine.finished_requests_by_reason
    if not isinstance(told, Missing) and _FAILED in told.value:
        return _sum_of(told, reasons=[_FAILED])
    return engine.failed_requests_total


def aborted_total(engine: EngineView) -> Number:
    """Requests whose client went away."""
    told = engine.finished_requests_by_reason
    if isinstance(told, Missing):
        return told
    if _ABORTED not in told.value:
        return Missing(reason=MissingReason.SERIES_ABSENT, source=told.source)
    return _sum_of(told, reasons=[_ABORTED])


def rejected_total(engine: EngineView) -> Number:
    """Requests turned away before they were queued."""
    told = engine.rejected_requests_by_reason
    return told if isinstance(told, Missing) else _sum_of(told, reasons=told.value)


def _sum_of(
    told: Fresh[Mapping[str, float]] | Stale[Mapping[str, float]], *, reasons: Iterable[str]
) -> Number:
    value = math.fsum(told.value[reason] for reason in reasons)
    return _number(value, like=told)


def _number(value: float, *, like: Fresh[T] | Stale[T]) -> Number:
    make = Fresh if isinstance(like, Fresh) else Stale
    return make(
        value=value,
        observed_timestamp_seconds=like.observed_timestamp_seconds,
        source=like.source,
    )


TOTALS: Final[Mapping[str, Callable[[ReplicaView], Number]]] = {
    "completed_requests_total": lambda view: completed_total(view.engine),
    "failed_requests_total": lambda view: failed_total(view.engine),
    "aborted_requests_total": lambda view: aborted_total(view.engine),
    "shed_requests_total": lambda view: rejected_total(view.engine),
    "admitted_prompt_tokens_total": lambda view: view.prompt_tokens_total,
    "output_tokens_total": lambda view: view.output_tokens_total,
}
"""{field of TrafficView: the same of one replica, since its engine started}"""
