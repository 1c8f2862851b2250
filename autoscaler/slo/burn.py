"""Error-budget burn per objective: history in, a rate out. Pure.

Burn rate = share of bad events / share allowed to be bad; 1 spends exactly the budget.
Source: Beyer et al., The Site Reliability Workbook (2018), chapter 5.
"""

from collector.model.catalogue import Objective, Service
from collector.model.history import FloatArray, History, Signal
from collector.model.ids import ServiceName


def good_signal(objective: Objective) -> Signal:
    """The history's name for this objective's good events."""
    return Signal(f"{objective.sli.value}_good_events")


def judged_signal(objective: Objective) -> Signal:
    """The history's name for all events this objective judges."""
    return Signal(f"{objective.sli.value}_judged_events")


def burn_rate(
    objective: Objective, *, service: ServiceName, history: History, window_seconds: float
) -> float | None:
    """How many times its budget the objective spends over the window; None when nothing was measured.

    A window that was watched and had no event burns nothing: 0.
    """
    good_rates, good_covered = history.rates(
        good_signal(objective), service, window_seconds=window_seconds
    )
    rates, covered = history.rates(judged_signal(objective), service, window_seconds=window_seconds)
    if not covered.any() or not good_covered.any():
        return None
    judged = _events(rates, covered)
    if judged <= 0:
        return 0.0
    bad_ratio = max(0.0, 1.0 - _events(good_rates, good_covered) / judged)
    return bad_ratio / (1.0 - objective.target_ratio)


def worst_burn_rate(service: Service, *, history: History, window_seconds: float) -> float | None:
    """The highest burn rate of the service's objectives.

    0 for a service without objectives; None as soon as one of them cannot be measured.
    """
    rates = [
        burn_rate(objective, service=service.name, history=history, window_seconds=window_seconds)
        for objective in service.objectives
    ]
    known = [rate for rate in rates if rate is not None]
    return max(known, default=0.0) if len(known) == len(rates) else None


def _events(rates: FloatArray, covered: FloatArray) -> float:
    return float((rates * covered).sum())
