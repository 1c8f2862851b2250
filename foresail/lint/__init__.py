"""`foresail lint`: PromQL in dashboards, rules and scaler specs, held against the metric contract.

Files → `documents` (queries with their lines) → `promql` (expressions) → `rules` (remarks) → `judge`
(findings, less those a comment accepts). Everything but `files` and `load_facts` is pure; no
Prometheus is asked.
"""

from foresail.lint.finding import Finding, Report, RuleId, Severity
from foresail.lint.load_facts import load_name_facts, version_in_use
from foresail.lint.run import lint_paths

__all__ = [
    "Finding",
    "Report",
    "RuleId",
    "Severity",
    "lint_paths",
    "load_name_facts",
    "version_in_use",
]
