"""The expressions of one run to findings: parses them and applies the rules. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from foresail.lint.comments import ignores
from foresail.lint.context import ROUTER, Context
from foresail.lint.documents import Problem
from foresail.lint.expression import Node, Selector, selectors
from foresail.lint.finding import Finding, Remark, RuleId, Severity, error, warning
from foresail.lint.name_facts import MARKER, NameFacts
from foresail.lint.promql import NotPromql, parse
from foresail.lint.query import Query, QueryKind
from foresail.lint.rules import EXISTENCE, RULES
from foresail.lint.rules.names import names
from foresail.lint.templates import has_variables, readings


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One file that was read."""

    file: str
    text: str
    contents: tuple[Query | Problem, ...]

    def queries(self) -> Iterator[Query]:
        """Its expressions."""
        return (each for each in self.contents if isinstance(each, Query))


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Findings of one file, and how many a comment has accepted."""

    findings: tuple[Finding, ...]
    ignored_count: int


def context_of(
    documents: Sequence[Document], *, facts: NameFacts, versions: Mapping[str, tuple[int, ...]]
) -> Context:
    """What the files tell about each other: names they record, and whether a router is scraped."""
    queries = [query for document in documents for query in document.queries()]
    used = {
        selector.name
        for query in queries
        for node in _readable(query)
        for selector in selectors(node)
        if selector.name is not None
    }
    return Context(
        facts=facts,
        versions=versions,
        recorded=frozenset(query.record for query in queries if query.record),
        has_router=ROUTER in versions or any(_is_of_router(name, facts) for name in used),
    )


def _is_of_router(name: str, facts: NameFacts) -> bool:
    owners = {fact.engine for fact in facts.of(name)}
    return owners == {ROUTER}


def judge(document: Document, context: Context) -> Judgement:
    """Everything wrong in one file, in the order of its lines."""
    accepted = tuple(ignores(document.text))
    valid = [each for each in accepted if each.problem() is None]
    findings: list[Finding] = []
    ignored = 0
    for each in document.contents:
        if isinstance(each, Problem):
            findings.append(_broken(document.file, each))
            continue
        for remark in _kept_once(_remarks(each, context)):
            if any(
                ignore.rule == remark.rule.value
                and each.first_line <= ignore.applies_to <= each.last_line
                for ignore in valid
            ):
                ignored += 1
            else:
                findings.append(_finding(document.file, each, remark))
    for ignore in accepted:
        problem = ignore.problem()
        if problem is not None:
            findings.append(_bad_ignore(document.file, ignore.line, problem))
    findings.sort(key=lambda finding: finding.line)
    return Judgement(findings=tuple(findings), ignored_count=ignored)


def _remarks(query: Query, context: Context) -> Iterator[Remark]:
    if query.lacks_for:
        yield warning(
            RuleId.ALERT_WITHOUT_FOR,
            "fires at the first sample; say with `for:` how long it must hold",
            subject="for",
        )
    if query.kind is QueryKind.NAME:
        yield from _name_remarks(query.text, context)
        return
    node = _parsed(query.text)
    if isinstance(node, Remark):
        yield node
        return
    for rule in EXISTENCE if query.kind is QueryKind.SERIES else RULES:
        yield from rule(node, context)


def _name_remarks(name: str, context: Context) -> Iterator[Remark]:
    """An adapter rewrites names, so only what is gone under either spelling is told."""
    space, _, rest = name.partition("_")
    for each in (f"{space}:{rest}", name):
        if context.facts.of(each) or each in context.facts.gone:
            yield from names(Selector(name=each, matchers=()), context)
            return


def _parsed(text: str) -> Node | Remark:
    reasons: list[str] = []
    for reading in readings(text):
        try:
            return parse(reading)
        except NotPromql as broken:
            reasons.append(str(broken).replace(MARKER, "$variable"))
    if has_variables(text):
        told = f"cannot be read with any value of its variables: {reasons[0]}"
        return warning(RuleId.INVALID_PROMQL, told, subject="expression")
    return error(RuleId.INVALID_PROMQL, f"not PromQL: {reasons[0]}", subject="expression")


def _readable(query: Query) -> Iterator[Node]:
    if query.kind is not QueryKind.NAME:
        node = _parsed(query.text)
        if not isinstance(node, Remark):
            yield node


def _kept_once(remarks: Iterator[Remark]) -> Iterator[Remark]:
    seen: set[tuple[RuleId, str]] = set()
    for remark in remarks:
        if (remark.rule, remark.subject) not in seen:
            seen.add((remark.rule, remark.subject))
            yield remark


def _finding(file: str, query: Query, remark: Remark) -> Finding:
    return Finding(
        file=file,
        line=query.line,
        where=query.where,
        rule=remark.rule,
        severity=remark.severity,
        message=f"{remark.message} ({query.where})",
        expression=query.text,
    )


def _broken(file: str, problem: Problem) -> Finding:
    return Finding(
        file=file,
        line=problem.line,
        where="",
        rule=RuleId.UNREADABLE_FILE,
        severity=Severity.ERROR,
        message=problem.message,
        expression="",
    )


def _bad_ignore(file: str, line: int, problem: str) -> Finding:
    return Finding(
        file=file,
        line=line,
        where="",
        rule=RuleId.BAD_IGNORE,
        severity=Severity.WARNING,
        message=problem,
        expression="",
    )
