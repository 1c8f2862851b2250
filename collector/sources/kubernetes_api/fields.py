"""Values out of JSON that may be anything: the value if it is what it should be, else None or nothing.

In: parts of an object as the API server sent it. Out: text, whole numbers, points in time, quantities.
Nothing here raises; an object of a stranger's definition must not end the watch of all others.
"""

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

Fields: TypeAlias = Mapping[str, Any]  # Any: JSON, which the functions below look into

NOTHING: Final[Fields] = {}
_MAX_MESSAGE_CHARACTERS: Final = 500
_MAX_WHOLE: Final = 2**63 - 1  # the API's int64
_QUANTITY: Final = re.compile(r"(\d{1,18})(|k|M|G|Ki|Mi|Gi)", re.ASCII)
_FACTORS: Final = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
}


def part(value: object, *path: str) -> Fields:
    """The object at the end of the path; an empty one where there is none."""
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else NOTHING


def parts(fields: Fields, key: str) -> Iterator[Fields]:
    """The objects of a list, without what else is in it."""
    value = fields.get(key)
    if isinstance(value, list):
        yield from (each for each in value if isinstance(each, Mapping))


def text(fields: Fields, key: str) -> str | None:
    """A text that is not empty."""
    value = fields.get(key)
    return value if isinstance(value, str) and value else None


def message(fields: Fields, key: str) -> str | None:
    """A text for people as one line of bounded length."""
    value = text(fields, key)
    return None if value is None else " ".join(value.split())[:_MAX_MESSAGE_CHARACTERS] or None


def whole(fields: Fields, key: str) -> int | None:
    """A whole number of at least 0."""
    value = fields.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value <= _MAX_WHOLE else None


def flag(fields: Fields, key: str) -> bool | None:
    """True or false as such, not as text."""
    value = fields.get(key)
    return value if isinstance(value, bool) else None


def timestamp_seconds(fields: Fields, key: str) -> float | None:
    """A point in time as epoch seconds. Source: RFC 3339, as metav1.Time and MicroTime write it."""
    value = text(fields, key)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) else None


def texts(fields: Fields, key: str) -> dict[str, str]:
    """The pairs of an object that are text on both sides, such as labels."""
    pairs = part(fields, key).items()
    return {name: value for name, value in pairs if isinstance(value, str)}


def quantity(value: object) -> int | None:
    """A whole quantity, such as a count of devices; None for fractions and nonsense.

    Source: k8s.io/apimachinery resource.Quantity; extended resources are whole by definition.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value <= _MAX_WHOLE else None
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    return int(match[1]) * _FACTORS[match[2]] if match else None


def devices(fields: Fields, key: str) -> dict[str, int]:
    """What device plugins offer: {resource with a domain of its own: count}."""
    found = {}
    for name, value in part(fields, key).items():
        count = quantity(value)
        if _is_device(name) and count is not None:
            found[name] = count
    return found


def _is_device(name: str) -> bool:
    """Whether a resource is one of a vendor: cpu, memory and hugepages-2Mi have no domain."""
    domain, slash, _ = name.partition("/")
    return bool(slash) and not (domain == "kubernetes.io" or domain.endswith(".kubernetes.io"))
