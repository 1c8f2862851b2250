"""`decide`: one pure function from everything seen, remembered and declared to decisions.

Called once per tick for all services by live control, `foresail plan`, backtests and the demo. Reads
no clock, does no I/O, logs nothing; the same inputs give the same bytes.
"""

import math
from dataclasses import dataclass, replace

from autoscaler.assess import assess
from autoscaler.conclude import conclusions
from autoscaler.learn import observe
from autoscaler.model.assessment import Assessment
from autoscaler.model.decision import Decision
from autoscaler.model.inputs import Inputs
from autoscaler.model.state import ControllerState
from autoscaler.plan.guard import scale_in_floor
from autoscaler.plan.intent import Intent, intent
from autoscaler.plan.overflow_decisions import with_overflows
from autoscaler.plan.replacement import with_replacements
from autoscaler.plan.share import choices
from autoscaler.plan.size import Need, size
from autoscaler.remember import remember_burns, remember_needs, remember_reasons
from collector.model.catalogue import Catalogue, Control
from collector.model.history import History
from collector.model.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """One decision per declared service, in catalogue order, then one per undeclared service that
    still has replicas; and the state for the next tick."""

    decisions: tuple[Decision, ...]
    next_state: ControllerState


def decide(
    *,
    snapshot: Snapshot,
    history: History,
    catalogue: Catalogue,
    state: ControllerState,
    now: float,
) -> Decided:
    """What to do for every service at `now` (epoch seconds), and what to remember."""
    seen = Inputs(snapshot=snapshot, history=history, catalogue=catalogue, state=state, now=now)
    learned = observe(seen)
    inputs = seen.with_state(learned)
    assessments = [assess(service, inputs=inputs) for service in catalogue.services]
    control = catalogue.control
    needs = [
        with_replacements(size(each, control=control), assessment=each, state=learned, now=now)
        for each in assessments
    ]
    burned = remember_burns(learned, before=state, assessments=assessments, needs=needs, now=now)
    remembered = remember_needs(
        burned, assessments=assessments, needs=needs, control=control, now=now
    )
    intents = [
        _intent(each, need=need, state=remembered, control=control, now=now)
        for each, need in zip(assessments, needs, strict=True)
    ]
    chosen = choices(intents, snapshot=inputs.in_units, catalogue=catalogue, now=now)
    decisions, remembered = with_overflows(
        conclusions(chosen, inputs=inputs),
        assessments=assessments,
        needs=needs,
        inputs=inputs,
        state=remembered,
    )
    return Decided(decisions=decisions, next_state=remember_reasons(remembered, decisions))


def _intent(
    assessment: Assessment, *, need: Need, state: ControllerState, control: Control, now: float
) -> Intent:
    known = state.service(assessment.service.name)
    looks, served = known.recommendations, known.last_served_timestamp_seconds
    floor = scale_in_floor(assessment, need=need, recommendations=looks, control=control, now=now)
    wanted = intent(assessment, need=need, floor=floor, control=control, now=now)
    return replace(wanted, looks=looks, unserved_seconds=_unserved_seconds(served, now=now))


def _unserved_seconds(last_served_timestamp_seconds: float | None, *, now: float) -> float:
    """Since any replica of a service served; infinite where none ever did."""
    last = last_served_timestamp_seconds
    return math.inf if last is None else max(0.0, now - last)
