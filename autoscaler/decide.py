"""`decide`: one pure function from everything seen, remembered and declared to decisions.

Called once per tick for all services by live control, `foresail plan`, backtests and the demo. Reads
no clock, does no I/O, logs nothing; the same inputs give the same bytes.
"""

from dataclasses import dataclass, replace

from autoscaler.assess import assess
from autoscaler.conclude import conclusions
from autoscaler.learn import observe
from autoscaler.model.action import Scale
from autoscaler.model.assessment import Assessment
from autoscaler.model.decision import Decision
from autoscaler.model.inputs import Inputs
from autoscaler.model.state import ControllerState
from autoscaler.plan.allocate import allocate
from autoscaler.plan.choose import Choice, Intent, bids, choose, intent
from autoscaler.plan.guard import scale_in_floor
from autoscaler.plan.inventory import free_bytes, pool_budgets
from autoscaler.plan.size import Need, size
from autoscaler.remember import remember_needs, remember_reasons
from collector.model.catalogue import Catalogue, Control
from collector.model.history import History
from collector.model.ids import PoolName
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
    inputs = replace(seen, state=learned)
    assessments = [assess(service, inputs=inputs) for service in catalogue.services]
    control = catalogue.control
    needs = [size(each, control=control) for each in assessments]
    remembered = remember_needs(
        learned, assessments=assessments, needs=needs, control=control, now=now
    )
    intents = [
        _intent(each, need=need, state=remembered, control=control, now=now)
        for each, need in zip(assessments, needs, strict=True)
    ]
    choices = _choices(intents, snapshot=snapshot, catalogue=catalogue, now=now)
    decisions = conclusions(choices, inputs=inputs)
    return Decided(decisions=decisions, next_state=remember_reasons(remembered, decisions))


def _intent(
    assessment: Assessment, *, need: Need, state: ControllerState, control: Control, now: float
) -> Intent:
    floor = scale_in_floor(
        assessment,
        need=need,
        recommendations=state.service(assessment.service.name).recommendations,
        control=control,
        now=now,
    )
    return intent(assessment, need=need, floor=floor, control=control, now=now)


def _choices(
    intents: list[Intent], *, snapshot: Snapshot, catalogue: Catalogue, now: float
) -> list[Choice]:
    """Chooses in order of value, so that the memory that is free now goes where it saves most."""
    allocation = allocate(
        [bid for each in intents for bid in bids(each, now=now)],
        budgets_bytes=pool_budgets(catalogue, snapshot=snapshot, intents=intents),
    )
    free = free_bytes(catalogue, snapshot=snapshot, intents=intents)
    chosen: dict[str, Choice] = {}
    for each in sorted(intents, key=_urgency_rank):
        choice = choose(each, allocation=allocation, free_bytes=free, control=catalogue.control)
        chosen[each.assessment.service.name] = choice
        _take(free, choice)
    return [chosen[each.assessment.service.name] for each in intents]


def _urgency_rank(wanted: Intent) -> tuple[float, str]:
    supply = wanted.assessment.supply_count
    missing = wanted.values_per_hour[supply:]
    return (-max(missing, default=0.0), wanted.assessment.service.name)


def _take(free: dict[PoolName, int], choice: Choice) -> None:
    """Counts the memory a scale-out will use as no longer free for the services after it."""
    action = choice.action
    if not isinstance(action, Scale):
        return
    for fleet in choice.intent.assessment.fleets:
        if fleet.variant.name == action.variant:
            more = max(0, action.to_replicas - action.from_replicas)
            free[fleet.variant.pool] -= more * fleet.footprint_bytes
