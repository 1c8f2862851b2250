"""The text of one file to its expressions; knows which kinds of file there are. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from foresail.lint.grafana import dashboard_queries, is_dashboard
from foresail.lint.manifests import embedded_texts, manifest_queries
from foresail.lint.query import MAX_QUERIES, Query
from foresail.lint.tree import Part, Unreadable, json_part, yaml_parts

_MAX_LEVELS = 3  # of files in files


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A file, or a file in a file, that cannot be read."""

    line: int
    message: str


def contents(text: str, *, is_json: bool) -> tuple[Query | Problem, ...]:
    """What stands in the file, in its order. Nothing for a file of another kind."""
    found = tuple(islice(_contents(text, is_json=is_json, level=0), MAX_QUERIES + 1))
    if len(found) <= MAX_QUERIES:
        return found
    told = Problem(
        line=1, message=f"more than {MAX_QUERIES} expressions; the rest is not looked at"
    )
    return (*found[:MAX_QUERIES], told)


def _contents(text: str, *, is_json: bool, level: int) -> Iterator[Query | Problem]:
    try:
        parts = (json_part(text),) if is_json else yaml_parts(text)
    except Unreadable as error:
        yield Problem(line=error.line, message=str(error))
        return
    for part in parts:
        yield from _of_part(part, level=level)


def _of_part(part: Part, *, level: int) -> Iterator[Query | Problem]:
    if level > _MAX_LEVELS:
        return
    if part.get("kind").text in ("List", "ConfigMapList", "PrometheusRuleList"):
        for item in part.get("items").items:
            yield from _of_part(item, level=level + 1)
    elif is_dashboard(part):
        yield from dashboard_queries(part)
    else:
        yield from manifest_queries(part)
        for name, inner in embedded_texts(part):
            yield from _embedded(name, inner, level=level + 1)


def _embedded(name: str, part: Part, *, level: int) -> Iterator[Query | Problem]:
    is_json = name.endswith(("json",))
    if not is_json and not name.endswith((".yaml", ".yml", ".rules")):
        return
    shift = part.line - 1
    for each in _contents(part.text or "", is_json=is_json, level=level):
        if isinstance(each, Problem):
            told = f"{name}: {each.message}"
            yield Problem(line=each.line + shift, message=told)
        else:
            yield replace(
                each,
                line=each.line + shift,
                first_line=each.first_line + shift,
                last_line=each.last_line + shift,
            )
