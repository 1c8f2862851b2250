"""Quantities as people write them: 24GiB, 5m, 99%. Each becomes a number in base units at this edge.

In: a value of a YAML file. Out: bytes, seconds or a ratio. A spelling that could be meant two ways is
refused with both ways written out. The annotated types at the end carry the same rules into the
JSON Schema. Must not guess.
"""

import re
from decimal import Decimal
from typing import Annotated, Final

from pydantic import BeforeValidator, WithJsonSchema

# Decimal, so that 99.9% is 0.999 and 700ms is 0.7, not the nearest sum of binary fractions.
_BYTE_UNITS: Final = {
    "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip
_SECOND_UNITS: Final = {
    "ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400),
}  # fmt: skip
_NUMBER: Final = r"[0-9]{1,15}(?:\.[0-9]{1,9})?"
_BYTES: Final = re.compile(rf"({_NUMBER}) ?([A-Za-z]+)")
_DURATION: Final = re.compile(rf"(?:{_NUMBER}(?:ms|s|m|h|d))+")
_DURATION_PART: Final = re.compile(rf"({_NUMBER})(ms|s|m|h|d)")
_PERCENT: Final = re.compile(rf"({_NUMBER}) ?%")

MIN_MEMORY_BYTES: Final = 2**20
MAX_MEMORY_BYTES: Final = 2**50
MAX_DURATION_SECONDS: Final = 400 * 86400.0
"""As long as history is kept."""


def bytes_of(value: object) -> int:
    """Bytes of `24GiB`, `24GB` or a whole number of bytes. Raises ValueError saying what is allowed."""
    amount = _bytes_amount(value)
    if not MIN_MEMORY_BYTES <= amount <= MAX_MEMORY_BYTES:
        raise ValueError("must be from 1MiB to 1024TiB; a number without a unit is bytes")
    return round(amount)


def reserve_bytes_of(value: object) -> int:
    """Like `bytes_of`, and 0 for nothing kept free. Raises ValueError."""
    return 0 if value == 0 and not isinstance(value, bool) else bytes_of(value)


def _bytes_amount(value: object) -> int | Decimal:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _BYTES.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError("must be an amount of memory such as 24GiB, 24GB or whole bytes")
    number, unit = match.groups()
    if unit not in _BYTE_UNITS:
        raise ValueError(
            f"must be an amount of memory such as {number}GiB (2^30) or {number}GB (10^9)"
        )
    return Decimal(number) * _BYTE_UNITS[unit]


def seconds_of(value: object) -> float:
    """Seconds of `5m`, `1h30m`, `250ms` or a number of seconds. Raises ValueError."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        seconds = float(value)
    elif isinstance(value, str) and _DURATION.fullmatch(value):
        parts = _DURATION_PART.findall(value)
        seconds = float(sum(Decimal(number) * _SECOND_UNITS[unit] for number, unit in parts))
    else:
        raise ValueError("must be a duration such as 250ms, 90s, 5m, 1h30m, 28d or seconds")
    if not 0 < seconds <= MAX_DURATION_SECONDS:
        raise ValueError("must be a duration above 0 and at most 400d")
    return seconds


def share_of(value: object) -> float:
    """A ratio strictly between 0 and 1, of `99%` or `0.99`. Raises ValueError."""
    ratio = _ratio_amount(value)
    if not 0 < ratio < 1:
        raise ValueError("must be a share above 0% and under 100%, such as 99% or 0.99")
    return ratio


def ratio_of(value: object) -> float:
    """A ratio above 0 and at most 1, of `80%` or `0.8`. Raises ValueError."""
    ratio = _ratio_amount(value)
    if not 0 < ratio <= 1:
        raise ValueError("must be a ratio above 0% and at most 100%, such as 80% or 0.8")
    return ratio


def _ratio_amount(value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError("must be a percentage such as 99% or a ratio such as 0.99")
    return float(Decimal(match.group(1)) / 100)


def _schema(
    *, number: dict[str, object], pattern: str, examples: list[str | int]
) -> WithJsonSchema:
    return WithJsonSchema(
        {"anyOf": [number, {"type": "string", "pattern": pattern}], "examples": examples}
    )


_BYTES_PATTERN: Final = rf"^{_NUMBER} ?({'|'.join(_BYTE_UNITS)})$"

MemoryAmount = Annotated[
    int,
    BeforeValidator(bytes_of),
    _schema(
        number={"type": "integer", "minimum": MIN_MEMORY_BYTES, "maximum": MAX_MEMORY_BYTES},
        pattern=_BYTES_PATTERN,
        examples=["24GiB", "512MiB", "24GB"],
    ),
]
MemoryReserve = Annotated[
    int,
    BeforeValidator(reserve_bytes_of),
    _schema(
        number={"type": "integer", "minimum": 0, "maximum": MAX_MEMORY_BYTES},
        pattern=_BYTES_PATTERN,
        examples=["4GiB", 0],
    ),
]
Duration = Annotated[
    float,
    BeforeValidator(seconds_of),
    _schema(
        number={"type": "number", "exclusiveMinimum": 0, "maximum": MAX_DURATION_SECONDS},
        pattern=rf"^({_NUMBER}(ms|s|m|h|d))+$",
        examples=["250ms", "90s", "5m", "28d"],
    ),
]
Share = Annotated[
    float,
    BeforeValidator(share_of),
    _schema(
        number={"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        pattern=rf"^{_NUMBER} ?%$",
        examples=["99%", "99.9%"],
    ),
]
Ratio = Annotated[
    float,
    BeforeValidator(ratio_of),
    _schema(
        number={"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        pattern=rf"^{_NUMBER} ?%$",
        examples=["80%"],
    ),
]
