"""Sums and divisions that give a number which means nothing, or no number at all."""

from collections.abc import Iterator, Sequence

from collector.model.contract import SeriesKind
from foresail.lint.context import ROUTER, Context
from foresail.lint.expression import (
    COMPARISONS,
    Aggregation,
    Binary,
    Call,
    Node,
    Number,
    Other,
    Selector,
    selectors,
    walk,
)
from foresail.lint.finding import Remark, RuleId, error, warning

_PER_REPLICA = frozenset({"instance", "pod", "replica", "server", "engine", "UUID", "gpu"})
_TELLS_THE_JOB = frozenset({"job", "engine", "server", "service", "container", "endpoint", "pod"})
_NEVER_ZERO = ("MemTotal_bytes", "_limit", "_limits", "_limit_bytes", "_max", "_capacity", "_total_bytes",
               "_size_bytes", "_FB_TOTAL")  # fmt: skip

_NEVER_ZERO_FUNCTIONS = frozenset({"count_over_time", "time", "timestamp"})


def sum_of_ratios(root: Node, context: Context) -> Iterator[Remark]:
    """40 % and 40 % are not 80 % of anything."""
    for node, ancestors in walk(root):
        if not isinstance(node, Aggregation) or node.operation != "sum":
            continue
        ratio = _ratio_inside(node.operand, context)
        if ratio is None or _is_divided_by_count(node, ancestors):
            continue
        told = f"sum() of `{ratio}`, a share between 0 and 1; use max() for the fullest or avg()"
        if not node.is_without and node.labels & _PER_REPLICA:
            yield warning(RuleId.SUM_OF_RATIOS, told, subject=ratio)
        else:
            yield error(RuleId.SUM_OF_RATIOS, told, subject=ratio)


def _ratio_inside(node: Node, context: Context) -> str | None:
    match node:
        case Selector(name=str() as name):
            fact = context.facts.one(name)
            is_ratio = fact is not None and fact.kind is SeriesKind.GAUGE and fact.unit == "ratio"
            return name if is_ratio else None
        case Other(inner=(inner,)):
            return _ratio_inside(inner, context)
        case Call(function="label_replace" | "label_join", arguments=(inner, *_)):
            return _ratio_inside(inner, context)
        case _:
            return None


def _is_divided_by_count(node: Node, ancestors: Sequence[Node]) -> bool:
    above = ancestors[-1] if ancestors else None
    if not isinstance(above, Binary) or above.operator != "/" or above.left is not node:
        return False
    return any(
        isinstance(each, Aggregation) and each.operation == "count" for each, _ in walk(above.right)
    )


def unguarded_division(root: Node, context: Context) -> Iterator[Remark]:
    """0 / 0 is NaN, which draws as a gap and breaks every sum; 1 / 0 is infinite and fires alerts."""
    for node, ancestors in walk(root):
        if not isinstance(node, Binary) or node.operator not in ("/", "%"):
            continue
        if not _may_be_zero(node.right):
            continue
        name = next((each.name for each in selectors(node.right) if each.name), "the divisor")
        compared = _comparison(ancestors)
        if compared is None:
            what = "which is 0 when nothing happens, and then gives NaN"
        elif compared in (">", ">=") and _is_gauge(node.right, context):
            what = "which may be 0 while the other side is not, and infinity is above any threshold"
        else:
            continue  # NaN compares false and is dropped with the rest
        yield warning(
            RuleId.UNGUARDED_DIVISION,
            f"divides by `{name}`, {what}; write `/ (... > 0)`",
            subject=name,
        )


def _is_gauge(node: Node, context: Context) -> bool:
    facts = [context.facts.one(each.name or "") for each in selectors(node)]
    return any(fact is not None and fact.kind is SeriesKind.GAUGE for fact in facts)


def _may_be_zero(node: Node) -> bool:
    may = True
    match node:
        case Number(value=value):
            may = value == 0
        case Binary():
            may = _difference_may_be_zero(node)
        case Call(function="clamp_min" | "vector" | "scalar", arguments=arguments):
            may = any(_may_be_zero(each) for each in arguments[-1:])
        case Call(function=function):
            may = function not in _NEVER_ZERO_FUNCTIONS
        case Aggregation(operation=operation, operand=operand):
            may = operation not in ("count", "group") and _may_be_zero(operand)
        case Other(inner=inner):
            may = any(_may_be_zero(each) for each in inner)
        case Selector(name=name):
            may = name is None or not name.endswith(_NEVER_ZERO)
    return may


def _difference_may_be_zero(node: Binary) -> bool:
    if node.operator in COMPARISONS:
        return node.is_bool
    left, right = _may_be_zero(node.left), _may_be_zero(node.right)
    if node.operator in ("*", "/"):
        return left or right
    return left and right if node.operator in ("or", "and", "+") else True


def _comparison(ancestors: Sequence[Node]) -> str | None:
    """The nearest comparison further out that filters."""
    for each in reversed(ancestors):
        if isinstance(each, Binary) and each.operator in COMPARISONS and not each.is_bool:
            return each.operator
    return None


def double_count(root: Node, context: Context) -> Iterator[Remark]:
    """Engine and router write the same name; a sum over both counts every request twice."""
    if not context.has_router:
        return
    for node, _ in walk(root):
        if not isinstance(node, Aggregation) or node.operation not in ("sum", "avg", "count"):
            continue
        for selector in selectors(node.operand):
            owners = {fact.engine for fact in context.facts.of(selector.name or "")}
            told = {matcher.label for matcher in selector.matchers} | (
                frozenset() if node.is_without else node.labels
            )
            if ROUTER in owners and len(owners) > 1 and not told & _TELLS_THE_JOB:
                yield warning(
                    RuleId.DOUBLE_COUNT,
                    f"{node.operation}() of `{selector.name}` takes the engines' series and the router's; "
                    'select one of them, by job or with `server=""`',
                    subject=selector.name or "",
                )
