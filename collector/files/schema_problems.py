"""What pydantic found wrong, in the words of the file.

In: a document, the pydantic model it must fit and the errors. Out: `Problem`s with line, key path,
value and what is allowed. Sits between pydantic and the owner, so that no other file knows how
pydantic words its errors.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from collector.files.document import Document
from collector.files.problem import KeyPath, Problem, did_you_mean, value_text

_TYPE_WORDS: Final[Mapping[str, str]] = {
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be a mapping (lines of `key: value`)",
    "model_type": "must be a mapping (lines of `key: value`)",
    "model_attributes_type": "must be a mapping (lines of `key: value`)",
}
_BOUND_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "under"),
    "less_than_equal": ("le", "at most"),
}


def schema_problems(
    error: ValidationError, *, document: Document, model: type[BaseModel]
) -> tuple[Problem, ...]:
    """One problem per error; those in places the document already complains about are left out."""
    known = {problem.path for problem in document.problems}
    problems = (
        _problem(each, document=document, model=model) for each in error.errors(include_url=False)
    )
    return tuple(problem for problem in problems if problem.path not in known)


def keys_of(model: type[BaseModel], path: KeyPath) -> Mapping[str, str]:
    """{key: its description} of the mapping at `path`; empty where any key may stand."""
    current: object = model
    for part in path:
        current = _step(_plain_type(current, part), part)
    found = _plain_type(current, None)
    if not _is_model(found):
        return {}
    fields = cast(type[BaseModel], found).model_fields  # just checked
    return {name: field.description or "" for name, field in fields.items()}


def _problem(each: ErrorDetails, *, document: Document, model: type[BaseModel]) -> Problem:
    path = _document_path(each["loc"], document=document)
    kind = each["type"]
    if kind == "missing":
        return _missing(
            path, key=str(each["loc"][-1]), loc=each["loc"], document=document, model=model
        )
    if kind == "extra_forbidden":
        return _unknown(path, loc=each["loc"], document=document, model=model)
    if kind in {"union_tag_invalid", "union_tag_not_found"}:
        return _wrong_kind(each, path=path, document=document)
    if each["loc"] and each["loc"][-1] == "[key]":
        return Problem(
            line=document.line(path), path=path, message=f"has a name that {_rule(each)}"
        )
    value = document.value(path)
    message = f"is {value_text(value)}, {_rule(each)}{_near(each, value)}"
    return Problem(line=document.line(path), path=path, message=message)


def _missing(
    path: KeyPath,
    *,
    key: str,
    loc: tuple[int | str, ...],
    document: Document,
    model: type[BaseModel],
) -> Problem:
    description = keys_of(model, loc[:-1]).get(key, "")
    meaning = f": {description.split('. ')[0].rstrip('.')}" if description else ""
    subject = "" if path else "the file "
    return Problem(
        line=document.line(path) if path else 1,
        path=path,
        message=f"{subject}has no {key!r}, which is required{meaning}",
    )


def _unknown(
    path: KeyPath, *, loc: tuple[int | str, ...], document: Document, model: type[BaseModel]
) -> Problem:
    known = tuple(keys_of(model, loc[:-1]))
    hint = did_you_mean(loc[-1], known) or f"; known here: {', '.join(known)}"
    return Problem(line=document.line(path), path=path, message=f"is not a known key{hint}")


def _wrong_kind(each: ErrorDetails, *, path: KeyPath, document: Document) -> Problem:
    context = each.get("ctx", {})
    if each["type"] == "union_tag_not_found":
        message = "has no 'kind', which is required: one of process, url"
        return Problem(line=document.line(path), path=path, message=message)
    choices = _quoted(str(context.get("expected_tags", "")))
    tag = document.value((*path, "kind"))
    message = f"is {value_text(tag)}, {_one_of(choices)}{did_you_mean(tag, choices)}"
    return Problem(line=document.line((*path, "kind")), path=(*path, "kind"), message=message)


def _rule(each: ErrorDetails) -> str:
    kind, context = each["type"], each.get("ctx", {})
    if kind in _TYPE_WORDS:
        return _TYPE_WORDS[kind]
    if kind in _BOUND_WORDS:
        name, words = _BOUND_WORDS[kind]
        return f"must be {words} {context[name]:g}"
    if kind in {"enum", "literal_error"}:
        return _one_of(_choices(each))
    if kind == "value_error":
        return str(context["error"])
    lengths: Mapping[str, Callable[[], str]] = {
        "too_short": lambda: f"must have at least {context['min_length']} of them",
        "too_long": lambda: f"must have at most {context['max_length']} of them",
        "string_too_short": lambda: f"must have at least {context['min_length']} characters",
        "string_too_long": lambda: f"must have at most {context['max_length']} characters",
    }
    return lengths[kind]() if kind in lengths else each["msg"]


def _choices(each: ErrorDetails) -> tuple[str, ...]:
    expected = str(each.get("ctx", {}).get("expected", ""))
    return _quoted(expected) or (expected,)


def _quoted(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"'([^']*)'", text))


def _one_of(choices: Iterable[str]) -> str:
    listed = tuple(choices)
    return f"must be {listed[0]}" if len(listed) == 1 else f"must be one of: {', '.join(listed)}"


def _near(each: ErrorDetails, value: object) -> str:
    return did_you_mean(value, _choices(each)) if each["type"] in {"enum", "literal_error"} else ""


def _document_path(loc: tuple[int | str, ...], *, document: Document) -> KeyPath:
    """The parts of pydantic's location that the file has; it adds tags of unions and '[key]'."""
    path: KeyPath = ()
    for part in loc:
        if document.has((*path, part)):
            path = (*path, part)
    return path


def _step(current: object, part: str | int) -> object:
    """The type below a type: of a field, of a mapping's values or of a list's entries."""
    if _is_model(current):
        fields = cast(type[BaseModel], current).model_fields  # just checked
        return fields[str(part)].annotation if part in fields else current
    arguments = get_args(current)
    if get_origin(current) is dict:
        return arguments[1]
    return arguments[0] if get_origin(current) is list else None


def _plain_type(current: object, part: str | int | None) -> object:
    """Without Annotated and None; of a union with tags the member that `part` names."""
    while get_origin(current) is Annotated:
        current = get_args(current)[0]
    if get_origin(current) not in {Union, UnionType}:
        return current
    members = [_plain_type(each, part) for each in get_args(current) if each is not NoneType]
    tagged = [each for each in members if _is_model(each) and part in _tags(each)]
    return (tagged or members)[0]


def _tags(member: object) -> tuple[Any, ...]:  # Any: arguments of Literal have no common type
    kind = cast(type[BaseModel], member).model_fields.get("kind")  # callers pass models only
    return get_args(kind.annotation) if kind and get_origin(kind.annotation) is Literal else ()


def _is_model(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, BaseModel)
