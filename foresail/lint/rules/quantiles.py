"""Are quantiles made of buckets, and left alone afterwards."""

from collections.abc import Iterator

from collector.model.contract import SeriesKind
from foresail.lint.context import Context
from foresail.lint.expression import (
    Aggregation,
    Binary,
    Call,
    Node,
    Other,
    Selector,
    selectors,
    walk,
)
from foresail.lint.finding import Remark, RuleId, error, warning

_PASSING = frozenset({"rate", "irate", "increase", "label_replace", "label_join", "delta"})
_MIXING = frozenset({"avg", "sum"})
_MIXING_OVER_TIME = frozenset({"avg_over_time", "sum_over_time"})


def quantile_input(root: Node, context: Context) -> Iterator[Remark]:
    """histogram_quantile needs buckets, and the label that says which bucket it is."""
    for node, _ in walk(root):
        if not isinstance(node, Call) or node.function != "histogram_quantile":
            continue
        for inner in node.arguments[1:]:
            lost = _loses_le(inner)
            if lost is not None and any(_is_bucket(each) for each in selectors(inner)):
                yield error(
                    RuleId.QUANTILE_WITHOUT_LE,
                    f"{lost.operation}() inside histogram_quantile drops `le`, which leaves one bucket; "
                    "write `by (le, ...)`",
                    subject="le",
                )
            yield from _without_buckets(inner, context)


def _without_buckets(inner: Node, context: Context) -> Iterator[Remark]:
    for selector in selectors(inner):
        fact = context.facts.one(selector.name or "")
        if fact is None or _is_bucket(selector):
            continue
        is_histogram = fact.kind is SeriesKind.HISTOGRAM
        then = f"use `{fact.name}_bucket`" if is_histogram else "it has no buckets to take one of"
        yield error(
            RuleId.QUANTILE_WITHOUT_BUCKETS,
            f"histogram_quantile of `{selector.name}`; {then}",
            subject=fact.name,
        )


def _is_bucket(selector: Selector) -> bool:
    return selector.name is not None and selector.name.endswith("_bucket")


def _loses_le(node: Node) -> Aggregation | None:
    match node:
        case Aggregation():
            return _loses_le(node.operand) if node.keeps("le") else node
        case Call(function=function, arguments=arguments) if function in _PASSING and arguments:
            return _loses_le(arguments[0])
        case Other(inner=(inner,)):
            return _loses_le(inner)
        case _:
            return None


def aggregated_quantile(root: Node, _: Context) -> Iterator[Remark]:
    """The mean of quantiles is the quantile of nothing."""
    for node, _ancestors in walk(root):
        match node:
            case Aggregation(operation=operation, operand=operand) if operation in _MIXING:
                inner = operand
            case Call(function=operation, arguments=(inner, *_)) if operation in _MIXING_OVER_TIME:
                pass
            case _:
                continue
        if _is_quantile(inner):
            yield warning(
                RuleId.AGGREGATED_QUANTILE,
                f"{operation}() of histogram_quantile() is no quantile; sum the buckets first, or use max",
                subject=operation,
            )


def _is_quantile(node: Node) -> bool:
    match node:
        case Call(function="histogram_quantile"):
            return True
        case Other(inner=(inner,)):
            return _is_quantile(inner)
        case Binary(left=left, right=right):
            return _is_quantile(left) or _is_quantile(right)
        case _:
            return False


def quantile_of_average(root: Node, context: Context) -> Iterator[Remark]:
    """The quantile of averages hides every slow request that shared its window with quick ones."""
    for node, _ in walk(root):
        match node:
            case Aggregation(operation="quantile", operand=inner):
                pass
            case Call(function="quantile_over_time", arguments=(_, inner)):
                pass
            case _:
                continue
        fact = _averaged(inner, context)
        if fact is not None:
            yield warning(
                RuleId.QUANTILE_OF_AVERAGE,
                f"quantile of the average of `{fact}`; use histogram_quantile over `{fact}_bucket`",
                subject=fact,
            )


def _averaged(node: Node, context: Context) -> str | None:
    """The histogram whose _sum is divided by its _count right here."""
    for inner, _ in walk(node):
        if isinstance(inner, Binary) and inner.operator == "/":
            above = {each.name for each in selectors(inner.left) if each.name}
            for name in above:
                base = name.removesuffix("_sum")
                if base != name and any(
                    each.name == f"{base}_count" for each in selectors(inner.right)
                ):
                    return base
    return None
