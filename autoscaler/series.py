"""Every series this package exports: name, unit, help, labels, in one place. Data, no logic but label values.

In: nothing. Out: `SERIES` for `autoscaler.metrics`, and for the rules, panels and documents that
name them. Label values come from the catalogue or from the closed lists here; never a request, an id
or free text. Must not import a metrics library.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum

from autoscaler.model.action import Direction, Reason, Scale
from autoscaler.model.decision import Decision, Verdict
from autoscaler.model.effect import TERMINAL, EffectKind, Phase
from collector.model.contract import SeriesKind
from collector.series import Series


class TickStep(StrEnum):
    """Parts of a tick whose time is measured."""

    READ = "read"  # sources read, normalised, assembled
    DECIDE = "decide"
    RECORD = "record"  # ledger and checkpoint
    DISPATCH = "dispatch"  # handed to the executor; the effects themselves take longer


class TickOutcome(StrEnum):
    """How a tick ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"


def _counter(name: str, unit: str, text: str, *labels: str) -> Series:
    return Series(name=name, kind=SeriesKind.COUNTER, unit=unit, text=text, labels=labels)


def _gauge(name: str, unit: str, text: str, *labels: str) -> Series:
    return Series(name=name, kind=SeriesKind.GAUGE, unit=unit, text=text, labels=labels)


DECISIONS = _counter(
    "foresail_decisions_total", "decisions", "Decisions made, holds included.",
    "service", "action", "direction", "reason", "verdict",
)  # fmt: skip
EFFECTS = _counter(
    "foresail_effects_total", "effects", "Effects that ended; an effect is one replica started or stopped.",
    "kind", "outcome",
)  # fmt: skip
REPLICA_EVENTS = _counter(
    "foresail_replica_events_total", "events", "Replicas that became ready, failed to start, or died.",
    "service", "variant", "event",
)  # fmt: skip
TICKS = _counter("foresail_ticks_total", "ticks", "Rounds of the control loop.", "outcome")
LEDGER_RECORDS = _counter("foresail_ledger_records_total", "records", "Records in the ledger.")

TICK_DURATION = Series(
    name="foresail_tick_duration_seconds",
    kind=SeriesKind.HISTOGRAM,
    unit="seconds",
    text="Time spent in each step of a tick.",
    labels=("step",),
)

REPLICAS_NEEDED = _gauge(
    "foresail_replicas_needed", "replicas", "Replicas that carry the expected demand inside the objectives.",
    "service",
)  # fmt: skip
DEMAND_REQUESTS = _gauge(
    "foresail_demand_requests_per_second",
    "requests_per_second",
    "Requests per second admitted now.",
    "service",
)
DEMAND_WORK = _gauge(
    "foresail_demand_work_ratio",
    "ratio",
    "Replica-seconds of work per second that the demand means now.",
    "service",
)
EXPECTED_WORK = _gauge(
    "foresail_expected_work_ratio",
    "ratio",
    "Replica-seconds of work per second expected at the end of the lead time, highest scenario; no less than now.",
    "service",
)
CAPACITY = _gauge(
    "foresail_capacity_work_ratio", "ratio",
    "Replica-seconds of work per second one replica sustains inside the objectives, by bound.",
    "service", "bound",
)  # fmt: skip
LEAD_TIME = _gauge(
    "foresail_lead_time_seconds", "seconds", "P90 from the decision to the first useful token, assumed until measured.",
    "service", "variant",
)  # fmt: skip
BURN_RATE = _gauge(
    "foresail_burn_rate_ratio",
    "ratio",
    "Error budget spent over what the objective allows, of the worst objective.",
    "service",
)
OVERFLOW_SHARE = _gauge(
    "foresail_overflow_share_ratio",
    "ratio",
    "Share of arrivals that may go to the service's overflow as decided; absent without one.",
    "service",
)
OVERFLOW_COST = _gauge(
    "foresail_overflow_cost_last_hour", "money", "What the service's overflow has cost within the last hour.",
    "service",
)  # fmt: skip
EFFECTS_RUNNING = _gauge(
    "foresail_effects_running", "effects", "Effects that have begun and not ended."
)
LAST_TICK = _gauge(
    "foresail_last_tick_timestamp_seconds",
    "seconds",
    "When the last successful tick ended, Unix time.",
)
CATALOGUE_VALID = _gauge(
    "foresail_catalogue_valid",
    "claim",
    "1 while the catalogue file is in force, 0 while it is refused.",
)
MODE = Series(
    name="foresail_mode",
    kind=SeriesKind.STATE,
    unit="claim",
    text="1 for the mode in force, 0 for the others.",
    labels=("mode",),
)

SERIES: tuple[Series, ...] = (
    DECISIONS, EFFECTS, REPLICA_EVENTS, TICKS, LEDGER_RECORDS, TICK_DURATION, REPLICAS_NEEDED,
    DEMAND_REQUESTS, DEMAND_WORK, EXPECTED_WORK, CAPACITY, LEAD_TIME, BURN_RATE, EFFECTS_RUNNING,
    LAST_TICK, CATALOGUE_VALID, MODE,
    OVERFLOW_SHARE, OVERFLOW_COST,
)  # fmt: skip

TICK_DURATION_BOUNDS_SECONDS = (
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0
)  # fmt: skip
"""Up to one decide interval; a tick beyond it is late."""

NO_DIRECTION = "none"
"""Direction label of a hold."""

SCALE_REASONS: Mapping[Direction, tuple[Reason, ...]] = {
    Direction.OUT: (
        Reason.DEMAND_FORECAST, Reason.CALENDAR_EVENT, Reason.BACKLOG, Reason.HELD_REQUEST,
        Reason.MINIMUM_REPLICAS, Reason.CHEAPER_MIX
    ),
    Direction.IN: (
        Reason.SURPLUS_CAPACITY, Reason.IDLE, Reason.YIELD_MEMORY, Reason.ABOVE_MAXIMUM,
        Reason.NOT_DECLARED
    ),
}  # fmt: skip
"""{direction: reasons for it}; all other reasons are reasons to hold."""

REPLICA_EVENT_KINDS = ("replica_ready", "replica_start_failed", "replica_died")


def decision_labels(decision: Decision) -> tuple[str, ...]:
    """Label values of one decision, in the order of DECISIONS."""
    action = decision.action
    direction = action.direction.value if isinstance(action, Scale) else NO_DIRECTION
    return (decision.service, action.kind, direction, decision.reason, decision.verdict)


def legal_decision_labels(service: str) -> Iterator[tuple[str, ...]]:
    """Label values the decisions of one service can have, 55 of them."""
    for_scaling = {reason for reasons in SCALE_REASONS.values() for reason in reasons}
    for reason in Reason:
        if reason not in for_scaling:
            yield service, "hold", NO_DIRECTION, reason.value, Verdict.NOTHING_TO_DO.value
    for direction, reasons in SCALE_REASONS.items():
        for reason in reasons:
            for verdict in (Verdict.ACT, Verdict.DRY_RUN, Verdict.ADVISE, Verdict.DENIED):
                yield service, "scale", direction.value, reason.value, verdict.value


def ended_effects() -> tuple[tuple[EffectKind, Phase], ...]:
    """Every (kind, last phase) an effect can end with."""
    return tuple((kind, phase) for kind in EffectKind for phase in Phase if phase in TERMINAL)
