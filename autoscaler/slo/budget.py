"""How fast the error budget was spent over a long time, remembered in the state. Pure.

All objectives are counted in requests. Times between tokens come by the token, and hours of long answers would
weigh a hundred times as much as hours of short ones, whose users are as many.

In: the cumulative counts of a service's view, tick by tick. Out: a long-run burn rate: bad events over
allowed ones, with events forgotten exponentially. History reaches hours; objectives reach weeks.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

from autoscaler.model.state import BudgetSpending, ObjectiveTotals, ServiceState
from collector.model.catalogue import Objective, Service, Sli
from collector.model.histogram import Histogram, good_count
from collector.model.reading import Reading, fresh_value
from collector.model.snapshot import ServiceView

MEMORY_SECONDS = 3 * 86400.0
"""Events of three days ago count about a third: long enough that neither one peak nor one quiet night
moves the margin, short enough that a quiet month does not pay for a bad week."""
HALF_KNOWN_SECONDS = 86400.0
"""A bad first hour is not yet a bad service, nor is a bad afternoon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """What happened between two looks, per objective in declared order, in requests."""

    seconds: float
    bad: tuple[float, ...]
    judged: tuple[float, ...]


def spend(
    state: ServiceState, *, service: Service, view: ServiceView | None, now: float
) -> ServiceState:
    """The state with what happened since the last look counted; what was not read counts nothing."""
    totals = _totals(service, view=view, now=now)
    if totals is None:
        return state
    events = events_between(
        state.objective_totals,
        totals,
        service=service,
        tokens_per_request=state.output_tokens_per_request,
    )
    budgets = state.budgets
    if events is not None:
        budgets = _spent(budgets, service=service, events=events)
    return replace(state, objective_totals=totals, budgets=budgets)


def events_between(
    before: ObjectiveTotals | None,
    after: ObjectiveTotals | None,
    *,
    service: Service,
    tokens_per_request: float | None,
) -> Events | None:
    """What was counted from one look to a later one; None where that is not known, or a counter fell.

    `tokens_per_request`: of the answers of these minutes; None: not known.
    """
    if before is None or after is None or len(before.good) != len(after.good):
        return None
    judged = tuple(b - a for a, b in zip(before.judged, after.judged, strict=True))
    good = tuple(b - a for a, b in zip(before.good, after.good, strict=True))
    is_new = len(judged) != len(service.objectives)  # of another catalogue
    if is_new or after.seconds <= before.seconds or not all(map(_is_amount, (*judged, *good))):
        return None
    events = tuple(
        _events_per_request(each, tokens_per_request=tokens_per_request)
        for each in service.objectives
    )
    bad = (max(0.0, all_ - fine) for all_, fine in zip(judged, good, strict=True))
    return Events(
        seconds=after.seconds - before.seconds,
        bad=tuple(each / per for each, per in zip(bad, events, strict=True)),
        judged=tuple(each / per for each, per in zip(judged, events, strict=True)),
    )


def _is_amount(value: float) -> bool:
    return 0.0 <= value < math.inf


def _events_per_request(objective: Objective, *, tokens_per_request: float | None) -> float:
    """1 while the lengths are not known, and for all that is counted by the request anyhow."""
    if objective.sli is not Sli.INTER_TOKEN_LATENCY:
        return 1.0
    return max(1.0, tokens_per_request or 1.0)


def long_burn_rate(state: ServiceState, *, objectives: tuple[Objective, ...]) -> float | None:
    """Bad over allowed events of the objective that fares worst; None while nothing was judged."""
    rates = (_rate(each) for each in _known(state.budgets, objectives=objectives))
    return max((rate for rate in rates if rate is not None), default=None)


def burn_rates(state: ServiceState, *, objectives: tuple[Objective, ...]) -> tuple[float, ...]:
    """The same per objective in declared order; 1, what is allowed, while nothing was judged."""
    rates = (_rate(each) for each in _known(state.budgets, objectives=objectives))
    return tuple(1.0 if rate is None else rate for rate in rates)


def _rate(spending: BudgetSpending) -> float | None:
    return spending.bad / spending.allowed if spending.allowed > 0 else None


def _known(
    budgets: tuple[BudgetSpending, ...], *, objectives: tuple[Objective, ...]
) -> tuple[BudgetSpending, ...]:
    """In declared order; an objective that was not watched before begins anew."""
    by_objective = {each.objective: each for each in budgets}
    keys = map(_key, objectives)
    return tuple(by_objective.get(key) or BudgetSpending(objective=key) for key in keys)


@lru_cache(maxsize=4096)
def _key(objective: Objective) -> str:
    return f"{objective.sli.value}<={objective.threshold_seconds}@{objective.target_ratio}"


def watched_ratio(state: ServiceState) -> float:
    """How much the long-run rate is worth, 0..1: half after HALF_KNOWN_SECONDS of watching."""
    seconds = max((each.seconds for each in state.budgets), default=0.0)
    return seconds / (seconds + HALF_KNOWN_SECONDS)


def _spent(
    budgets: tuple[BudgetSpending, ...], *, service: Service, events: Events
) -> tuple[BudgetSpending, ...]:
    """Each objective by itself: one that is kept must not hide one that is not."""
    objectives = service.objectives
    known = _known(budgets, objectives=objectives)
    return tuple(
        _with(
            spending,
            seconds=events.seconds,
            bad=bad,
            allowed=judged * (1.0 - objective.target_ratio),
        )
        for spending, objective, bad, judged in zip(
            known, objectives, events.bad, events.judged, strict=True
        )
    )


def _with(
    spending: BudgetSpending, *, seconds: float, bad: float, allowed: float
) -> BudgetSpending:
    keep = math.exp(-seconds / MEMORY_SECONDS)
    watched = seconds if allowed > 0 else 0.0  # a quiet time only fades what was before
    return BudgetSpending(
        objective=spending.objective,
        bad=keep * spending.bad + bad,
        allowed=keep * spending.allowed + allowed,
        seconds=keep * spending.seconds + watched,
    )


def _totals(service: Service, *, view: ServiceView | None, now: float) -> ObjectiveTotals | None:
    if view is None or not service.objectives:
        return None
    counted = [_counted(objective, view=view) for objective in service.objectives]
    known = [each for each in counted if each is not None]
    if len(known) != len(counted):
        return None
    return ObjectiveTotals(
        seconds=now,
        good=tuple(good for good, _ in known),
        judged=tuple(judged for _, judged in known),
    )


def _counted(objective: Objective, *, view: ServiceView) -> tuple[float, float] | None:
    """(good, judged) events since the counters began; refused requests are judged, and bad."""
    failed = fresh_value(view.traffic.failed_requests_total)
    shed = fresh_value(view.traffic.shed_requests_total)
    completed = fresh_value(view.traffic.completed_requests_total)
    if failed is None or shed is None or completed is None:
        return None
    if objective.threshold_seconds is None:
        return completed, completed + failed + shed
    latency: Reading[Histogram] = getattr(view.latency, objective.sli.value)
    histogram = fresh_value(latency)
    if histogram is None:
        return None
    good = good_count(histogram, threshold=objective.threshold_seconds)
    refused = failed + shed if objective.sli is Sli.TIME_TO_FIRST_TOKEN else 0.0
    return None if good is None else (good, histogram.total + refused)
