"""One thing a check has to say."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"  # works, but perhaps not as meant
    PROBLEM = "problem"  # would not work


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was looked at, how it is, and what to do about it."""

    check: str  # short name, e.g. "memory"
    status: Status
    message: str  # one line: what, which value, what limit
    next_step: str | None = None  # None: nothing to do


def ok(check: str, message: str) -> Finding:
    """Nothing to do."""
    return Finding(check=check, status=Status.OK, message=message)


def warning(check: str, message: str, *, next_step: str) -> Finding:
    """Works, but perhaps not as meant."""
    return Finding(check=check, status=Status.WARNING, message=message, next_step=next_step)


def problem(check: str, message: str, *, next_step: str) -> Finding:
    """Would not work."""
    return Finding(check=check, status=Status.PROBLEM, message=message, next_step=next_step)
