"""Metrics of released packages, as `deploy/contract/read_packages.py` found them in the source.

In: `packages/*.json`, package data. Out: one `PackageFacts` per release. The tests hold the contract
against them; a linter can ask them whether a name, a type or a label ever existed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from collector.model.contract import SeriesKind, version_numbers

_KINDS = {
    "counter": SeriesKind.COUNTER,
    "gauge": SeriesKind.GAUGE,
    "histogram": SeriesKind.HISTOGRAM,
    "info": SeriesKind.INFO,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricFact:
    """One metric a package declares; None where its source makes the fact up while running."""

    name: str  # as on the page; histograms without _bucket, _sum and _count
    kind: SeriesKind | None
    labels: frozenset[str] | None
    upper_bounds: tuple[float, ...] | None  # default bucket edges
    file: str  # where in the package


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFacts:
    """One release."""

    engine: str  # as in `Contract.engine`
    package: str
    version: str
    sha256: str  # of the archive that was read
    metrics: Mapping[str, MetricFact]

    @property
    def version_numbers(self) -> tuple[int, ...]:
        """The version as a contract's ranges compare it."""
        return version_numbers(self.version)

    def metric_of(self, series: str) -> MetricFact | None:
        """The metric a series of the page belongs to; None when the release has none of that name."""
        if series in self.metrics:
            return self.metrics[series]
        for suffix in ("_bucket", "_sum", "_count"):
            found = self.metrics.get(series.removesuffix(suffix))
            if series.endswith(suffix) and found is not None:
                return found if found.kind in (SeriesKind.HISTOGRAM, None) else None
        return None


def load_package_facts() -> tuple[PackageFacts, ...]:
    """All releases that were read, by engine and version."""
    folder = resources.files("collector.contract") / "packages"
    files = [each for each in folder.iterdir() if each.name.endswith(".json")]
    found = [_facts(each.read_text("utf-8")) for each in files]
    return tuple(sorted(found, key=lambda each: (each.engine, each.version_numbers)))


def _facts(text: str) -> PackageFacts:
    document = json.loads(text)
    return PackageFacts(
        engine=document["engine"],
        package=document["package"],
        version=document["version"],
        sha256=document["sha256"],
        metrics={each["name"]: _metric(each) for each in document["metrics"]},
    )


def _metric(each: Mapping[str, list[str] | list[float] | str | None]) -> MetricFact:
    labels, buckets = each["labels"], each["buckets"]
    return MetricFact(
        name=str(each["name"]),
        kind=_KINDS.get(str(each["kind"])),
        labels=frozenset(map(str, labels)) if isinstance(labels, list) else None,
        upper_bounds=tuple(map(float, buckets)) if isinstance(buckets, list) else None,
        file=str(each["file"]),
    )
