"""The counters file for dcgm-exporter asks for what the contract reads, under the types it expects."""

import re
from pathlib import Path

from collector.device_fields import DEVICE_NUMBERS
from collector.model.contract import ExporterKind, SeriesKind
from support.collector_worlds import CONTRACTS

FILE = Path(__file__).parents[3] / "deploy" / "dcgm" / "foresail-counters.csv"
CONTRACT = CONTRACTS.exporters[ExporterKind.DCGM_EXPORTER]
FIELD = re.compile(r"DCGM_(FI_(DEV|PROF)|EXP)_[A-Z0-9_]+")


def rows() -> list[tuple[str, str, str]]:
    lines = [line for line in FILE.read_text().splitlines() if line and not line.startswith("#")]
    return [tuple(cell.strip() for cell in line.split(",")) for line in lines]


def test_every_line_is_field_type_and_help_without_a_further_comma():
    assert all(len(row) == 3 and all(row) for row in rows())
    assert all(FIELD.fullmatch(name) and kind in ("gauge", "counter") for name, kind, _ in rows())
    names = [name for name, *_ in rows()]
    assert len(names) == len(set(names))


def test_everything_the_contract_reads_is_asked_for_with_its_type():
    asked = {name: kind for name, kind, _ in rows()}
    read = {
        name: rule.kind.value
        for rule in CONTRACT.rules.values()
        for source in rule.sources
        for name in source.names
    }
    assert {name: asked.get(name) for name in read} == read


def test_other_fields_have_the_type_the_contract_knows():
    known = CONTRACT.other_series
    for name, kind, _ in rows():
        if known.get(name) is not None:
            assert known[name] is SeriesKind(kind), name


def test_a_dashboard_finds_the_same_fields_at_the_node_agent():
    """What the agent tells of a GPU without DCGM, the exporter tells, too."""
    own = {each.name for each in DEVICE_NUMBERS if each.name.startswith("DCGM_")}
    assert own - {name for name, *_ in rows()} == set()
