"""The contract against the metrics of released packages: a wrong name or version range fails here."""

import re

import pytest

from collector.contract.package_facts import load_package_facts
from collector.model.contract import Provenance, SeriesKind
from support.collector_worlds import CAPTURES, CONTRACTS

FACTS = load_package_facts()
ALL = (*CONTRACTS.engines.values(), *CONTRACTS.exporters.values())
ROWS = [
    (contract, rule, source, facts)
    for contract in ALL
    for rule in contract.rules.values()
    for source in rule.sources
    for facts in FACTS
    if source.provenance is Provenance.PACKAGE
    and facts.engine == contract.engine
    and contract.versions.contains(facts.version_numbers)
]


def where(contract, rule, source, facts):
    return f"{contract.engine} {facts.version}: {rule.signal.value}: {source.names[0]}"


def test_every_row_read_out_of_a_package_is_in_each_release_of_its_range():
    lost = [
        where(*row)
        for row in ROWS
        if row[2].versions.contains(row[3].version_numbers)
        and row[3].metric_of(row[2].names[0]) is None
    ]
    assert lost == []


def test_a_name_is_gone_from_each_release_outside_its_range():
    still_there = [
        where(*row)
        for row in ROWS
        if not row[2].versions.contains(row[3].version_numbers)
        and row[3].metric_of(row[2].names[0]) is not None
    ]
    assert still_there == []


def test_types_are_those_of_the_releases():
    def is_other(rule, source, fact):
        if fact is None or fact.kind is None:
            return False
        parts = ("_sum", "_count")
        if fact.kind is SeriesKind.HISTOGRAM and source.names[0].endswith(parts):
            return rule.kind is not SeriesKind.COUNTER
        told = SeriesKind.GAUGE if rule.kind is SeriesKind.STATE else rule.kind
        return fact.kind is not told

    wrong = [
        where(contract, rule, source, facts)
        for contract, rule, source, facts in ROWS
        if source.versions.contains(facts.version_numbers)
        and is_other(rule, source, facts.metric_of(source.names[0]))
    ]
    assert wrong == []


def test_labels_a_row_selects_or_keeps_exist_where_the_release_tells_its_labels():
    unknown = [
        where(contract, rule, source, facts)
        for contract, rule, source, facts in ROWS
        if source.versions.contains(facts.version_numbers)
        and (fact := facts.metric_of(source.names[0])) is not None
        and fact.labels is not None
        and not {*rule.keep, *source.select} <= fact.labels
    ]
    assert unknown == []


@pytest.mark.parametrize(
    ("engine", "version", "name", "edges"),
    [
        ("vllm", "0.11.0", "vllm:time_to_first_token_seconds", (0.001, 0.005, 0.01, 2560.0)),
        ("vllm", "0.11.0", "vllm:inter_token_latency_seconds", (0.01, 0.025, 0.05, 80.0)),
        ("sglang", "0.5.23", "sglang:time_to_first_token_seconds", (0.1, 0.2, 0.4, 400.0)),
    ],
)
def test_default_bucket_edges_are_known(engine, version, name, edges):
    release = next(each for each in FACTS if (each.engine, each.version) == (engine, version))
    found = release.metrics[name].upper_bounds
    assert (*found[:3], found[-1]) == edges


def test_each_release_says_what_was_read_and_where():
    engines = {each.engine for each in FACTS}
    with_packages = {row[0].engine for row in ROWS}
    assert with_packages <= engines
    for facts in FACTS:
        assert re.fullmatch("[0-9a-f]{64}", facts.sha256)
        assert facts.metrics
        assert all(metric.file.endswith((".py", ".go")) for metric in facts.metrics.values())
    assert next(each.version for each in FACTS if each.engine == "vllm") == "0.8.5.post1"


def test_every_row_says_how_we_know():
    for contract in ALL:
        for rule in contract.rules.values():
            for source in rule.sources:
                assert source.provenance is not Provenance.OWN
                if source.provenance is Provenance.DOCUMENTATION:
                    assert len(source.reference.split()) > 2
                    assert "://" not in source.reference


def test_a_row_that_was_seen_is_on_a_recorded_page_of_its_engine():
    pages: dict[str, str] = {}
    for path in CAPTURES.glob("*/*.prom"):
        engine = path.parent.name.split("-")[0].replace("llama.cpp", "llama_cpp")
        pages[engine] = pages.get(engine, "") + path.read_text()
    unseen = [
        f"{contract.engine}: {source.names[0]}"
        for contract in ALL
        for rule in contract.rules.values()
        for source in rule.sources
        if source.provenance is Provenance.CAPTURE
        and not any(name in pages.get(contract.engine, "") for name in source.names)
    ]
    assert unseen == []
