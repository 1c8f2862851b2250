"""A real node_exporter read through its contract, against what our own reader of /proc says."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from collector.clock import SystemClock
from collector.device_series import host_families
from collector.model.contract import ExporterKind, HostSignal, SeriesKind
from collector.model.device import HostMemory
from collector.model.page import PageReadings
from collector.model.reading import Missing, MissingReason, Number, fresh_value
from collector.sources.host_memory import HostMemoryProbe
from foresail.lint.load_facts import load_name_facts
from support.collector_worlds import CONTRACTS
from support.node_exporter import NODE_EXPORTER, running_node_exporter
from support.prometheus_server import PROMTOOL, lint
from support.real_programs import read_page

pytestmark = pytest.mark.skipif(
    NODE_EXPORTER is None,
    reason="node_exporter is not installed (Debian package prometheus-node-exporter)",
)
CONTRACT = CONTRACTS.exporters[ExporterKind.NODE_EXPORTER]
MAX_DRIFT_BYTES = 1 << 30  # between two looks, on a machine where other tests come and go
STYLE = "metric names should be written in 'snake_case' not 'camelCase'"


def own_look() -> HostMemory:
    return HostMemoryProbe(clock=SystemClock()).host_memory()


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """One page, its readings, and our own look right before and after."""

    text: str
    page: PageReadings
    before: HostMemory
    after: HostMemory


async def look(folder: Path) -> Looks:
    async with running_node_exporter(folder) as url:
        before = own_look()
        answer, page = await read_page(url, contract=CONTRACT)
        after = own_look()
    assert answer.text is not None
    return Looks(text=answer.text, page=page, before=before, after=after)


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> Looks:
    """One start is enough for all tests: they only read."""
    return asyncio.run(look(tmp_path_factory.mktemp("node_exporter")))


def types(page: str) -> dict[str, str]:
    """{name: type} as the page declares."""
    lines = [line.split() for line in page.splitlines() if line.startswith("# TYPE ")]
    return {name: kind for _, _, name, kind in lines}


def test_memory_is_what_our_own_reader_says(looks: Looks) -> None:
    assert looks.page.problems == ()

    def told(signal: HostSignal) -> float | None:
        return fresh_value(looks.page.number(signal))

    assert told(HostSignal.HOST_MEMORY_TOTAL_BYTES) == fresh_value(looks.before.total_bytes)
    available = fresh_value(looks.after.available_bytes)
    assert available is not None
    assert told(HostSignal.HOST_MEMORY_AVAILABLE_BYTES) == pytest.approx(
        available, abs=MAX_DRIFT_BYTES
    )
    swap = fresh_value(looks.after.swap_free_bytes)
    assert swap is not None
    assert told(HostSignal.HOST_SWAP_FREE_BYTES) == pytest.approx(swap, abs=MAX_DRIFT_BYTES)
    kills = told(HostSignal.HOST_OUT_OF_MEMORY_KILLS_TOTAL)
    assert kills is not None
    assert kills >= 0


@pytest.mark.parametrize(
    ("signal", "field"),
    [
        pytest.param(
            HostSignal.HOST_MEMORY_PRESSURE_SOME_SECONDS_TOTAL,
            "pressure_waiting_seconds_total",
            id="some",
        ),
        pytest.param(
            HostSignal.HOST_MEMORY_PRESSURE_FULL_SECONDS_TOTAL,
            "pressure_stalled_seconds_total",
            id="full",
        ),
    ],
)
def test_pressure_lies_between_two_looks_or_is_missing_for_both(
    looks: Looks, signal: HostSignal, field: str
) -> None:
    first: Number = getattr(looks.before, field)
    last: Number = getattr(looks.after, field)
    told = looks.page.number(signal)
    if isinstance(first, Missing):
        assert isinstance(told, Missing)
        assert told.reason is MissingReason.SERIES_ABSENT
        return
    value, low, high = fresh_value(told), fresh_value(first), fresh_value(last)
    assert value is not None
    assert low is not None
    assert high is not None
    assert low - 1e-6 <= value <= high + 1e-6


def test_what_only_some_machines_have_is_missing_and_not_zero(looks: Looks) -> None:
    power = looks.page.number(HostSignal.HOST_POWER_WATTS)
    assert isinstance(power, Missing)
    assert power.reason is MissingReason.CANNOT_SEE
    if "\nnode_hwmon_temp_celsius{" not in looks.text:
        absent = looks.page.absent[HostSignal.HOST_TEMPERATURE_CELSIUS]
        assert absent.reason is MissingReason.SERIES_ABSENT


def test_our_node_agent_uses_its_names_and_types(looks: Looks) -> None:
    declared = types(looks.text)
    ours = {family.name: family.kind.value for family in host_families(looks.before)}
    assert set(ours) >= {"node_memory_MemTotal_bytes", "node_memory_MemAvailable_bytes"}
    assert {name: declared.get(name) for name in ours} == ours


def test_the_linter_knows_its_names_with_their_types(looks: Looks) -> None:
    facts, declared = load_name_facts(), types(looks.text)
    sources = [source for rule in CONTRACT.rules.values() for source in rule.sources]
    names = [name for source in sources for name in source.names if name in declared]
    assert len(names) >= 4
    for name in names:
        (fact,) = [each for each in facts.of(name) if each.engine == CONTRACT.engine]
        # What the kernel's vmstat counts is declared without a type; the contract knows better.
        untyped = declared[name] == "untyped"
        assert fact.kind == (SeriesKind.COUNTER if untyped else SeriesKind(declared[name])), name


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed (Debian: prometheus)")
def test_promtool_has_nothing_to_say_but_the_spelling_of_the_kernels_names(
    looks: Looks,
) -> None:
    lines = lint(looks.text).splitlines()
    assert [line for line in lines if not line.endswith(STYLE)] == []
