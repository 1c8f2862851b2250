"""Sleep state of an engine from series of which exactly one is 1. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from collector.model.contract import Aggregation, SignalRule, SleepState
from collector.model.reading import MissingReason
from collector.model.samples import Labels
from collector.normalise.points import Known, Line, Part, Point, labels_without

_DEPTH = tuple(SleepState)  # from awake to deepest


@dataclass(frozen=True, slots=True)
class StatePart:
    """The states of one engine."""

    words: tuple[tuple[int, str], ...]  # (index of its value, what the page calls the state)
    known: Mapping[str, SleepState]

    def value(self, values: Sequence[float]) -> SleepState | MissingReason:
        """The one that holds; none, several or an unheard-of one is CONTRADICTED."""
        holding = [word for index, word in self.words if values[index] == 1.0]
        if len(holding) != 1:
            return MissingReason.CONTRADICTED
        return self.known.get(holding[0], MissingReason.CONTRADICTED)


def state_points(lines: Sequence[Line], *, rule: SignalRule) -> list[Point[SleepState]]:
    """One point per engine."""
    by_engine: dict[Labels, list[Line]] = {}
    for line in lines:
        by_engine.setdefault(labels_without(line.labels, rule.state_label), []).append(line)
    return [Point(labels, _part(group, rule=rule)) for labels, group in by_engine.items()]


def _part(lines: Sequence[Line], *, rule: SignalRule) -> Part[SleepState]:
    if any(line.is_contradicted for line in lines):
        return Known(MissingReason.CONTRADICTED)
    label = rule.state_label or ""
    words = tuple((line.place, dict(line.labels).get(label, "")) for line in lines)
    return StatePart(words, rule.states or {})


def combined_states(how: Aggregation, states: Sequence[SleepState]) -> SleepState | MissingReason:
    """The deepest sleep: an engine of which a part sleeps serves nobody (`how` is always MAX)."""
    return max(states, key=_DEPTH.index) if how is Aggregation.MAX else MissingReason.CONTRADICTED
