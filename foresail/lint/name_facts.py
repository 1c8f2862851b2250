"""What may be asked about one metric name: does it exist in the versions in use, and of what type is it.

In: contracts, released packages, our own series, `data/series.yaml`. Out: `NameFacts`. Pure but for
`load_name_facts`, which reads package data.
"""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from collector.model.contract import SeriesKind, VersionRange

MARKER = "template_variable"
"""Stands for a variable of a template; a name that holds it is not known here."""

PARTS = ("_bucket", "_sum", "_count")


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One version of an engine whose names are all known."""

    version: tuple[int, ...]
    text: str  # the version as its makers write it
    names: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One metric of one engine."""

    name: str  # a histogram's without _bucket
    engine: str
    kind: SeriesKind | None = None  # None: not known
    unit: str = ""
    labels: frozenset[str] | None = None  # None: not known
    edges: tuple[float, ...] | None = None  # upper bounds of the buckets; None: not known
    versions: VersionRange | None = None  # where the contract names it; None: it does not
    signal: str = ""  # the canonical signal it tells; empty: none
    renamed_labels: Mapping[str, str] | None = None  # {old label: new label}
    label_versions: Mapping[str, VersionRange] | None = None  # {old label: versions that have it}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """A name of the past."""

    name: str
    engine: str
    since: str  # first version without it
    use: str  # what to write now; empty: nothing replaces it
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedPrefix:
    """Names that moved as a whole."""

    old: str
    new: str
    is_removed: bool  # False: still written beside the new ones


@dataclass(frozen=True, slots=True, kw_only=True)
class NameFacts:
    """All of it."""

    facts: Mapping[str, tuple[Fact, ...]]  # {name: one fact per engine}
    releases: Mapping[str, tuple[Release, ...]]  # {engine: releases read, oldest first}
    gone: Mapping[str, Gone]
    moved_prefixes: tuple[MovedPrefix, ...]
    complete: tuple[str, ...]  # prefixes without other names
    partial: tuple[str, ...]  # prefixes with other names

    def of(self, series: str) -> tuple[Fact, ...]:
        """What a series on a page is, one fact per engine that writes it; nothing for a strange one."""
        exact = self.facts.get(series, ())
        if exact:
            return exact
        for part in PARTS:
            if series.endswith(part):
                found = self.facts.get(series.removesuffix(part), ())
                return tuple(each for each in found if each.kind in (SeriesKind.HISTOGRAM, None))
        return ()

    def one(self, series: str) -> Fact | None:
        """The fact where all engines agree on the type; None where they do not, or nobody knows."""
        found = self.of(series)
        return found[0] if found and len({each.kind for each in found}) == 1 else None

    def is_complete(self, series: str) -> bool:
        """Whether all names that begin like this one are known."""
        return series.startswith(self.complete) and not series.startswith(self.partial)

    def nearest(self, series: str, *, cutoff: float) -> str | None:
        """The known name that is spelt most like it; None where none is close."""
        names = [name for name in self.facts if name[:4] == series[:4]]
        found = difflib.get_close_matches(_base(series), names, n=1, cutoff=cutoff)
        return found[0] if found else None

    def siblings(self, fact: Fact) -> Iterator[Fact]:
        """Other names of the same signal of the same engine."""
        for facts in self.facts.values():
            for each in facts:
                if each.engine == fact.engine and each.signal == fact.signal != "":
                    yield each


def kind_of_part(series: str, fact: Fact) -> SeriesKind | None:
    """The type of the series itself: the parts of a histogram are counters."""
    if fact.kind is SeriesKind.HISTOGRAM and series != fact.name:
        return SeriesKind.COUNTER
    return fact.kind


def _base(series: str) -> str:
    for part in PARTS:
        series = series.removesuffix(part)
    return series
