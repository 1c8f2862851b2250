"""`# foresail-lint: ignore RULE REASON` in YAML: which findings a person has accepted. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from foresail.lint.finding import RuleId

_COMMENT = re.compile(r"#\s*foresail-lint:\s*ignore\b[ \t]*(?P<rule>[\w-]*)[ \t]*(?P<reason>.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignore:
    """One comment."""

    line: int
    rule: str  # as written; may be none of ours
    reason: str
    applies_to: int  # the line it stands on, or the next one that is no comment

    def problem(self) -> str | None:
        """Why it has no effect; None when it has."""
        if self.rule not in {rule.value for rule in RuleId}:
            return f"no rule {self.rule!r}; write `# foresail-lint: ignore RULE REASON`"
        return None if self.reason.strip() else "say why, after the name of the rule"


def ignores(text: str) -> Iterator[Ignore]:
    """All such comments of a file."""
    if "foresail-lint" not in text:
        return
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        found = _COMMENT.search(line)
        if found is None:
            continue
        target = number
        if line.lstrip().startswith("#"):
            while target <= len(lines) and lines[target - 1].lstrip().startswith("#"):
                target += 1
        yield Ignore(line=number, rule=found["rule"], reason=found["reason"], applies_to=target)
