"""One paragraph for a person out of a choice: what was seen, expected, chosen, and why. Pure."""

from autoscaler.model.action import Action, Direction, Hold, Reason, Scale
from autoscaler.model.decision import Evidence
from autoscaler.roles_told import roles_sentence

BECAUSE = {
    Reason.DEMAND_FORECAST: "the demand expected within the lead time needs them",
    Reason.CALENDAR_EVENT: "the calendar announces more demand than replicas are there for",
    Reason.BACKLOG: "queued requests must be worked off in time",
    Reason.HELD_REQUEST: "a request is held and no replica serves",
    Reason.MINIMUM_REPLICAS: "the catalogue asks for at least this many",
    Reason.CHEAPER_MIX: "with them dearer replicas can go, and the service costs clearly less",
    Reason.SURPLUS_CAPACITY: "fewer were enough for the whole hold and the rest carries the demand",
    Reason.IDLE: "there was no demand for the idle time",
    Reason.YIELD_MEMORY: "its memory avoids more violations in another service",
    Reason.ABOVE_MAXIMUM: "the catalogue allows fewer",
    Reason.NOT_DECLARED: "the catalogue does not declare it any more",
    Reason.STEADY: "supply fits demand",
    Reason.SCALE_IN_HOLD: "fewer would do now, but not yet for long enough",
    Reason.CONSOLIDATION_TEST: "with one fewer the rest would be loaded too much",
    Reason.BUDGET_BURNING: "the error budget is burning",
    Reason.NO_FRESH_DATA: "the data is too old or missing to take anything away",
    Reason.DEMAND_NOT_CONSERVED: "arrivals and outcomes contradict each other",
    Reason.CHANGE_IN_PROGRESS: "an earlier change is still under way",
    Reason.MEMORY_FULL: "the memory pool has no room for another replica",
    Reason.AT_MAXIMUM_REPLICAS: "the catalogue allows no more",
    Reason.START_FAILING: "earlier starts failed and the next try waits",
    Reason.NOT_MANAGED: "somebody else runs its replicas",
}
"""A clause for every reason; a test holds it complete."""


def explain(action: Action, *, reason: Reason, evidence: Evidence) -> str:
    """The paragraph; unknown numbers are said to be unknown."""
    return (
        " ".join((f"{_headline(action)}: {BECAUSE[reason]}.", _seen(evidence), _expected(evidence)))
        + _learning(evidence)
        + _planning(evidence)
        + roles_sentence(evidence.roles, action=action)
    )


def _headline(action: Action) -> str:
    match action:
        case Hold():
            return "Hold"
        case Scale(direction=Direction.OUT):
            return f"Scale {action.variant} out {action.from_replicas} to {action.to_replicas}"
        case Scale():
            return f"Scale {action.variant} in {action.from_replicas} to {action.to_replicas}"


def _seen(evidence: Evidence) -> str:
    parts = [
        f"{evidence.serving_replicas} of {evidence.supply_replicas} replicas serve",
        f"demand {_number(evidence.demand_requests_per_second)} requests/s",
        f"work {_number(evidence.demand_work_ratio)} replicas' worth",
        f"backlog {_number(evidence.backlog_requests)}",
    ]
    doubts = f" In doubt: {'; '.join(evidence.quality)}." if evidence.quality else ""
    return "Seen: " + ", ".join(parts) + "." + doubts


def _expected(evidence: Evidence) -> str:
    announced = f", because of {', '.join(evidence.announced)}" if evidence.announced else ""
    if evidence.expected_work_ratio is None:
        unknown = "Expected: unknown (no demand data, or a token's cost is not known yet)"
        return f"{unknown}{announced and ', but more'}{announced}."
    without, acting = (
        evidence.expected_shortfall_ratio_without,
        evidence.expected_shortfall_ratio_with,
    )
    return (
        f"Expected within {evidence.lead_time_seconds:.0f} s: work up to "
        f"{evidence.expected_work_ratio:.2f} at {_number(evidence.capacity_low_ratio)} to "
        f"{_number(evidence.capacity_high_ratio)} per replica{announced}; demand not carried "
        f"{_percent(without)} without the action, {_percent(acting)} with it."
    )


def _learning(evidence: Evidence) -> str:
    return f" Still learning: {'; '.join(evidence.learning)}." if evidence.learning else ""


def _planning(evidence: Evidence) -> str:
    return f" Planned only roughly: {'; '.join(evidence.planning)}." if evidence.planning else ""


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "unknown" if value is None else f"{100 * value:.0f} %"
