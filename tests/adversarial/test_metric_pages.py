"""Pages of servers that are broken or hostile: nothing raises, nothing becomes a number by accident."""

import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.model.page import PageIdentity
from collector.model.reading import Fresh, Missing
from collector.model.replica import EngineKind
from collector.normalise.exposition import parse_exposition
from collector.normalise.page import page_readings, read_page
from collector.normalise.reader import PageReader
from support.collector_worlds import CONTRACTS, LLAMA, VLLM, answered, capture, snapshot_of

PAGES = {
    EngineKind.VLLM: capture(VLLM, "metrics_load_c64"),
    EngineKind.LLAMA_CPP: capture(LLAMA, "metrics_load_c8"),
}
WORDS = st.sampled_from(
    ["vllm:num_requests_running", "_bucket", "_sum", "{", "}", '"', "le=", "engine=", '"0.5"', ",",
     " ", "\n", "\\", "NaN", "-Inf", "1e309", "-1", "7", "#", "\x00", "\u2028", "é"]
)  # fmt: skip


def read(kind, text):
    return page_readings(
        parse_exposition(text, source="r1"),
        contract=CONTRACTS.engines[kind],
        identity=PageIdentity(key="r1", source="e"),
        observed_timestamp_seconds=7.0,
    )


@given(st.text())
def test_any_text_is_survived(text):
    for kind in EngineKind:
        read(kind, text)


@given(st.lists(WORDS, max_size=40))
def test_any_mixture_of_syntax_is_survived_and_gives_finite_numbers(words):
    page = read(EngineKind.VLLM, "".join(words))
    for reading in page.numbers.values():
        assert isinstance(reading, Missing) or abs(reading.value) < float("inf")


@pytest.mark.parametrize("kind", list(PAGES))
@given(data=st.data())
def test_a_page_cut_anywhere_tells_the_truth_or_nothing(kind, data):
    text = PAGES[kind]
    whole = read(kind, text)
    cut = read(kind, text[: data.draw(st.integers(0, len(text)))])
    for key, reading in cut.numbers.items():
        assert isinstance(reading, Missing) or reading == whole.numbers[key]
    for key, reading in cut.histograms.items():
        assert isinstance(reading, Missing) or reading == whole.histograms[key]


@pytest.mark.parametrize("kind", list(PAGES))
@given(data=st.data())
def test_a_flipped_character_leaves_the_other_series_alone(kind, data):
    text = PAGES[kind]
    at = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from('x{}"\\ ,='))
    whole, hit = read(kind, text), read(kind, f"{text[:at]}{letter}{text[at + 1 :]}")
    different = {
        key
        for key, reading in hit.numbers.items()
        if isinstance(reading, Fresh) and reading != whole.numbers.get(key)
    }
    assert len({signal for signal, _ in different}) <= 1


@given(st.binary(max_size=300))
def test_bytes_that_are_no_text_are_survived_by_the_snapshot(junk):
    page = junk.decode("utf-8", errors="replace")
    snapshot = snapshot_of(answered("gateway", page, at=1.0), at=1.0)
    assert isinstance(snapshot.services[0].traffic.arrived_requests_total, Missing)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("a" * 1_000_000, id="endless name"),
        pytest.param('a{b="' + "\\" * 1_000_000, id="endless escapes"),
        pytest.param("a{" + 'b="c",' * 200_000 + "} 1", id="endless labels"),
        pytest.param('a{b="' + "c" * 1_000_000 + '"} 1', id="huge label"),
        pytest.param("a{" + "{" * 1_000_000, id="endless braces"),
        pytest.param('a{b="' + '"' * 1_000_000, id="endless quotes"),
        pytest.param("a " + "1" * 1_000_000, id="endless number"),
        pytest.param("a" + " " * 1_000_000, id="endless spaces"),
        pytest.param("a 1" + " 1" * 500_000, id="endless values"),
    ],
)
def test_a_huge_line_costs_time_in_proportion(line):
    started = time.process_time()
    samples = parse_exposition(f"{line}\nb 2\n", source="s")
    assert time.process_time() - started < 2.0  # a quadratic pattern takes hours here
    assert samples.by_name["b"][0].value == 2.0
    assert all(len(problem.message) < 500 for problem in samples.problems)


def test_many_distinct_series_are_survived():
    text = "".join(f'x{{id="{n}"}} 1\n' for n in range(20_000))
    page = read(EngineKind.VLLM, text)
    assert page.unknown_series_count == 1
    assert page.numbers == {}


def test_a_million_series_are_refused_and_reported_at_once():
    text = "vllm:num_requests_running 1\n" + 'x{id="7"} 1\n' * 1_000_000
    started = time.process_time()
    page = read_page(
        text,
        contract=CONTRACTS.engines[EngineKind.VLLM],
        identity=PageIdentity(key="r1", source="e"),
        observed_timestamp_seconds=7.0,
    )
    assert time.process_time() - started < 1.0
    assert page.numbers == {}
    assert [problem.message for problem in page.problems] == [
        "the page has 1000001 lines; more than 250000 are not read"
    ]


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param('vllm:request_success_total{{finished_reason="{n}"}} 1\n', id="readings"),
        pytest.param('vllm:num_requests_running{{engine="{n}"}} 1\n', id="engines"),
        pytest.param('vllm:time_to_first_token_seconds_bucket{{le="{n}"}} {n}\n', id="edges"),
        pytest.param('x{{id="{n}"}} 1\n', id="unknown series"),
    ],
)
def test_what_is_remembered_of_a_hostile_page_is_not_more_than_is_accounted(lines):
    reader = PageReader()
    text = "".join(lines.format(n=n) for n in range(5_000))
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        reader(
            text,
            contract=CONTRACTS.engines[EngineKind.VLLM],
            identity=PageIdentity(key="r1", source="e"),
            observed_timestamp_seconds=7.0,
        )
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before <= reader.remembered_bytes
