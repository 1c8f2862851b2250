"""`FORESAIL_…` variables as overrides of foresail.yaml.

In: a mapping of variables (the process's own is passed in by the command line, nowhere else is it
read). Out: what to lay over the file's values. A group and its key are joined by two underscores,
FORESAIL_GATEWAY__PORT; one would meet the FORESAIL_GATEWAY_PORT that Kubernetes itself sets for a
Service named foresail-gateway. A variable that means nothing is an error, like an unknown key.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from collector.files.document import Value
from collector.files.problem import KeyPath, Problem, did_you_mean
from collector.files.scalar import plain_value

PREFIX: Final = "FORESAIL_"

OWN_VARIABLES: Final = frozenset({"FORESAIL_REPLICA_ID", "FORESAIL_DEBUG", "FORESAIL_SETTINGS"})
"""Variables of Foresail that are no settings: the mark of an engine process, and two of the commands."""

_KUBERNETES_LINK: Final = re.compile(
    r"FORESAIL(_[A-Z0-9_]*?)?(_SERVICE_HOST|_SERVICE_PORT(_[A-Z0-9_]+)?|_PORT(_[0-9]+_[A-Z]+.*)?)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """One variable and where its value goes."""

    variable: str
    path: KeyPath
    value: Value


def read_overrides(
    environ: Mapping[str, str], *, model: type[BaseModel]
) -> tuple[tuple[Override, ...], tuple[Problem, ...]]:
    """(overrides, problems) of all variables with our prefix; ({}, ()) when there are none."""
    known = dict(_variables(model))
    overrides, problems = [], []
    for variable in sorted(name for name in environ if name.startswith(PREFIX)):
        if variable in known:
            path, field = known[variable]
            value = _typed(environ[variable], field=field)
            overrides.append(Override(variable=variable, path=path, value=value))
        elif variable not in OWN_VARIABLES and not _KUBERNETES_LINK.fullmatch(variable):
            hint = did_you_mean(variable, tuple(known)) or "; unset it, or see foresail.yaml's keys"
            message = f"{variable} is not a known variable{hint}"
            problems.append(Problem(line=None, message=message, place="environment"))
    return tuple(overrides), tuple(problems)


def overlaid(values: Mapping[str, Value], overrides: tuple[Override, ...]) -> dict[str, Value]:
    """The file's values with the overrides in place; the file's own are not changed."""
    result = dict(values)
    for override in overrides:
        group, *key = override.path
        if key:
            below = result.get(str(group))
            inner = dict(below) if isinstance(below, dict) else {}
            result[str(group)] = inner | {str(key[0]): override.value}
        else:
            result[str(group)] = override.value
    return result


def _variables(model: type[BaseModel]) -> Iterator[tuple[str, tuple[KeyPath, FieldInfo]]]:
    for name, field in model.model_fields.items():
        group = field.annotation
        if isinstance(group, type) and issubclass(group, BaseModel):
            for key, inner in group.model_fields.items():
                yield f"{PREFIX}{name}__{key}".upper(), ((name, key), inner)
        else:
            yield f"{PREFIX}{name}".upper(), ((name,), field)


def _typed(text: str, *, field: FieldInfo) -> Value:
    """Text stays text where text is wanted, is split at commas for lists, else read as in YAML."""
    if get_origin(field.annotation) is list:
        return [part.strip() for part in text.split(",") if part.strip()]
    wants_number = field.annotation in {int, float, bool}
    return plain_value(text) if wants_number else text
