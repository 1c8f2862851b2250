"""What the linter has to say: one `Finding` per defect, one `Report` per run. Values only."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """Errors give nothing or a wrong number; warnings are right on good days only."""

    ERROR = "error"
    WARNING = "warning"


class RuleId(StrEnum):
    """Every rule; the words users write after `foresail-lint: ignore`."""

    UNREADABLE_FILE = "unreadable-file"
    INVALID_PROMQL = "invalid-promql"
    UNKNOWN_NAME = "unknown-name"
    REMOVED_NAME = "removed-name"
    NEWER_NAME = "newer-name"
    DEPRECATED_NAME = "deprecated-name"
    MISSPELT_COLON = "misspelt-colon"
    MISSING_TOTAL = "missing-total"
    RENAMED_LABEL = "renamed-label"
    WRONG_LABEL = "wrong-label"
    RATE_ON_GAUGE = "rate-on-gauge"
    COUNTER_WITHOUT_RATE = "counter-without-rate"
    QUANTILE_WITHOUT_LE = "quantile-without-le"
    QUANTILE_WITHOUT_BUCKETS = "quantile-without-buckets"
    QUANTILE_OF_AVERAGE = "quantile-of-average"
    AGGREGATED_QUANTILE = "aggregated-quantile"
    SUM_OF_RATIOS = "sum-of-ratios"
    UNGUARDED_DIVISION = "unguarded-division"
    INTEGER_LE = "integer-le"
    LE_NOT_AN_EDGE = "le-not-an-edge"
    THRESHOLD_INSIDE_BUCKET = "threshold-inside-bucket"
    DOUBLE_COUNT = "double-count"
    ALERT_WITHOUT_FOR = "alert-without-for"
    BAD_IGNORE = "bad-ignore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """What a rule found in one expression; the place is added by the caller."""

    rule: RuleId
    severity: Severity
    message: str  # what, where it comes from, the new name or the next step
    subject: str  # the series or part it is about; one remark per rule and subject is kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One defect in one place."""

    file: str
    line: int  # 1-based; of the expression's first line
    where: str  # panel, alert or trigger; empty for a whole file
    rule: RuleId
    severity: Severity
    message: str
    expression: str  # as written; empty for a whole file


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All of one run, in the order of files and lines."""

    findings: tuple[Finding, ...]
    file_count: int  # files that were read
    expression_count: int
    skipped_count: int  # files in folders that are no dashboard, rule file or manifest
    ignored_count: int  # findings that a comment with a reason has accepted

    @property
    def error_count(self) -> int:
        """Findings of severity error."""
        return sum(each.severity is Severity.ERROR for each in self.findings)


def error(rule: RuleId, message: str, *, subject: str) -> Remark:
    """A remark about what gives nothing or a wrong number."""
    return Remark(rule=rule, severity=Severity.ERROR, message=message, subject=subject)


def warning(rule: RuleId, message: str, *, subject: str) -> Remark:
    """A remark about what is right on good days only."""
    return Remark(rule=rule, severity=Severity.WARNING, message=message, subject=subject)
