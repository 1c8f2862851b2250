"""Remembered outlines change the time a page takes and nothing else: each page reads as read afresh."""

import math

import pytest
from prometheus_client.parser import text_string_to_metric_families

from collector.model.contract import EngineSignal as E
from collector.model.page import PageIdentity
from collector.model.reading import Fresh, Missing, MissingReason
from collector.model.replica import EngineKind
from collector.model.samples import Sample, Samples
from collector.normalise.page import page_readings, read_page
from collector.normalise.reader import PageReader
from support.changing_pages import changing_pages
from support.collector_worlds import CAPTURES, CONTRACTS, VLLM, capture

LOADED = capture(VLLM, "metrics_load_c64")
RUNNING = 'vllm:num_requests_running{engine="0",model_name="tiny"}'
TTFT = "vllm:time_to_first_token_seconds"


def arguments(kind=EngineKind.VLLM, *, version=None, at=7.0):
    return {
        "contract": CONTRACTS.engines[kind],
        "identity": PageIdentity(key="r1", source="engine", engine_version=version),
        "observed_timestamp_seconds": at,
    }


def kind_of(path):
    return EngineKind.VLLM if "vllm" in str(path) else EngineKind.LLAMA_CPP


def reference_samples(text):
    """The page as the reference parser reads it."""
    by_name = {}
    for family in text_string_to_metric_families(text):
        for name, labels, value, *_ in family.samples:
            if not name.endswith("_created"):
                by_name.setdefault(name, []).append(Sample(tuple(sorted(labels.items())), value))
    return Samples(
        by_name={name: tuple(found) for name, found in by_name.items()},
        damaged=frozenset(),
        contradicted=frozenset(),
        problems=(),
    )


def with_line(text, old, new):
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    "path", sorted(CAPTURES.glob("*/*.prom")), ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_pages_with_other_values_read_as_the_reference_parser_reads_them(path):
    reader = PageReader()
    given = arguments(kind_of(path))
    for page in changing_pages(path.read_text(), count=4):
        read = reader(page, **given)
        reference = page_readings(reference_samples(page), **given)
        assert read.numbers == reference.numbers
        assert read.histograms == reference.histograms
        assert read.sleep_state == reference.sleep_state
        assert read.absent == reference.absent
        assert read == read_page(page, **given)
    assert reader.remembered_outline_count == 1


def test_every_value_of_a_derived_page_is_new():
    def measured(page):
        lines = [line for line in page.splitlines() if not line.startswith("#")]
        return [line.rpartition(" ")[2] for line in lines if "sleep_state" not in line]

    one, other = (measured(page) for page in changing_pages(LOADED, count=2))
    same = [value for value, now in zip(one, other, strict=True) if value == now]
    assert set(same) == {"1.0"}  # info series
    assert len(same) <= 3


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda text: text, id="nothing"),
        pytest.param(lambda t: with_line(t, f"{RUNNING} 4.0\n", ""), id="a line goes"),
        pytest.param(lambda t: f"{t}{RUNNING.replace('0', '1')} 9\n", id="a line appears"),
        pytest.param(lambda t: f'{t}nobody_knows{{a="b"}} 9\n', id="an unknown series appears"),
        pytest.param(
            lambda t: with_line(t, f"{RUNNING} 4.0\n", "") + f"{RUNNING} 4.0\n", id="a line moves"
        ),
        pytest.param(lambda t: "\n".join(reversed(t.split("\n"))) + "\n", id="backwards"),
        pytest.param(lambda t: t.replace('engine="0"', 'engine="1"'), id="a label changes"),
        pytest.param(lambda t: t.replace('le="0.5"', 'le="0.55"'), id="an edge changes"),
        pytest.param(lambda t: t.replace("vllm:", "vllm_"), id="names change"),
        pytest.param(lambda t: t.replace("\n", "\r\n"), id="carriage returns"),
        pytest.param(lambda t: t.replace("\n", " 1700000000\n"), id="times on all lines"),
        pytest.param(lambda t: t.replace("\n# ", "\n  # "), id="comments indented"),
        pytest.param(lambda t: t.replace("\n# ", "\n\n# "), id="empty lines"),
        pytest.param(lambda t: "\n".join(x for x in t.split("\n") if x[:1] != "#"), id="bare"),
        pytest.param(lambda t: t[:-5], id="cut in the last line"),
        pytest.param(lambda t: t[: len(t) // 2], id="cut in the middle"),
        pytest.param(lambda t: t + t, id="told twice"),
        pytest.param(lambda t: f"{t}{RUNNING} 5\n", id="one series told twice, differently"),
        pytest.param(
            lambda t: f'{t}vllm:num_requests_running{{model_name="tiny",engine="0"}} 5\n',
            id="told twice in another spelling",
        ),
        pytest.param(lambda t: f"{t}{RUNNING[:-1]} 5\n", id="an unclosed brace"),
        pytest.param(lambda t: f'{t}x_created{{a="1",a="2"}} no\n', id="a dropped line is broken"),
        pytest.param(lambda t: f'{t}{RUNNING} 5 # {{a="b"}} 1\n', id="an exemplar"),
        pytest.param(lambda t: t + "5\n", id="a line that is only a number"),
        pytest.param(lambda t: t + "é 5\n", id="a name that is none"),
        pytest.param(lambda t: "", id="an empty page"),
        pytest.param(lambda t: t.replace('sleep_state="awake"} 1.0', 'sleep_state="awake"} 0.0'),
                     id="no sleep state holds"),
    ],
)  # fmt: skip
def test_any_change_of_the_page_is_seen(change):
    reader = PageReader()
    reader(LOADED, **arguments())
    for text in (change(LOADED), LOADED, change(LOADED)):
        assert reader(text, **arguments()) == read_page(text, **arguments())


@pytest.mark.parametrize(
    "value",
    ["NaN", "nan", "+Inf", "-Inf", "-1", "-0", "1e309", "1_0", "\u0661", "infinity", "", "x", "1.0.0",
     "0x10", "1e5", " 7", "7 ", "7\t", "\x0c7", "7\u2028", "{x=\"1\"}5", "1e-400", "1,0"],
    ids=ascii,
)  # fmt: skip
@pytest.mark.parametrize(
    "series",
    [
        f"{RUNNING} 4.0",
        f'{TTFT}_bucket{{engine="0",le="0.5",model_name="tiny"}} 424.0',
        f'{TTFT}_sum{{engine="0",model_name="tiny"}} 404.2417051792145',
    ],
    ids=["gauge", "bucket", "sum"],
)
def test_any_value_on_a_known_outline_reads_as_on_an_unknown_one(series, value):
    reader = PageReader()
    reader(LOADED, **arguments())
    page = with_line(LOADED, series, f"{series.rpartition(' ')[0]} {value}")
    assert reader(page, **arguments()) == read_page(page, **arguments())


def test_a_value_that_turns_bad_is_missing_and_comes_back():
    reader = PageReader()
    pages = [LOADED, LOADED.replace(f"{RUNNING} 4.0", f"{RUNNING} NaN"), LOADED]
    found = [reader(page, **arguments()).number(E.RUNNING_REQUESTS) for page in pages]
    assert [getattr(each, "value", None) for each in found] == [4.0, None, 4.0]
    assert found[1] == Missing(reason=MissingReason.NOT_A_NUMBER, source="engine")
    assert not any(isinstance(each, Fresh) and math.isnan(each.value) for each in found)


def test_time_source_and_version_belong_to_the_page_not_to_the_outline():
    reader = PageReader()
    for version, at in ((None, 1.0), ((0, 10), 2.0), ((0, 32), 3.0), (None, 4.0)):
        given = arguments(version=version, at=at)
        assert reader(LOADED, **given) == read_page(LOADED, **given)
    assert reader.remembered_outline_count == 3


def test_outlines_of_one_contract_are_not_taken_for_those_of_another():
    reader = PageReader()
    for kind in (EngineKind.VLLM, EngineKind.LLAMA_CPP, EngineKind.VLLM):
        assert reader(LOADED, **arguments(kind)) == read_page(LOADED, **arguments(kind))


def test_labels_that_change_for_ever_do_not_fill_the_memory():
    reader = PageReader(max_remembered_bytes=50_000)
    for number in range(200):
        reader(f'{RUNNING} 1\nx{{request="{number}"}} 1\n', **arguments())
    assert reader.remembered_bytes <= 50_000
    assert 0 < reader.remembered_outline_count < 200


def test_a_huge_page_does_not_push_out_the_others():
    reader = PageReader(max_remembered_bytes=50_000)
    reader(f"{RUNNING} 1\n", **arguments())
    huge = "".join(f'x{{id="{n}"}} 1\n' for n in range(5_000))
    assert reader(huge, **arguments()) == read_page(huge, **arguments())
    assert reader.remembered_outline_count == 1


def test_the_outline_seen_last_stays_longest():
    page = "".join(f'x{{id="{n}"}} 1\n' for n in range(5)) + f"{RUNNING} 1\n"
    reader = PageReader(max_remembered_bytes=50_000)
    reader(page, **arguments())
    kept = reader.remembered_bytes
    for number in range(200):
        reader(page.replace("x", f"x{number}"), **arguments())
        reader(page, **arguments())
    fill = reader.remembered_bytes
    reader(page, **arguments())
    assert reader.remembered_bytes == fill  # still known: nothing was added for it
    assert kept < fill <= 50_000
