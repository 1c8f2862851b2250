"""Whose page is it: the contract that knows most of its names, and the version the page tells. Pure."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from collector.model.contract import Contract, SeriesKind
from collector.model.samples import Samples

PROMETHEUS: Final = "prometheus"
_PROMETHEUS_NAMES: Final = frozenset({"prometheus_build_info", "prometheus_tsdb_head_series"})
_PARTS: Final = ("_bucket", "_sum", "_count")
_VERSION: Final = re.compile(r"v?\d+\.\d+")


def is_prometheus(names: Collection[str]) -> bool:
    """Whether the page is a Prometheus server's own."""
    return set(names) >= _PROMETHEUS_NAMES


def recognised(names: Collection[str], *, contracts: Iterable[Contract]) -> Contract | None:
    """The contract with most names on the page, the first of equals; None when nobody has one.

    A router may use the names of its engines, so one name decides nothing.
    """
    found = set(names)
    counts = [(len(found & series_names(each)), each) for each in contracts]
    most = max((count for count, _ in counts), default=0)
    return next((each for count, each in counts if count == most), None) if most else None


def series_names(contract: Contract) -> frozenset[str]:
    """Every series the contract reads, in any version; histograms by their parts."""
    return frozenset(
        name
        for rule in contract.rules.values()
        for source in rule.sources
        for spelling in source.names
        for name in (
            [spelling + part for part in _PARTS]
            if rule.kind is SeriesKind.HISTOGRAM
            else [spelling]
        )
    )


def page_version(samples: Samples, *, engine: str) -> str | None:
    """What `<engine>_build_info` tells; None where the page has none or it is no number."""
    for sample in samples.by_name.get(f"{engine}_build_info", ()):
        labels: Mapping[str, str] = dict(sample.labels)
        told = labels.get("version", "")
        if _VERSION.match(told):
            return told
    return None
