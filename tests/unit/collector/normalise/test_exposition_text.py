"""Text of a page to samples: the same values as the reference parser, and no page lost to a line."""

import math

import pytest
from prometheus_client.parser import text_string_to_metric_families

from collector.normalise.exposition import parse_exposition
from support.collector_worlds import CAPTURES


def values(text):
    samples = parse_exposition(text, source="s")
    return {name: {s.labels: s.value for s in found} for name, found in samples.by_name.items()}


def messages(text):
    return [problem.message for problem in parse_exposition(text, source="s").problems]


@pytest.mark.parametrize(
    "path", sorted(CAPTURES.glob("*/*.prom")), ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_captures_read_as_the_reference_parser_reads_them(path):
    text = path.read_text()
    expected = {
        # The reference adds _total to a counter that the server calls otherwise.
        (
            name.removesuffix("_total") if "n_tokens_max" in name else name,
            tuple(sorted(labels.items())),
        ): value
        for family in text_string_to_metric_families(text)
        for name, labels, value, *_ in family.samples
        if not name.endswith("_created")
    }
    found = {(name, key): v for name, series in values(text).items() for key, v in series.items()}
    assert found == expected
    assert messages(text) == []


@pytest.mark.parametrize(
    ("line", "labels", "value"),
    [
        pytest.param("a 1", (), 1.0, id="plain"),
        pytest.param("a{} 1", (), 1.0, id="empty labels"),
        pytest.param('a{y="2",x="1"} 1', (("x", "1"), ("y", "2")), 1.0, id="labels sorted"),
        pytest.param('a{x="}"} 1', (("x", "}"),), 1.0, id="brace in a value"),
        pytest.param(r'a{x="\"\\\n"} 1', (("x", '"\\\n'),), 1.0, id="escapes"),
        pytest.param('a{x="1",} 1', (("x", "1"),), 1.0, id="comma at the end"),
        pytest.param("a 1 1700000000", (), 1.0, id="timestamp"),
        pytest.param('a{x="1"} 5 # {t="y"} 0.3', (("x", "1"),), 5.0, id="exemplar"),
        pytest.param("a 1.5e-3\r", (), 0.0015, id="carriage return"),
        pytest.param("a +Inf", (), math.inf, id="infinity"),
        pytest.param('a{x="\u2028"} 1', (("x", "\u2028"),), 1.0, id="line separator in a value"),
    ],
)
def test_lines(line, labels, value):
    assert values(f"{line}\n") == {"a": {labels: value}}
    assert messages(f"{line}\n") == []


@pytest.mark.parametrize(
    "line",
    [
        'a{x="1} 1',
        "a{x=1} 1",
        'a{x="1",x="2"} 1',
        "a",
        "a b",
        "a 1_0",
        "a \u0661",
        "a1.0",
        "a 1 2 3",
        "a{x='1'} 1",
    ],
)
def test_a_bad_line_costs_its_own_series_and_is_reported(line):
    samples = parse_exposition(f"b 1\n{line}\nc 2\n", source="s")
    assert set(samples.by_name) == {"b", "c"}
    assert samples.damaged in ({"a"}, {"a1"})
    assert [p.source for p in samples.problems] == ["s"]
    assert "line 2 cannot be read" in samples.problems[0].message


def test_created_series_are_dropped():
    assert values("a_created 1.7e9\na_total 1\n") == {"a_total": {(): 1.0}}


def test_equal_doubles_are_one_and_different_ones_contradict():
    assert parse_exposition("a 1\na 1\na NaN\n", source="s").contradicted == {("a", ())}
    assert parse_exposition("a NaN\na NaN\n", source="s").contradicted == frozenset()
    assert values("a 1\na 2\n") == {"a": {(): 1.0}}


def test_a_cut_line_is_not_read_as_a_smaller_number():
    samples = parse_exposition("a 1234\na2 12", source="s")
    assert set(samples.by_name) == {"a"}
    assert samples.damaged == {"a2"}
    assert messages("a 1234\na2 12") == ["the page ends within a line; it was cut off"]


@pytest.mark.parametrize("fragment", ["vllm:x_b", "vllm:x_", "vllm:x_bucket{engine"])
def test_a_cut_name_damages_the_family_being_told(fragment):
    text = f'vllm:x_bucket{{engine="0",le="+Inf"}} 1\nvllm:x_sum{{engine="0"}} 1\n{fragment}'
    assert "vllm:x_bucket" in parse_exposition(text, source="s").damaged


def test_many_bad_lines_make_few_messages():
    assert len(messages("a ?\n" * 1000)) == 6
    assert messages("a ?\n" * 1000)[-1] == "1000 lines cannot be read in all"
