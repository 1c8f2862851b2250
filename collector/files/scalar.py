"""A YAML scalar as text, number, true/false or nothing, refusing what people and YAML read differently.

YAML 1.1 reads `1:30` as 90, `010` as 8 and `1_000` as 1000; whoever writes them may mean something
else. They are refused with the reason instead of being taken. Pure; used by `document` and for the
values of environment variables.
"""

import math
import re

_PREFIX = "tag:yaml.org,2002:"
SCALAR_TAGS = frozenset(
    _PREFIX + name for name in ("str", "int", "float", "bool", "null", "timestamp")
)

_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"[-+]?[0-9]{1,18}\.?[0-9]*([eE][-+]?[0-9]{1,3})?|[-+]?\.[0-9]+")
_TRUE = frozenset({"true", "yes", "on"})


class ScalarRejected(ValueError):
    """The scalar has a value that is not taken; the message follows the key's name."""


def scalar_value(text: str, *, tag: str) -> str | int | float | bool | None:
    """The value of a scalar of one of SCALAR_TAGS. Raises ScalarRejected."""
    match tag.removeprefix(_PREFIX):
        case "null":
            return None
        case "bool":
            return text.lower() in _TRUE
        case "int":
            return _whole(text)
        case "float":
            return _decimal(text)
        case _:
            return text


def plain_value(text: str) -> str | int | float | bool:
    """The value a person means by `text` where there is no YAML around it, e.g. in a variable."""
    if _WHOLE.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    return {"true": True, "false": False}.get(text.lower(), text)


def _whole(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ScalarRejected(
            f"is {text[:40]!r}, a notation YAML reads as another number; write plain digits, or quote it"
        )
    return int(text)


def _decimal(text: str) -> float:
    value = float(text) if _DECIMAL.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise ScalarRejected(f"is {text[:40]!r}, must be a plain finite number such as 0.5")
    return value
