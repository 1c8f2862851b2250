"""Are bucket edges written as they are exposed, and thresholds put where a bucket ends."""

import math
import re
from bisect import bisect
from collections.abc import Iterator

from foresail.lint.context import Context
from foresail.lint.expression import COMPARISONS, Binary, Call, Node, Number, selectors, walk
from foresail.lint.finding import Remark, RuleId, error, warning
from foresail.lint.name_facts import Fact

_INTEGER = re.compile(r"\d+")
_PYTHON_EXPORTERS = frozenset(
    {"vllm", "sglang", "lmdeploy", "litellm", "kserve_python", "foresail_gateway", "production_stack_router"}
)  # fmt: skip


def label_le(root: Node, context: Context) -> Iterator[Remark]:
    """A condition on `le` compares texts: "1" is not "1.0", and 0.9 may be no edge at all."""
    for selector in selectors(root):
        fact = context.facts.one(selector.name or "")
        for matcher in selector.matchers:
            if fact is None or matcher.label != "le" or matcher.operator not in ("=", "!="):
                continue
            if _INTEGER.fullmatch(matcher.value) and fact.engine in _PYTHON_EXPORTERS:
                yield error(
                    RuleId.INTEGER_LE,
                    f'`{selector.name}{{le="{matcher.value}"}}` matches nothing, {fact.engine} writes '
                    f'"{matcher.value}.0"; `le=~"{matcher.value}(\\\\.0)?"` takes both',
                    subject=matcher.value,
                )
            elif (value := _number(matcher.value)) is not None and _is_between(value, fact):
                yield error(
                    RuleId.LE_NOT_AN_EDGE,
                    f"`{selector.name}` has no bucket that ends at {matcher.value}; {_around(value, fact)}",
                    subject=matcher.value,
                )


def threshold_inside_bucket(root: Node, context: Context) -> Iterator[Remark]:
    """Between two edges a quantile is a guess along a straight line."""
    for node, _ in walk(root):
        match node:
            case Binary(
                operator=operator,
                left=Call(function="histogram_quantile", arguments=(_, inner)),
                right=Number(value=value),
            ) if operator in COMPARISONS:
                yield from _inside(inner, value, context)
            case _:
                pass


def _inside(inner: Node, value: float, context: Context) -> Iterator[Remark]:
    for selector in selectors(inner):
        fact = context.facts.one(selector.name or "")
        if fact is not None and _is_between(value, fact):
            yield warning(
                RuleId.THRESHOLD_INSIDE_BUCKET,
                f"{value:g} lies inside a bucket of `{fact.name}`; {_around(value, fact)}, or compare "
                "the share of requests under an edge",
                subject=fact.name,
            )


def _is_between(value: float, fact: Fact) -> bool:
    return fact.edges is not None and 0 < value < math.inf and value not in fact.edges


def _around(value: float, fact: Fact) -> str:
    edges = fact.edges or ()
    position = bisect(edges, value)
    near = [f"{edge:g}" for edge in edges[max(0, position - 1) : position + 1]]
    return f"edges near it are {' and '.join(near)}"


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
