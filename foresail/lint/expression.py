"""A PromQL expression as values, with the parts the rules ask about. Pure; `promql` makes it from text."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Matcher:
    """One condition on a label."""

    label: str
    operator: str  # = != =~ !~
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """Series by name and labels, with or without a range."""

    name: str | None  # None: the name is no plain text, e.g. a pattern
    matchers: tuple[Matcher, ...]  # without the one that gives the name


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A function and its arguments."""

    function: str
    arguments: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregation:
    """sum, avg, ... over a vector."""

    operation: str
    operand: "Node"
    parameter: "Node | None"  # of topk, quantile and the like
    labels: frozenset[str]
    is_without: bool  # True: all labels but these stay; False: only these stay

    def keeps(self, label: str) -> bool:
        """Whether the label is on the result."""
        return (label in self.labels) is not self.is_without


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """Two sides and what stands between."""

    operator: str
    left: "Node"
    right: "Node"
    is_bool: bool  # a comparison that gives 0 or 1 and drops nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A literal."""

    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """Anything that only passes on what is inside: a minus, a subquery, a text."""

    inner: "tuple[Node, ...]"


Node = Selector | Call | Aggregation | Binary | Number | Other

COMPARISONS = frozenset({"==", "!=", ">", "<", ">=", "<="})


def children(node: Node) -> tuple[Node, ...]:
    """The parts directly inside, left to right."""
    match node:
        case Call(arguments=arguments):
            return arguments
        case Aggregation(operand=operand, parameter=parameter):
            return (operand,) if parameter is None else (parameter, operand)
        case Binary(left=left, right=right):
            return (left, right)
        case Other(inner=inner):
            return inner
        case Selector() | Number():
            return ()


def walk(root: Node) -> Iterator[tuple[Node, tuple[Node, ...]]]:
    """Every node with its ancestors, the nearest last; outer ones and left ones first."""
    waiting: list[tuple[Node, tuple[Node, ...]]] = [(root, ())]
    while waiting:
        node, ancestors = waiting.pop()
        yield node, ancestors
        inside = (*ancestors, node)
        waiting.extend((child, inside) for child in reversed(children(node)))


def selectors(root: Node) -> Iterator[Selector]:
    """Every selector inside."""
    return (node for node, _ in walk(root) if isinstance(node, Selector))
