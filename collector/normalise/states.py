"""Sleep state of an engine from series of which exactly one is 1. Pure."""

from collections.abc import Sequence

from collector.model.contract import Aggregation, SignalRule, SleepState
from collector.model.reading import MissingReason
from collector.model.samples import Labels, Sample
from collector.normalise.points import Point

_DEPTH = tuple(SleepState)  # from awake to deepest


def state_points(samples: Sequence[Sample], *, rule: SignalRule) -> list[Point[SleepState]]:
    """One point per engine; no state, several states or an unheard-of one is CONTRADICTED."""
    holding: dict[Labels, list[str]] = {}
    for sample in samples:
        rest = tuple(pair for pair in sample.labels if pair[0] != rule.state_label)
        states = holding.setdefault(rest, [])
        if sample.value == 1.0:
            states.append(dict(sample.labels).get(rule.state_label or "", ""))
    return [Point(labels=labels, value=_state(s, rule=rule)) for labels, s in holding.items()]


def _state(states: Sequence[str], *, rule: SignalRule) -> SleepState | MissingReason:
    known = rule.states or {}
    if len(states) != 1 or states[0] not in known:
        return MissingReason.CONTRADICTED
    return known[states[0]]


def combined_states(how: Aggregation, states: Sequence[SleepState]) -> SleepState | MissingReason:
    """The deepest sleep: an engine of which a part sleeps serves nobody (`how` is always MAX)."""
    return max(states, key=_DEPTH.index) if how is Aggregation.MAX else MissingReason.CONTRADICTED
