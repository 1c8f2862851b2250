"""Metrics that Python source declares, found without running it.

In: the text of a module. Out: one `SourceMetric` per name. Used by `read_packages`; it must never
import what it reads, because a package is a stranger's code.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

_KINDS = ("histogram", "counter", "gauge", "summary", "info")
_CONSTANT = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceMetric:
    """One metric as its source tells it; None where the source makes it up while running."""

    name: str  # as on the page; histograms without their suffixes
    kind: str | None
    labels: tuple[str, ...] | None
    buckets: tuple[float, ...] | None
    buckets_expression: str | None


def metrics_of_calls(text: str, *, prefix: str) -> Iterator[SourceMetric]:
    """Metrics made by calls such as Counter(name="x", ...), then names that only stand in strings."""
    tree = ast.parse(text)
    scopes = _Scopes(tree)
    full_name = re.compile(re.escape(prefix) + r"\w+")
    called: set[str] = set()
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = _name(call)
        if name is not None and full_name.fullmatch(name) and _kind(call) is not None:
            called.add(name)
            yield _metric(call, name=name, scopes=scopes)
    texts = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    yield from (_bare(text) for text in sorted(texts - called) if full_name.fullmatch(text))


def metrics_of_constants(text: str, *, class_name: str, prefix: str) -> Iterator[SourceMetric]:
    """Metrics whose suffixes are the string constants of one class."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            for statement in node.body:
                if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
                    value = str(statement.value.value)
                    if _CONSTANT.fullmatch(value):
                        yield _bare(prefix + value)


def _bare(name: str) -> SourceMetric:
    return SourceMetric(name=name, kind=None, labels=None, buckets=None, buckets_expression=None)


def _name(call: ast.Call) -> str | None:
    candidates = [each.value for each in call.keywords if each.arg == "name"] or call.args[:1]
    if candidates and isinstance(candidates[0], ast.Constant):
        value = candidates[0].value
        return value if isinstance(value, str) else None
    return None


def _kind(call: ast.Call) -> str | None:
    callee = call.func
    word = callee.attr if isinstance(callee, ast.Attribute) else getattr(callee, "id", "")
    return next((kind for kind in _KINDS if kind in word.lower()), None)


def _metric(call: ast.Call, *, name: str, scopes: "_Scopes") -> SourceMetric:
    kind = _kind(call)
    labels = _argument(call, keyword="labelnames", position=2)
    buckets = _argument(call, keyword="buckets", position=None)
    known_labels = _strings(scopes.value(labels, line=call.lineno)) if labels else ()
    known_buckets = _numbers(scopes.value(buckets, line=call.lineno)) if buckets else None
    is_unknown = buckets is not None and known_buckets is None
    return SourceMetric(
        name=_exposed(name, kind=kind),
        kind=kind,
        labels=known_labels,
        buckets=known_buckets,
        buckets_expression=ast.unparse(buckets) if is_unknown and buckets else None,
    )


def _exposed(name: str, *, kind: str | None) -> str:
    if kind == "counter" and not name.endswith("_total"):
        return f"{name}_total"
    if kind == "info" and not name.endswith("_info"):
        return f"{name}_info"
    return name


def _argument(call: ast.Call, *, keyword: str, position: int | None) -> ast.expr | None:
    for each in call.keywords:
        if each.arg == keyword:
            return each.value
    if position is not None and len(call.args) > position:
        return call.args[position]
    return None


def _strings(value: object) -> tuple[str, ...] | None:
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return tuple(value)
    return None


def _numbers(value: object) -> tuple[float, ...] | None:
    if isinstance(value, list) and all(isinstance(each, int | float) for each in value):
        return tuple(float(each) for each in value if each != float("inf"))
    return None


class _Scopes:
    """Simple assignments of a module by the name they bind, with their lines."""

    def __init__(self, tree: ast.Module) -> None:
        self._bound: dict[str, list[tuple[int, ast.expr]]] = {}
        for node in ast.walk(tree):
            targets = node.targets if isinstance(node, ast.Assign) else []
            if isinstance(node, ast.AnnAssign) and node.value is not None:
                targets = [node.target]
            for target in targets:
                word = _word(target)
                if word and isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
                    self._bound.setdefault(word, []).append((node.lineno, node.value))

    def value(self, node: ast.expr, *, line: int, depth: int = 0) -> object:
        """The constant, or list of constants, that `node` stands for at `line`; None if unknown."""
        if depth > 5:
            return None
        match node:
            case ast.Constant():
                return node.value
            case ast.List() | ast.Tuple():
                items = [self.value(each, line=line, depth=depth + 1) for each in node.elts]
                return None if None in items else items
            case ast.BinOp(op=ast.Add()):
                return self._sum(node, line=line, depth=depth)
            case ast.Call(func=ast.Name(id="list" | "tuple" | "float"), args=[inner]):
                inner_value = self.value(inner, line=line, depth=depth + 1)
                return float("inf") if inner_value == "inf" else inner_value
            case _:
                pass
        return self._bound_value(_word(node), line=line, depth=depth)

    def _sum(self, node: ast.BinOp, *, line: int, depth: int) -> object:
        left = self.value(node.left, line=line, depth=depth + 1)
        right = self.value(node.right, line=line, depth=depth + 1)
        if isinstance(left, list) and isinstance(right, list):
            return [*left, *right]
        return None

    def _bound_value(self, word: str, *, line: int, depth: int) -> object:
        before = [expression for at, expression in self._bound.get(word, ()) if at < line]
        return self.value(before[-1], line=line, depth=depth + 1) if before else None


def _word(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return ""
