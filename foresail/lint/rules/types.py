"""Is every series read the way its type allows: counters as rates, gauges as they are."""

from collections.abc import Iterator, Sequence

from collector.model.contract import SeriesKind
from foresail.lint.context import Context
from foresail.lint.expression import Aggregation, Binary, Call, Node, Selector, walk
from foresail.lint.finding import Remark, RuleId, error, warning
from foresail.lint.name_facts import kind_of_part

_RATES = frozenset({"rate", "irate", "increase"})
_FOR_COUNTERS = _RATES | {
    "resets", "changes", "absent", "absent_over_time", "present_over_time", "count_over_time",
    "timestamp",
}  # fmt: skip
_COUNTING = frozenset({"count", "group", "count_values"})
_SET_OPERATORS = frozenset({"and", "unless"})


def rate_on_gauge(root: Node, context: Context) -> Iterator[Remark]:
    """A rate of something that also falls counts every fall as a restart."""
    for selector, ancestors in _named(root):
        fact = context.facts.one(selector.name or "")
        rate = next((each for each in reversed(ancestors) if isinstance(each, Call)), None)
        if fact is None or rate is None or rate.function not in _RATES:
            continue
        if kind_of_part(selector.name or "", fact) in (SeriesKind.GAUGE, SeriesKind.STATE):
            yield error(
                RuleId.RATE_ON_GAUGE,
                f"{rate.function}() of `{selector.name}`, which is a gauge; use it as it is, or "
                "deriv() for its slope",
                subject=selector.name or "",
            )


def counter_without_rate(root: Node, context: Context) -> Iterator[Remark]:
    """The value of a counter is a sum since the last restart, which is no statement about now."""
    for selector, ancestors in _named(root):
        name = selector.name or ""
        fact = context.facts.one(name)
        if fact is None or kind_of_part(name, fact) is not SeriesKind.COUNTER:
            continue
        if not _is_read_as_counter(selector, ancestors):
            yield warning(
                RuleId.COUNTER_WITHOUT_RATE,
                f"`{name}` counts since the engine's start; put rate(...[5m]) around it",
                subject=fact.name,
            )


def _is_read_as_counter(selector: Selector, ancestors: Sequence[Node]) -> bool:
    inside: Node = selector
    for node in reversed(ancestors):
        match node:
            case Call(function=function) if function in _FOR_COUNTERS:
                return True
            case Aggregation(operation=operation) if operation in _COUNTING:
                return True
            case Binary(operator=operator, right=right) if operator in _SET_OPERATORS:
                if right is inside:
                    return True
            case _:
                pass
        inside = node
    return False


def _named(root: Node) -> Iterator[tuple[Selector, tuple[Node, ...]]]:
    for node, ancestors in walk(root):
        if isinstance(node, Selector) and node.name is not None:
            yield node, ancestors
