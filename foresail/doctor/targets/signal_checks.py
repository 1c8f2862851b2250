"""Each signal of the contract against one page: told, renamed, missing, unusable, and what that costs. Pure."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Final

from collector.model.contract import AdviceTopic, SignalRule, VersionRange
from collector.model.reading import MissingReason
from foresail.doctor.finding import Status
from foresail.doctor.targets.capabilities import DECIDED_ON, DISABLES
from foresail.doctor.targets.recognise import series_names
from foresail.doctor.targets.report import (
    FindingKind,
    SignalReport,
    SignalState,
    TargetFinding,
    note,
    problem,
    warning,
)
from foresail.doctor.targets.subject import PageSubject, missing_reasons
from foresail.doctor.targets.versions import range_text

_UNUSABLE: Final = {
    MissingReason.NOT_A_NUMBER: "a value is NaN, infinite, negative or unreadable",
    MissingReason.CONTRADICTED: "its series contradict each other",
    MissingReason.SERIES_ABSENT: "a part of its series is absent",
}
_ALIKE_RATIO: Final = 0.7
"""Of difflib; lower ones pair names that only share the prefix."""


def signal_reports(subject: PageSubject) -> tuple[SignalReport, ...]:
    """Every signal the contract has an answer for, those it can tell first."""
    rules = tuple(_report(subject, rule) for rule in subject.contract.rules.values())
    blind = tuple(
        SignalReport(
            signal=signal.value,
            state=SignalState.CANNOT_SEE,
            series=None,
            note=why,
            disables=DISABLES[signal],
        )
        for signal, why in subject.contract.cannot_see.items()
    )
    return (*rules, *blind)


def check_signals(
    subject: PageSubject, *, other_names: Iterable[str] = ()
) -> Iterator[TargetFinding]:
    """What is wrong with the signals. `other_names`: known series without a meaning to Foresail."""
    strange = _strange_names(subject, other_names=frozenset(other_names))
    for rule in subject.contract.rules.values():
        match _state(subject, rule):
            case SignalState.MISSING:
                yield _missing(subject, rule, strange=strange)
            case SignalState.UNUSABLE:
                yield _unusable(subject, rule)
            case SignalState.RENAMED:
                yield _renamed(subject, rule)
            case SignalState.TOLD | SignalState.ASLEEP:
                yield from _deprecated(subject, rule)
            case _:
                pass


def _report(subject: PageSubject, rule: SignalRule) -> SignalReport:
    state = _state(subject, rule)
    names = subject.told[rule.signal]
    is_told = state in (SignalState.TOLD, SignalState.ASLEEP)
    return SignalReport(
        signal=rule.signal.value,
        state=state,
        series=names[0].name if names else None,
        note=_note(subject, rule, state=state),
        disables=None if is_told else DISABLES[rule.signal],
    )


def _note(subject: PageSubject, rule: SignalRule, *, state: SignalState) -> str:
    first = rule.sources[0]
    notes = {
        SignalState.ASLEEP: "the engine sleeps: its gauges say nothing",
        SignalState.NOT_YET: f"appears with {rule.absent_until}",
        SignalState.RENAMED: f"{_expected(subject, rule)} in this version",
        SignalState.UNUSABLE: _why_unusable(subject, rule),
        SignalState.OTHER_VERSION: f"{first.names[0]}, {range_text(first.versions)}",
        SignalState.MISSING: f"{_expected(subject, rule)} is not on the page",
    }
    return notes.get(state, "")


def _state(subject: PageSubject, rule: SignalRule) -> SignalState:
    reasons = missing_reasons(subject.readings, rule.signal)
    names = subject.told[rule.signal]
    if not names:
        return _absence(subject, rule)
    if subject.version.is_outside(names[0].source.versions) or _is_second_best(subject, rule):
        return SignalState.RENAMED
    if reasons & set(_UNUSABLE):
        return SignalState.UNUSABLE
    return SignalState.ASLEEP if reasons else SignalState.TOLD


def _absence(subject: PageSubject, rule: SignalRule) -> SignalState:
    if rule.absent_until:
        return SignalState.NOT_YET
    if any(subject.version.is_in(source.versions) for source in rule.sources):
        return SignalState.MISSING
    return SignalState.OTHER_VERSION


def _is_second_best(subject: PageSubject, rule: SignalRule) -> bool:
    """Whether a better name, which this version surely has, is not on the page."""
    used = subject.told[rule.signal][0].source
    for source in rule.sources:
        if source is used:
            return False
        if any(source.versions.lower or ()) and subject.version.is_in(source.versions):
            return True
    return False


def _expected(subject: PageSubject, rule: SignalRule) -> str:
    """The name this version should have; the newest where none is certain."""
    found = [each for each in rule.sources if subject.version.is_in(each.versions)]
    return (found or list(rule.sources))[0].names[0]


def _missing(subject: PageSubject, rule: SignalRule, *, strange: frozenset[str]) -> TargetFinding:
    expected = _expected(subject, rule)
    alike = get_close_matches(expected, sorted(strange), n=1, cutoff=_ALIKE_RATIO)
    perhaps = f"; the page has {alike[0]}, which is not known" if alike else ""
    advice = subject.contract.advice_on(AdviceTopic.SERIES, version=subject.version.exact)
    return TargetFinding(
        kind=FindingKind.MISSING,
        status=Status.PROBLEM if rule.signal in DECIDED_ON else Status.WARNING,
        message=f"{rule.signal.value}: {subject.maker} should tell it as {expected}, "
        f"{_how_it_lacks(subject, rule, expected=expected)}{perhaps}",
        signal=rule.signal.value,
        next_step=advice
        or "compare the page with its documentation: it may be a fork, or cut by a proxy",
        disables=DISABLES[rule.signal],
    )


def _how_it_lacks(subject: PageSubject, rule: SignalRule, *, expected: str) -> str:
    if expected not in subject.samples.by_name:
        return "which is not on the page"
    source = next(each for each in rule.sources if expected in each.names)
    needed = ", ".join((*source.select, *source.value_labels)) or "any value"
    return f"which is on the page without what is needed of it: {needed}"


def _unusable(subject: PageSubject, rule: SignalRule) -> TargetFinding:
    return problem(
        FindingKind.UNUSABLE,
        f"{rule.signal.value}: {subject.told[rule.signal][0].name} is on the page, but "
        f"{_why_unusable(subject, rule)}",
        signal=rule.signal.value,
        next_step="look at these lines of the page; what joins or rewrites series there has to stop",
        disables=DISABLES[rule.signal],
    )


def _why_unusable(subject: PageSubject, rule: SignalRule) -> str:
    reasons = missing_reasons(subject.readings, rule.signal)
    return next((text for reason, text in _UNUSABLE.items() if reason in reasons), "")


def _renamed(subject: PageSubject, rule: SignalRule) -> TargetFinding:
    old = subject.told[rule.signal][0]
    return warning(
        FindingKind.RENAMED,
        f"{rule.signal.value} stands on the page as {old.name}, a name of other versions "
        f"({range_text(old.source.versions)}); {subject.maker} should write {_expected(subject, rule)}",
        signal=rule.signal.value,
        next_step="find out what renames the series, or whether the version is told rightly",
        disables=DISABLES[rule.signal],
    )


def _deprecated(subject: PageSubject, rule: SignalRule) -> Iterator[TargetFinding]:
    stays = next((each for each in rule.sources if each.versions.upper is None), None)
    for name in subject.told[rule.signal]:
        end = name.source.versions.upper
        if end is not None and stays is not None:
            yield note(
                FindingKind.DEPRECATED,
                f"{rule.signal.value}: {name.name} is gone {range_text(VersionRange(lower=end))}; "
                f"there it is {stays.names[0]}, which Foresail reads as well",
                signal=rule.signal.value,
            )


def _strange_names(subject: PageSubject, *, other_names: frozenset[str]) -> frozenset[str]:
    return frozenset(subject.samples.by_name) - series_names(subject.contract) - other_names
