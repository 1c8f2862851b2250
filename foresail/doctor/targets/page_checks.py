"""The page as a whole: lines, labels, series that stand twice, and the clock behind it. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from collector.model.contract import Contract, SeriesKind, SignalRule
from collector.model.replica import EngineKind
from collector.model.samples import Samples
from collector.ports import Reply
from foresail.doctor.targets.report import FindingKind, TargetFinding, problem, warning
from foresail.doctor.targets.subject import PageSubject, ToldName

MAX_CLOCK_DIFFERENCE_SECONDS: Final = 5.0
"""The Date header has whole seconds and the answer takes time; clocks that are kept agree far better."""
_START: Final = "process_start_time_seconds"
_SHOWN: Final = 3
_SHOWN_CHARACTERS: Final = 120
_HISTOGRAM_PARTS: Final = ("_bucket", "_sum", "_count")


def check_lines(subject: PageSubject) -> Iterator[TargetFinding]:
    """Lines that cannot be read, and series that stand twice."""
    twice = [series for series, count in Counter(_series_texts(subject.text)).items() if count > 1]
    if twice:
        yield warning(
            FindingKind.DUPLICATE,
            f"series stand twice on the page: {_some(twice)}",
            next_step="give each of its processes a page of its own; a Prometheus refuses such pages",
        )
    told = [each.message for each in subject.samples.problems if "told twice" not in each.message]
    for message in told[:_SHOWN]:
        yield problem(
            FindingKind.DAMAGED,
            message,
            next_step="look at the page with curl; something between the engine and here damages it",
        )


def _series_texts(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        series, separator, _ = line.strip(" \t\r").rpartition(" ")
        if separator and not series.startswith("#"):
            yield series


def check_labels(subject: PageSubject) -> Iterator[TargetFinding]:
    """Labels the rules need and the page lacks, and labels that split what belongs together."""
    lacking: dict[str, list[str]] = defaultdict(list)
    splitting: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for signal, names in subject.told.items():
        if names:
            rule, name = subject.contract.rules[signal], names[0]
            for label in _lacking(subject, rule, name):
                lacking[label].append(name.name)
            for label, values in _splitting(subject, rule, name):
                splitting[label, values].append(name.name)
    for label, series in lacking.items():
        yield warning(
            FindingKind.LABEL,
            f"label {label} is lacking from {_some(series)}",
            next_step="find out what drops it: a relabelling rule, or a proxy that joins pages",
        )
    for (label, values), series in splitting.items():
        yield problem(
            FindingKind.LABEL,
            f"label {label} has several values on one page ({_some(values)}), and nobody has said how "
            f"they belong together: {_some(series)}",
            next_step="point each target at one engine with one model, not at a page that joins several",
        )


def _some(words: "list[str] | tuple[str, ...]") -> str:
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return ", ".join(word[:_SHOWN_CHARACTERS] for word in words[:_SHOWN]) + more


def _lacking(subject: PageSubject, rule: SignalRule, name: ToldName) -> Iterator[str]:
    """Labels without which the lines of an engine cannot be told apart."""
    if subject.contract.engine not in set(EngineKind):
        return  # of an exporter some labels are there for some devices only
    needed = (*rule.keep, *name.source.select)
    every = list(_labels_of(subject.samples, rule=rule, name=name.name))
    yield from (label for label in needed if any(label not in labels for labels in every))


def _splitting(
    subject: PageSubject, rule: SignalRule, name: ToldName
) -> Iterator[tuple[str, tuple[str, ...]]]:
    known = {*rule.keep, *rule.aggregate, *name.source.select, rule.state_label, "le"}
    if rule.kind is SeriesKind.INFO:
        return  # its labels are the facts
    values: dict[str, set[str]] = defaultdict(set)
    for labels in _labels_of(subject.samples, rule=rule, name=name.name):
        for label, value in _ours(labels, subject.contract).items():
            values[label].add(value)
    for label, found in values.items():
        if len(found) > 1 and label not in known:
            yield label, tuple(sorted(found))


def _ours(labels: Mapping[str, str], contract: Contract) -> Mapping[str, str]:
    return {contract.label_names.get(label, label): value for label, value in labels.items()}


def _labels_of(samples: Samples, *, rule: SignalRule, name: str) -> Iterator[Mapping[str, str]]:
    parts = _HISTOGRAM_PARTS if rule.kind is SeriesKind.HISTOGRAM else ("",)
    for part in parts:
        for sample in samples.by_name.get(name + part, ()):
            yield dict(sample.labels)


def check_clock(
    reply: Reply | None, *, samples: Samples, now_timestamp_seconds: float
) -> Iterator[TargetFinding]:
    """Its clock against ours, from the Date of the answer and the start of the process."""
    server = reply.server_timestamp_seconds if reply else None
    ahead = None if server is None else server - now_timestamp_seconds
    if ahead is not None and abs(ahead) > MAX_CLOCK_DIFFERENCE_SECONDS:
        yield warning(
            FindingKind.CLOCK,
            f"its clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} ours "
            f"(at most {MAX_CLOCK_DIFFERENCE_SECONDS:g} s is normal)",
            next_step="set both clocks by NTP (chronyc tracking, timedatectl)",
            disables="its log lines and start times cannot be laid beside decisions",
        )
    starts = [each.value for each in samples.by_name.get(_START, ())]
    late = max(starts, default=0.0) - now_timestamp_seconds
    if late > MAX_CLOCK_DIFFERENCE_SECONDS:
        yield warning(
            FindingKind.CLOCK,
            f"{_START} lies {late:.0f} s in the future",
            next_step="set both clocks by NTP (chronyc tracking, timedatectl)",
            disables="a restart of the process cannot be dated",
        )
