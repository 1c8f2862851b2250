"""The one door to the PromQL parser: text in, `expression.Node` out. No parser object leaves this file.

The parser recurses without a limit and would end the process on hostile nesting, so the text is
measured before it is handed over.
"""

import re
from functools import cache
from typing import Any  # of the parser: its nodes carry no common type

import promql_parser

from foresail.lint.expression import (
    Aggregation,
    Binary,
    Call,
    Matcher,
    Node,
    Number,
    Other,
    Selector,
)

MAX_CHARACTERS = 65_536
MAX_PARTS = 200
"""Operators and opening brackets outside of conditions. The parser ends the process at some thousand
levels, and its nodes copy all that is inside them whenever they are asked for a part."""

_TEXTS = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|`[^`]*`')
_CONDITIONS = re.compile(r"\{[^{}]*\}")
_PARTS = re.compile(r"[-+*/%^(\[{<>=!@]|\b(?:and|or|unless|atan2)\b", re.IGNORECASE)
_TOKEN = re.compile(r"op: TokenType\(\s*(\d+)")
_OPERATORS = (
    "+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<", ">=", "<=", "and", "or", "unless",
)  # fmt: skip
_AGGREGATIONS = ("sum", "avg", "min", "max", "count", "group", "stddev", "stdvar")
_AGGREGATIONS_WITH_NUMBER = ("topk", "bottomk", "quantile", "limitk", "limit_ratio")


class NotPromql(Exception):
    """The text is no expression; the message says why, in one line."""


def parse(text: str) -> Node:
    """The expression written in `text`. Raises NotPromql."""
    if len(text) > MAX_CHARACTERS:
        raise NotPromql(f"longer than {MAX_CHARACTERS} characters")
    bare = _CONDITIONS.sub("", _TEXTS.sub('""', text))
    if len(_PARTS.findall(bare)) > MAX_PARTS:
        raise NotPromql(f"more than {MAX_PARTS} operators and brackets")
    try:
        parsed = promql_parser.parse(text)
    except ValueError as error:
        raise NotPromql(" ".join(str(error).split())[:200]) from error
    return _node(parsed)


def _node(parsed: Any) -> Node:  # noqa: ANN401  see the import
    match parsed:
        case promql_parser.ParenExpr():
            node = _node(parsed.expr)
        case promql_parser.VectorSelector():
            node = _selector(parsed)
        case promql_parser.MatrixSelector():
            node = _selector(parsed.vector_selector)
        case promql_parser.Call():
            arguments = tuple(_node(each) for each in parsed.args)
            node = Call(function=parsed.func.name, arguments=arguments)
        case promql_parser.AggregateExpr():
            node = _aggregation(parsed)
        case promql_parser.BinaryExpr():
            node = _binary(parsed)
        case promql_parser.NumberLiteral():
            node = Number(value=parsed.val)
        case promql_parser.UnaryExpr() | promql_parser.SubqueryExpr():
            node = Other(inner=(_node(parsed.expr),))
        case _:  # a text
            node = Other(inner=())
    return node


def _selector(parsed: promql_parser.VectorSelector) -> Selector:
    kinds = promql_parser.MatchOp
    operators = ((kinds.Equal, "="), (kinds.NotEqual, "!="), (kinds.Re, "=~"), (kinds.NotRe, "!~"))
    name, matchers = parsed.name, []
    alternatives = [each for group in parsed.matchers.or_matchers for each in group]
    for each in (*parsed.matchers.matchers, *alternatives):
        operator = next(text for kind, text in operators if kind == each.op)
        if each.name == "__name__":
            name = each.value if operator == "=" else name
        else:
            matchers.append(Matcher(label=each.name, operator=operator, value=each.value))
    return Selector(name=name, matchers=tuple(matchers))


def _aggregation(parsed: promql_parser.AggregateExpr) -> Aggregation:
    modifier = parsed.modifier
    without = modifier is not None and modifier.type == promql_parser.AggModifierType.Without
    return Aggregation(
        operation=_aggregation_tokens().get(_token(parsed), "count_values"),
        operand=_node(parsed.expr),
        parameter=None if parsed.param is None else _node(parsed.param),
        labels=frozenset(modifier.labels if modifier is not None else ()),
        is_without=without,
    )


def _binary(parsed: promql_parser.BinaryExpr) -> Binary:
    return Binary(
        operator=_operator_tokens()[_token(parsed)],
        left=_node(parsed.lhs),
        right=_node(parsed.rhs),
        is_bool=parsed.modifier is not None and parsed.modifier.return_bool,
    )


@cache
def _operator_tokens() -> dict[str, str]:
    """{the parser's number of an operator: the operator}, learned from known expressions."""
    return {_token(promql_parser.parse(f"a {name} b")): name for name in _OPERATORS}


@cache
def _aggregation_tokens() -> dict[str, str]:
    plain = {_token(promql_parser.parse(f"{name}(a)")): name for name in _AGGREGATIONS}
    numbered = {
        _token(promql_parser.parse(f"{name}(1, a)")): name for name in _AGGREGATIONS_WITH_NUMBER
    }
    return plain | numbered


def _token(parsed: promql_parser.Expr) -> str:
    """The number of an operator or aggregation; only the printed form of a node tells it."""
    is_root = True

    def emptied(_: promql_parser.Expr) -> promql_parser.Expr | None:
        nonlocal is_root
        if is_root:
            is_root = False
            return None
        return _nothing()

    # Printed with all that is inside it, a node of a long expression would take seconds.
    found = _TOKEN.search(repr(promql_parser.transform(parsed, emptied)))
    return "" if found is None else found.group(1)


@cache
def _nothing() -> promql_parser.Expr:
    nothing: promql_parser.Expr = promql_parser.parse("a")
    return nothing
