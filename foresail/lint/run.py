"""One run of the linter: paths in, report out."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from foresail.lint.files import read_documents
from foresail.lint.finding import Report
from foresail.lint.judge import context_of, judge
from foresail.lint.name_facts import NameFacts


def lint_paths(
    paths: Sequence[Path], *, facts: NameFacts, versions: Mapping[str, tuple[int, ...]]
) -> Report:
    """Findings of all files. `versions` is {engine: version in use}; engines not in it: the newest."""
    reading = read_documents(paths)
    context = context_of(reading.documents, facts=facts, versions=versions)
    judgements = [judge(document, context) for document in reading.documents]
    return Report(
        findings=tuple(finding for each in judgements for finding in each.findings),
        file_count=len(reading.documents),
        expression_count=sum(sum(1 for _ in document.queries()) for document in reading.documents),
        skipped_count=reading.skipped_count,
        ignored_count=sum(each.ignored_count for each in judgements),
    )
