"""Contract files: what they must say, and how a wrong one is told."""

from importlib import resources

import pytest

from collector.contract.loader import contract_of, load_contracts
from collector.contract.package_facts import load_package_facts
from collector.contract.schema import version_range
from collector.errors import ConfigurationError
from collector.model.contract import (
    EngineSignal,
    ExporterKind,
    GatewaySignal,
    VersionRange,
    version_numbers,
)
from collector.model.replica import EngineKind
from support.collector_worlds import CONTRACTS


def test_every_engine_signal_is_told_or_declared_invisible():
    for kind in EngineKind:
        contract = CONTRACTS.engines[kind]
        assert contract.engine == kind.value
        assert set(contract.rules) | set(contract.cannot_see) == set(EngineSignal)
        assert all(len(why.split()) > 3 for why in contract.cannot_see.values())
    assert set(CONTRACTS.gateway.rules) == set(GatewaySignal)


@pytest.mark.parametrize("kind", list(ExporterKind))
def test_every_exporter_answers_for_its_vocabulary(kind):
    contract = CONTRACTS.exporters[kind]
    assert contract.engine == kind.value
    assert contract.rules
    assert all(len(why.split()) > 3 for why in contract.cannot_see.values())
    assert contract.metrics_path(None) == "/metrics"


def test_an_engine_names_each_signal_it_hides():
    # One sentence for all the rest is for exporters: of an engine the reason is worth a look each.
    folder = resources.files("collector.contract")
    texts = [(folder / f"{kind.value}.yaml").read_text("utf-8") for kind in EngineKind]
    assert not [text for text in texts if "cannot_see_others" in text]


def test_loading_twice_gives_equal_contracts():
    assert load_contracts() == CONTRACTS


@pytest.mark.parametrize(
    ("kind", "version", "path"),
    [
        pytest.param(EngineKind.VLLM, (0, 32), "/metrics", id="vllm"),
        pytest.param(EngineKind.LLAMA_CPP, None, "/metrics", id="llama.cpp of unknown version"),
        pytest.param(EngineKind.LLAMA_CPP, (11549,), "/metrics", id="llama.cpp seen to be safe"),
        pytest.param(EngineKind.OLLAMA, None, None, id="ollama has no page"),
        pytest.param(EngineKind.TENSORRT_LLM, None, "/prometheus/metrics", id="trtllm-serve"),
        pytest.param(EngineKind.LLAMA_CPP, (5000,), None, id="llama.cpp that a scrape wakes"),
    ],
)
def test_metrics_are_polled_only_where_looking_changes_nothing(kind, version, path):
    assert CONTRACTS.engines[kind].metrics_path(version) == path


def test_slots_of_llama_cpp_are_never_safe():
    endpoints = {each.path: each for each in CONTRACTS.engines[EngineKind.LLAMA_CPP].endpoints}
    assert endpoints["/slots"].observer_safe is None


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("0.12.0rc1", (0, 12)), ("v1.2.3", (1, 2, 3)), ("b4567", (4567,)), ("0", (0,))],
)
def test_version_numbers(text, numbers):
    assert version_numbers(text) == numbers


@pytest.mark.parametrize(
    ("version", "inside"), [("0.9.1", False), ("0.9.2", True), ("0.11.9", True), ("0.12.0", False)]
)
def test_version_ranges_include_the_lower_bound_only(version, inside):
    assert version_range(">=0.9.2,<0.12").contains(version_numbers(version)) is inside
    assert VersionRange().contains(version_numbers(version))


_GOOD = """
engine: llama_cpp
title: an engine
tells: [engine]
provenance: capture
versions: ">=0"
assumed_version: "1"
dropped_suffixes: []
endpoints: [{path: /metrics, serves_metrics: true, observer_safe: ">=0", note: n}]
signals:
  running_requests: {kind: gauge, unit: requests, sources: [{series: "x[:_]running"}]}
cannot_see:
""" + "\n".join(f"  {signal.value}: it does not tell" for signal in list(EngineSignal)[1:])


def test_a_minimal_file_is_accepted_and_both_spellings_are_read():
    contract = contract_of(_GOOD, name="good.yaml")
    assert contract.rules[EngineSignal.RUNNING_REQUESTS].sources[0].names == (
        "x:running",
        "x_running",
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        pytest.param("unit: requests,", "unit: requests, nit: 1,", "nit", id="unknown key"),
        pytest.param("kind: gauge", "kind: gage", "'gage'", id="unknown kind"),
        pytest.param("engine: llama_cpp", "engine: llama", "'llama' is none of", id="engine"),
        pytest.param(
            "  waiting_requests: it", "  wating: it", "'wating' is no signal", id="signal"
        ),
        pytest.param(
            "  waiting_requests: it does not tell\n",
            "",
            "'waiting_requests' is neither",
            id="forgotten signal",
        ),
        pytest.param(
            "cannot_see:\n",
            "cannot_see:\n  running_requests: it does not tell\n",
            "keep one",
            id="both",
        ),
        pytest.param('versions: ">=0"', 'versions: "~0"', "versions is like", id="version range"),
        pytest.param("x[:_]running", "x:running", "its colon written as [:_]", id="series"),
        pytest.param("kind: gauge", "kind: state", "state_label and states", id="state"),
        pytest.param("kind: gauge", "kind: info", "value_labels", id="info"),
        pytest.param(
            "unit: requests,",
            "unit: requests, keep: [engine], aggregate: {engine: sum},",
            "not both",
            id="kept and aggregated",
        ),
        pytest.param(
            "kind: gauge, unit: requests,",
            "kind: histogram, unit: seconds, aggregate: {engine: max},",
            "only be summed",
            id="maximum of histograms",
        ),
        pytest.param("signals:", "signals: [", "not YAML", id="not YAML"),
        pytest.param(
            "provenance: capture", "provenance: documentation", "a reference", id="no reference"
        ),
        pytest.param("tells: [engine]", "tells: [motor]", "'motor'", id="vocabulary"),
    ],
)
def test_a_wrong_file_is_told_in_one_line_with_its_name(old, new, said):
    assert old in _GOOD
    with pytest.raises(ConfigurationError) as caught:
        contract_of(_GOOD.replace(old, new, 1), name="wrong.yaml")
    message = str(caught.value)
    assert message.startswith("wrong.yaml: ")
    assert said in message
    assert "\n" not in message


def every_contract():
    contracts = load_contracts()
    return (*contracts.engines.values(), *contracts.exporters.values(), contracts.gateway)


def test_only_llama_cpp_cannot_bear_connections_that_stay_open():
    assert [each.engine for each in every_contract() if not each.keep_alive] == ["llama_cpp"]


@pytest.mark.parametrize("contract", every_contract(), ids=lambda each: each.engine)
def test_a_series_stands_once_in_a_contract(contract):
    told = {name for rule in contract.rules.values() for s in rule.sources for name in s.names}
    gone = {each.series for each in contract.gone_series}
    assert told & set(contract.other_series) == set()
    assert gone & set(contract.other_series) == set()


def test_edges_of_a_histogram_are_written_where_no_release_tells_them():
    vllm = load_contracts().engines[EngineKind.VLLM]
    newest = [each for each in load_package_facts() if each.engine == "vllm"][-1]
    told = {each.name for each in newest.metrics.values() if each.upper_bounds}
    assert set(vllm.bucket_edges) & told == set()
    assert vllm.bucket_edges["vllm:request_params_n"] == (1, 2, 5, 10, 20)
