"""Text of a Prometheus page in, `Samples` out. First step of `normalise`; raises nothing.

One unreadable line costs its own series, never the page: the sums of that series would lack a part,
so it is marked damaged and its readings go missing. Own code because the library's parser gives up
a page at its first bad line, renames counters that lack `_total`, and takes several times as long.
"""

import math
import re
from collections.abc import Iterable

from collector.model.samples import Labels, Sample, Samples
from collector.model.snapshot import Problem

MAX_LINES = 250_000
"""Of one page; vLLM's has under 1,000. More would hold up all other targets for seconds."""
_SHOWN_BAD_LINES = 5
_SHOWN_CHARACTERS = 60

# Possessive repeats: the time is linear in the line, whatever garbage it holds.
_SERIES_TEXT = (
    r"([a-zA-Z_:][a-zA-Z0-9_:]*+)"
    r'[ \t]*+(?:\{((?:[^"{}]++|"(?:[^"\\]++|\\.)*+")*+)\}[ \t]*+)?'
)
_NUMBER_TEXT = r"[0-9eE.+\-INFinfaA]"
_LINE = re.compile(
    rf"{_SERIES_TEXT}(?<=[ \t}}])({_NUMBER_TEXT}++)(?:[ \t]++-?[0-9.]++)?[ \t]*+(?:#.*)?"
)
_SERIES = re.compile(_SERIES_TEXT)
_NUMBERS = re.compile(f"{_NUMBER_TEXT}*+")
_LABEL = re.compile(
    r'[ \t]*+([a-zA-Z_][a-zA-Z0-9_]*+)[ \t]*+=[ \t]*+"((?:[^"\\]++|\\.)*+)"[ \t]*+(?:,|$)'
)
_NAME_START = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*+")
_FAMILY_SUFFIXES = ("", "_bucket", "_sum", "_total")
_FAMILY_SUFFIX = re.compile(r"(?:_bucket|_sum|_count|_total)$")
_ESCAPED = re.compile(r"\\(.)")


class _Page:
    """What has been read so far; lives for one call."""

    def __init__(self) -> None:
        self.values: dict[str, dict[Labels, float]] = {}
        self.damaged: set[str] = set()
        self.contradicted: set[tuple[str, Labels]] = set()
        self.messages: list[str] = []
        self.bad_line_count = 0
        self.last_name = ""
        self._labels: dict[str, Labels | None] = {"": ()}

    def labels(self, text: str) -> Labels | None:
        """The pairs in `text`; many lines of a page share one text."""
        if text not in self._labels:
            self._labels[text] = _parsed_labels(text)
        return self._labels[text]

    def add(self, *, name: str, labels: Labels, value: float) -> None:
        self.last_name = name
        series = self.values.setdefault(name, {})
        if labels not in series:
            series[labels] = value
        elif not _is_same(series[labels], value) and (name, labels) not in self.contradicted:
            self.contradicted.add((name, labels))
            self.messages.append(f"{name} is told twice with different values")

    def reject(self, *, line: str, number: int) -> None:
        self.bad_line_count += 1
        name = _NAME_START.match(line)
        if name is not None:
            self.damaged.add(name.group())
        if self.bad_line_count <= _SHOWN_BAD_LINES:
            shown = ascii(line[:_SHOWN_CHARACTERS])
            self.messages.append(f"line {number} cannot be read: {shown}")

    def close(self, fragment: str) -> None:
        """Ends the page; `fragment` is what came after the last line feed."""
        if fragment.strip() and not fragment.startswith("#"):
            name = _NAME_START.match(fragment)
            if name is not None:
                self.damaged.add(name.group())
            # Cut within a name, it can only belong to the family that was being told.
            family = _FAMILY_SUFFIX.sub("", self.last_name)
            self.damaged.update(
                part
                for suffix in _FAMILY_SUFFIXES
                if (part := family + suffix).startswith(fragment)
            )
        if fragment.strip():
            self.messages.append("the page ends within a line; it was cut off")
        if self.bad_line_count > _SHOWN_BAD_LINES:
            self.messages.append(f"{self.bad_line_count} lines cannot be read in all")


def parse_exposition(
    text: str, *, source: str, dropped_suffixes: tuple[str, ...] = ("_created",)
) -> Samples:
    """All samples of the page but those whose name ends in a dropped suffix. Never raises.

    A last line without line feed is not used: "12" may be the beginning of "1234". Of a page with
    more than `MAX_LINES` nothing is used.
    """
    page = _Page()
    if (count := text.count("\n")) > MAX_LINES:
        page.messages.append(f"the page has {count} lines; more than {MAX_LINES} are not read")
        text = ""
    *lines, fragment = text.split("\n")
    for number, line in enumerate(lines, start=1):
        stripped = line.strip(" \t\r")
        if stripped and not stripped.startswith("#"):
            _read_line(page, line=stripped, number=number, dropped_suffixes=dropped_suffixes)
    page.close(fragment)
    return Samples(
        by_name={
            name: tuple(Sample(labels, value) for labels, value in series.items())
            for name, series in page.values.items()
        },
        damaged=frozenset(page.damaged),
        contradicted=frozenset(page.contradicted),
        problems=tuple(Problem(source=source, message=message) for message in page.messages),
    )


def split_exposition(text: str) -> tuple[list[str], list[float]] | None:
    """What stands before the value, and the value, of every line; None when that is not so simple.

    A quick look at a page of plain `series value` lines, which `parsed_series` may still refuse;
    whatever else a page holds (times, exemplars, a cut, a bad value) is for `parse_exposition`.
    """
    if text.count("\n") > MAX_LINES:
        return None
    lines = text.split("\n")
    if lines.pop():
        return None
    parts = [line.rpartition(" ") for line in lines if line and line[0] != "#"]
    values = [value for _, _, value in parts]
    if _NUMBERS.fullmatch("".join(values)) is None:  # float() would take 1_0 and other digits
        return None
    try:
        return [series for series, _, _ in parts], list(map(float, values))
    except ValueError:
        return None


def parsed_series(text: str) -> tuple[str, Labels] | None:
    """Name and labels of what stands before a value; None when it cannot be read.

    A line of this text, one space and a number means to `parse_exposition` exactly this series.
    """
    match = _SERIES.fullmatch(text)
    if match is None:
        return None
    name, label_text = match.groups()
    labels = _parsed_labels(label_text or "")
    return None if labels is None else (name, labels)


def _read_line(page: _Page, *, line: str, number: int, dropped_suffixes: tuple[str, ...]) -> None:
    match = _LINE.fullmatch(line)
    if match is None:
        page.reject(line=line, number=number)
        return
    name, label_text, value_text = match.groups()
    if name.endswith(dropped_suffixes):
        return
    labels = page.labels(label_text or "")
    value = _number(value_text)
    if labels is None or value is None:
        page.reject(line=line, number=number)
        return
    page.add(name=name, labels=labels, value=value)


def _parsed_labels(text: str) -> Labels | None:
    pairs: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _LABEL.match(text, position)
        if match is None:
            return None if text[position:].strip() else _sorted(pairs.items())
        label, value = match.groups()
        if label in pairs:
            return None
        pairs[label] = _ESCAPED.sub(_unescaped, value) if "\\" in value else value
        position = match.end()
    return _sorted(pairs.items())


def _sorted(pairs: Iterable[tuple[str, str]]) -> Labels:
    return tuple(sorted(pairs))


def _unescaped(match: re.Match[str]) -> str:
    return "\n" if match.group(1) == "n" else match.group(1)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _is_same(left: float, right: float) -> bool:
    return left == right or (math.isnan(left) and math.isnan(right))
