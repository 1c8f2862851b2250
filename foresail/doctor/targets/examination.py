"""From visits to reports: every check on every target, in a fixed order. Asks nothing but a Prometheus."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from collector.engine_view import page_version
from collector.model.contract import AdviceTopic, Contract
from collector.ports import Exposition
from foresail.doctor.targets.build import REFUSALS
from foresail.doctor.targets.objective_checks import Thresholds, check_objectives
from foresail.doctor.targets.page_checks import check_clock, check_labels, check_lines
from foresail.doctor.targets.prometheus import TARGETS_PATH, check_prometheus
from foresail.doctor.targets.recognise import PROMETHEUS
from foresail.doctor.targets.report import (
    FindingKind,
    SignalReport,
    SignalState,
    TargetFinding,
    TargetReport,
    note,
    problem,
    warning,
)
from foresail.doctor.targets.signal_checks import check_signals, signal_reports
from foresail.doctor.targets.subject import PageSubject, page_subject
from foresail.doctor.targets.visit import Asked, Visit, Visitor

_BLIND: Final = "nothing of it is known: it is not scaled in, and what it sustains is not learned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One target and what it is held against."""

    asked: Asked
    thresholds: Thresholds = field(default_factory=dict)
    has_gateway: bool = False  # whether objectives are judged elsewhere, exactly
    models: tuple[str, ...] = ()  # names that requests to it carry; empty: not known


async def examine_targets(
    questions: Sequence[Question],
    *,
    visitor: Visitor,
    our_urls: Collection[str] = (),
) -> tuple[TargetReport, ...]:
    """One report per target, in their order. `our_urls`: pages Foresail reads, for a Prometheus."""
    visits = await visitor.visit([each.asked for each in questions])
    reports = []
    for question, visit in zip(questions, visits, strict=True):
        answer = (
            await visitor.read_json(visit.asked.address, TARGETS_PATH)
            if visit.is_prometheus
            else None
        )
        reports.append(
            _prometheus_report(visit, answer=answer, our_urls=our_urls)
            if visit.is_prometheus
            else _report(question, visit)
        )
    return tuple(reports)


def _report(question: Question, visit: Visit) -> TargetReport:
    subject, version_problems = _subject(visit)
    findings = [
        *_access(visit),
        *_identity(visit, version_problems),
        *(_page_findings(question, subject) if subject else ()),
    ]
    exposition = visit.exposition
    if exposition is not None and visit.samples is not None:
        findings += check_clock(
            exposition.reply,
            samples=visit.samples,
            now_timestamp_seconds=exposition.observed_timestamp_seconds,
        )
    return _made_report(
        visit, engine=_engine(visit), signals=_signals(visit, subject), findings=findings
    )


def _prometheus_report(
    visit: Visit, *, answer: str | None, our_urls: Collection[str]
) -> TargetReport:
    findings = list(check_prometheus(answer, our_urls=our_urls))
    return _made_report(visit, engine=None, signals=(), findings=findings)


def _made_report(
    visit: Visit,
    *,
    engine: Contract | None,
    signals: tuple[SignalReport, ...],
    findings: Sequence[TargetFinding],
) -> TargetReport:
    reply = visit.reply
    name = PROMETHEUS if visit.is_prometheus else engine.engine if engine else None
    title = "Prometheus" if visit.is_prometheus else engine.title if engine else ""
    return TargetReport(
        name=visit.asked.address.name,
        url=visit.url,
        engine=name,
        title=title,
        version=visit.version,
        http_status=reply.status if reply else None,
        elapsed_seconds=reply.elapsed_seconds if reply else None,
        signals=signals,
        findings=tuple(findings),
    )


def _engine(visit: Visit) -> Contract | None:
    return visit.found or visit.asked.declared


def _subject(visit: Visit) -> tuple[PageSubject | None, list[str]]:
    """The page as its maker's, and why its version is not taken."""
    problems: list[str] = []
    exposition = visit.exposition
    if visit.found is None or visit.samples is None or exposition is None:
        return None, problems
    subject = page_subject(
        exposition.text or "",
        samples=visit.samples,
        contract=visit.found,
        version=page_version(visit.version, contract=visit.found, report=problems.append),
        version_text=visit.version,
    )
    return subject, problems


def _signals(visit: Visit, subject: PageSubject | None) -> tuple[SignalReport, ...]:
    if subject is not None:
        return signal_reports(subject)
    engine = _engine(visit)
    if engine is None or engine.rules:
        return ()
    return tuple(
        SignalReport(signal=signal.value, state=SignalState.CANNOT_SEE, series=None, note=why)
        for signal, why in engine.cannot_see.items()
    )


def _page_findings(question: Question, subject: PageSubject) -> Iterator[TargetFinding]:
    yield from check_signals(subject)
    yield from check_labels(subject)
    yield from check_lines(subject)
    yield from check_objectives(
        subject, thresholds=question.thresholds, has_gateway=question.has_gateway
    )


def _identity(visit: Visit, version_problems: Sequence[str]) -> Iterator[TargetFinding]:
    declared, found = visit.asked.declared, visit.found
    if declared is not None and found is not None and declared.engine != found.engine:
        yield problem(
            FindingKind.OTHER_ENGINE,
            f"declared as {declared.title}, but the page is that of {found.title}",
            next_step="correct engine (in the catalogue, or --engine), or the address",
            disables=_BLIND,
        )
    for message in version_problems:
        yield warning(
            FindingKind.VERSION,
            message,
            next_step="compare the signals below with what you see; a newer Foresail may know it",
        )
    if visit.samples is not None and found is None:
        yield problem(
            FindingKind.NOT_RECOGNISED,
            f"a page without any series that Foresail knows; names on it: {len(visit.samples.by_name)}",
            next_step="give the address of an engine, exporter or gateway of docs/reference/contract.md",
            disables=_BLIND,
        )


def _access(visit: Visit) -> Iterator[TargetFinding]:
    exposition, engine = visit.exposition, _engine(visit)
    if visit.why_unread is not None:
        yield _left_alone(visit.why_unread)
    elif exposition is None:
        yield from _without_page(visit)
    elif exposition.text is None:
        has_version = visit.found is not None and visit.version is not None
        yield (
            _no_page_needed(engine)
            if has_version and engine
            else _unread(exposition, engine, visit)
        )


def _left_alone(why: str) -> TargetFinding:
    """An engine whose page nobody may read unasked, the controller no more than the doctor."""
    return problem(
        FindingKind.LEFT_ALONE,
        why,
        next_step="where it is not to sleep when idle, look at it with foresail doctor URL --read-anyway",
        disables=_BLIND,
    )


def _no_page_needed(engine: Contract) -> TargetFinding:
    """An engine that answers and has no page to read."""
    return note(
        FindingKind.NO_PAGE, f"{engine.title} has no page of metrics; the gateway measures for it"
    )


def _without_page(visit: Visit) -> Iterator[TargetFinding]:
    """The declared engine has no page that may be read, so its version is all there is to ask for."""
    engine = visit.asked.declared
    if engine is not None and visit.version is not None:
        yield _no_page_needed(engine)
    else:
        yield problem(
            FindingKind.UNREACHABLE,
            f"{visit.url} does not tell the version of {engine.title if engine else 'an engine'}",
            next_step="start it, or correct the address",
            disables=_BLIND,
        )


def _unread(exposition: Exposition, engine: Contract | None, visit: Visit) -> TargetFinding:
    said = exposition.error or "no answer"
    reply = exposition.reply
    if reply is None or reply.status == 200:
        return problem(
            FindingKind.UNREACHABLE,
            said,
            next_step="start it, correct the address, or open the way from here",
            disables=_BLIND,
        )
    topic = AdviceTopic.PERMISSION if reply.status in REFUSALS else AdviceTopic.METRICS_OFF
    advice = engine.advice_on(topic, version=None) if engine else None
    if topic is AdviceTopic.PERMISSION:
        return problem(
            FindingKind.PERMISSION,
            f"{said}: it wants a key, and Foresail reads pages without one",
            next_step=advice or "let the page be read from here without a key",
            disables=_BLIND,
        )
    return problem(
        FindingKind.NO_PAGE,
        said,
        next_step=advice
        or f"switch its metrics on, or give the address of its page ({visit.url} is none)",
        disables=_BLIND,
    )
