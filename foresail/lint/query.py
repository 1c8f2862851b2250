"""One expression and where it stands. Values only."""

from dataclasses import dataclass
from enum import StrEnum


class QueryKind(StrEnum):
    """What an expression is for, which decides the rules it must keep."""

    PANEL = "panel"
    ALERT = "alert"
    RECORD = "record"
    SCALER = "scaler"
    SERIES = "series"  # only lists series: a dashboard's variable, an adapter's discovery
    NAME = "name"  # no expression but the name of a metric that an adapter serves


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """As written in the file."""

    text: str
    kind: QueryKind
    where: str  # for people: panel "Latency", alert SlowAnswers
    line: int  # where the expression begins
    first_line: int  # of all that belongs to it, for comments that ignore findings
    last_line: int
    lacks_for: bool = False  # an alert that fires at the first sample
    record: str = ""  # the name a recording rule makes


MAX_QUERIES = 20_000
"""Of one file; more is no dashboard."""
