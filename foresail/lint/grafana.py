"""Expressions of a Grafana dashboard: panels in rows or not, variables, annotations. Pure."""

import re
from collections.abc import Iterator

from foresail.lint.query import Query, QueryKind
from foresail.lint.tree import Part

_LABEL_VALUES = re.compile(r"\s*label_values\s*\((.*),\s*[\w$\[\]{}:]+\s*\)\s*", re.DOTALL)
_QUERY_RESULT = re.compile(r"\s*query_result\s*\((.*)\)\s*", re.DOTALL)
_NO_EXPRESSION = re.compile(r"\s*(label_values|label_names|metrics)\s*\(", re.DOTALL)
_OTHER_SOURCES = frozenset({"loki", "tempo", "elasticsearch", "influxdb", "grafana", "mysql",
                            "postgres", "cloudwatch", "testdata", "graphite"})  # fmt: skip


def is_dashboard(part: Part) -> bool:
    """Whether the mapping is a dashboard, or wraps one as the API does."""
    board = part.get("dashboard") if part.get("dashboard").entries else part
    return bool(board.get("panels").items or board.get("rows").items) or (
        "templating" in board.entries and "title" in board.entries
    )


def dashboard_queries(part: Part) -> Iterator[Query]:
    """Every expression for Prometheus."""
    board = part.get("dashboard") if part.get("dashboard").entries else part
    yield from _panels(board.get("panels").items)
    for row in board.get("rows").items:
        yield from _panels(row.get("panels").items)
    for variable in board.get("templating", "list").items:
        yield from _variable(variable)
    for annotation in board.get("annotations", "list").items:
        if not _is_elsewhere(annotation):
            where = f'annotation "{annotation.get("name").text or "unnamed"}"'
            yield from _query(annotation.get("expr"), kind=QueryKind.SERIES, where=where)


def _panels(panels: tuple[Part, ...]) -> Iterator[Query]:
    waiting = list(reversed(panels))
    while waiting:
        panel = waiting.pop()
        waiting.extend(reversed(panel.get("panels").items))
        where = f'panel "{panel.get("title").text or panel.get("id").text or "untitled"}"'
        for target in panel.get("targets").items:
            if not (_is_elsewhere(target) or _is_elsewhere(panel)):
                yield from _query(target.get("expr"), kind=QueryKind.PANEL, where=where)


def _is_elsewhere(part: Part) -> bool:
    kind = part.get("datasource", "type").text
    return kind is not None and kind.lower() in _OTHER_SOURCES


def _variable(variable: Part) -> Iterator[Query]:
    if variable.get("type").text != "query" or _is_elsewhere(variable):
        return
    where = f"variable ${variable.get('name').text or 'unnamed'}"
    query = variable.get("query")
    part = query if query.is_text() else query.get("query")
    if not part.is_text():
        part = variable.get("definition")
    text = part.text or ""
    found = _LABEL_VALUES.fullmatch(text) or _QUERY_RESULT.fullmatch(text)
    if found is not None:
        yield from _query(part, kind=QueryKind.SERIES, where=where, text=found.group(1))
    elif part.is_text() and _NO_EXPRESSION.match(text) is None:
        yield from _query(part, kind=QueryKind.SERIES, where=where)


def _query(part: Part, *, kind: QueryKind, where: str, text: str | None = None) -> Iterator[Query]:
    if part.is_text():
        yield Query(
            text=part.text or "" if text is None else text,
            kind=kind,
            where=where,
            line=part.line,
            first_line=part.line,
            last_line=part.end_line,
        )
