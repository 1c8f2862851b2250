"""What a page of metrics says, line by line: made by `normalise.exposition`, read by `normalise.page`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from collector.model.snapshot import Problem

Labels = tuple[tuple[str, str], ...]
"""Label pairs sorted by label name, so that two spellings of one series are one."""


class Sample(NamedTuple):
    """One line. A NamedTuple because a page has hundreds and a dataclass takes thrice as long."""

    labels: Labels
    value: float  # NaN and infinities as written


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """One page."""

    by_name: Mapping[str, tuple[Sample, ...]]
    damaged: frozenset[str]  # series with a line that cannot be read: what is left is not the whole
    contradicted: frozenset[
        tuple[str, Labels]
    ]  # told twice with different values; the first is kept
    problems: tuple[Problem, ...]
