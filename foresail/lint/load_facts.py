"""Builds `NameFacts` from what this installation knows. Reads package data; no file of the user's."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from importlib import resources

import yaml
from pydantic import BaseModel, ConfigDict, Field

from autoscaler.series import SERIES as AUTOSCALER_SERIES
from collector.contract.loader import GATEWAY, load_contracts
from collector.contract.package_facts import PackageFacts, load_package_facts
from collector.model.contract import Contract, SeriesKind, version_numbers
from collector.series import SERIES as COLLECTOR_SERIES
from foresail.lint.name_facts import Fact, Gone, MovedPrefix, NameFacts, Release


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Moved(_Strict):
    old: str = Field(alias="from")
    new: str = Field(alias="to")
    is_removed: bool


class _File(_Strict):
    complete: list[str]
    partial: list[str]
    moved_prefixes: list[_Moved]


def load_name_facts() -> NameFacts:
    """Everything known about names. Raises ConfigurationError for a broken contract file."""
    text = (resources.files("foresail.lint") / "data" / "series.yaml").read_text("utf-8")
    document = _File.model_validate(yaml.safe_load(text))
    packages = load_package_facts()
    contracts = load_contracts()
    every = (*contracts.engines.values(), *contracts.exporters.values(), contracts.gateway)
    found: dict[tuple[str, str], list[Fact]] = defaultdict(list)
    for fact in (
        *(fact for contract in every for fact in _contract_facts(contract)),
        *(fact for package in reversed(packages) for fact in _package_facts(package)),
        *_own_facts(),
        *(fact for contract in every for fact in _further_facts(contract)),
    ):
        found[fact.name, fact.engine].append(fact)
    by_name: dict[str, list[Fact]] = defaultdict(list)
    for (name, _), facts in found.items():
        by_name[name].append(_merged(facts))
    return NameFacts(
        facts={name: tuple(facts) for name, facts in by_name.items()},
        releases=_releases(packages),
        gone={gone.name: gone for contract in every for gone in _gone(contract)},
        moved_prefixes=tuple(MovedPrefix(**each.model_dump()) for each in document.moved_prefixes),
        complete=tuple(document.complete),
        partial=tuple(document.partial),
    )


def _merged(facts: Sequence[Fact]) -> Fact:
    """One fact of several about the same name, the first that knows a thing wins."""
    first = facts[0]
    return Fact(
        name=first.name,
        engine=first.engine,
        kind=next((each.kind for each in facts if each.kind is not None), None),
        unit=next((each.unit for each in facts if each.unit), ""),
        labels=next((each.labels for each in facts if each.labels is not None), None),
        edges=next((each.edges for each in facts if each.edges is not None), None),
        versions=next((each.versions for each in facts if each.versions is not None), None),
        signal=next((each.signal for each in facts if each.signal), ""),
        renamed_labels=next((each.renamed_labels for each in facts if each.renamed_labels), None),
        label_versions=next((each.label_versions for each in facts if each.label_versions), None),
    )


def _contract_facts(contract: Contract) -> Iterator[Fact]:
    for rule in contract.rules.values():
        for source in rule.sources:
            name, kind = source.names[0], rule.kind
            if kind is SeriesKind.COUNTER and name.endswith(("_sum", "_count")):
                name, kind = name.rsplit("_", 1)[0], SeriesKind.HISTOGRAM
            yield Fact(
                name=name,
                engine=contract.engine,
                kind=kind,
                unit=rule.unit,
                versions=source.versions,
                signal=rule.signal.value,
                renamed_labels=contract.label_names or None,
                label_versions=contract.label_versions or None,
            )


def _package_facts(package: PackageFacts) -> Iterator[Fact]:
    for each in package.metrics.values():
        yield Fact(
            name=each.name,
            engine=package.engine,
            kind=each.kind,
            labels=each.labels,
            edges=each.upper_bounds,
        )


def _own_facts() -> Iterator[Fact]:
    for each in (*COLLECTOR_SERIES, *AUTOSCALER_SERIES):
        labels = frozenset(each.labels)
        yield Fact(name=each.name, engine=GATEWAY, kind=each.kind, unit=each.unit, labels=labels)


def _further_facts(contract: Contract) -> Iterator[Fact]:
    """Of what tells no signal, and of edges that no package tells."""
    for name, kind in contract.other_series.items():
        yield Fact(
            name=name,
            engine=contract.engine,
            kind=kind,
            renamed_labels=contract.label_names or None,
            label_versions=contract.label_versions or None,
        )
    for name, edges in contract.bucket_edges.items():
        yield Fact(name=name, engine=contract.engine, kind=SeriesKind.HISTOGRAM, edges=edges)


def _gone(contract: Contract) -> Iterator[Gone]:
    for each in contract.gone_series:
        yield Gone(
            name=each.series,
            engine=contract.engine,
            since=each.since,
            use=each.use,
            why=each.why,
        )


def _releases(packages: Sequence[PackageFacts]) -> dict[str, tuple[Release, ...]]:
    by_engine: dict[str, list[Release]] = defaultdict(list)
    for package in packages:
        release = Release(
            version=package.version_numbers, text=package.version, names=frozenset(package.metrics)
        )
        by_engine[package.engine].append(release)
    return {engine: tuple(releases) for engine, releases in by_engine.items()}


def version_in_use(text: str) -> tuple[str, tuple[int, ...]]:
    """("vllm", (0, 33)) of "vllm=0.33". Raises ValueError with a line for the person who typed it."""
    engine, _, version = text.partition("=")
    if not engine or not version:
        raise ValueError(f"--engine is like vllm=0.33, got {text!r}")
    return engine, version_numbers(version)
