"""A value with its age and source, or the reason why there is none: doubt is data.

Adapters and `normalise` make readings; every stage after them must say what it does with a `Stale`
or a `Missing` one. Missing is never zero.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Literal, TypeAlias, TypeVar, Union

T = TypeVar("T")


class MissingReason(StrEnum):
    """Why there is no value; the same words appear in logs, labels and pages."""

    NOT_READ_YET = "not_read_yet"
    """No attempt has been made since start."""
    SOURCE_UNREACHABLE = "source_unreachable"
    """The source did not answer within its timeout, or refused."""
    SERIES_ABSENT = "series_absent"
    """The source answered without this series."""
    NOT_A_NUMBER = "not_a_number"
    """The source answered NaN or an infinity."""
    UNREADABLE = "unreadable"
    """The source answered something of another type or shape than this."""
    SWITCHED_OFF = "switched_off"
    """The source could tell it, and seems to be started without the flag for it."""
    CANNOT_SEE = "cannot_see"
    """This source can never tell this signal (the contract's `cannot_see` list)."""
    ASLEEP = "asleep"
    """The engine sleeps; its gauges do not mean what they say."""
    CONTRADICTED = "contradicted"
    """Two series claim the same signal of the same thing with different values."""
    NO_PERMISSION = "no_permission"
    """The source answers, but not to us: a right is lacking; a problem beside it names which."""
    NOT_SUPPORTED = "not_supported"
    """The source works and does not have this: a definition, an option or a device is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fresh(Generic[T]):
    """A value young enough to decide on."""

    value: T
    observed_timestamp_seconds: float
    source: str  # who said so, e.g. "engine:llama_cpp", "gateway", "proc"
    kind: Literal["fresh"] = "fresh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stale(Generic[T]):
    """The last known value, too old to act on in the harmful direction."""

    value: T
    observed_timestamp_seconds: float
    source: str
    kind: Literal["stale"] = "stale"


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """No value, and why."""

    reason: MissingReason
    source: str
    kind: Literal["missing"] = "missing"


Reading: TypeAlias = Union[Fresh[T], Stale[T], Missing]  # noqa: UP007  generic alias on 3.11
Number: TypeAlias = Reading[float]


def fresh_value(reading: Reading[T]) -> T | None:
    """The value if it may be decided on, else None (stale and missing alike)."""
    return reading.value if isinstance(reading, Fresh) else None


def known_value(reading: Reading[T]) -> T | None:
    """The value however old, else None; for display, never for scaling down."""
    return None if isinstance(reading, Missing) else reading.value


def aged(reading: Reading[T], *, now_timestamp_seconds: float, limit_seconds: float) -> Reading[T]:
    """The same reading, as `Stale` once it is more than `limit_seconds` from now.

    A reading from further in the future than that was stamped before the clock was set back: its
    age is unknown, and unknown is not young.
    """
    if not isinstance(reading, Fresh):
        return reading
    if abs(now_timestamp_seconds - reading.observed_timestamp_seconds) <= limit_seconds:
        return reading
    return Stale(
        value=reading.value,
        observed_timestamp_seconds=reading.observed_timestamp_seconds,
        source=reading.source,
    )
