"""Whatever pages follow each other, a reader that remembers outlines reads each like one that does not."""

from hypothesis import given, settings
from hypothesis import strategies as st

from collector.model.page import PageIdentity
from collector.model.replica import EngineKind
from collector.normalise.page import read_page
from collector.normalise.reader import PageReader
from support.collector_worlds import CONTRACTS, VLLM, capture

PAGE = capture(VLLM, "metrics_idle")
LINES = [
    line for line in PAGE.splitlines() if "num_requests" in line or "time_to_first" in line
] + ['vllm:engine_sleep_state{engine="0",sleep_state="awake"} 1.0', "", "# end"]
GIVEN = {
    "contract": CONTRACTS.engines[EngineKind.VLLM],
    "identity": PageIdentity(key="r1", source="engine:vllm"),
    "observed_timestamp_seconds": 7.0,
}
VALUES = st.sampled_from(
    ["0", "1.0", "3", "1e9", "NaN", "-1", "+Inf", "1_0", "x", "", "5 17", "2 "]
)


def with_value(line, value):
    return f"{line.rpartition(' ')[0]} {value}"


def edited(lines, edits):
    lines = list(lines)
    for kind, where, value, other in edits:
        at, to = where % len(lines), other % len(lines)
        match kind:
            case "value":
                lines[at] = with_value(lines[at], value)
            case "drop":
                lines[at] = ""
            case "double":
                lines.insert(to, lines[at])
            case "move":
                lines.insert(to, lines.pop(at))
            case "engine":
                lines[at] = lines[at].replace('engine="0"', 'engine="1"')
    return lines


EDITS = st.lists(
    st.tuples(
        st.sampled_from(["value", "drop", "double", "move", "engine"]),
        st.integers(0, 999),
        VALUES,
        st.integers(0, 999),
    ),
    max_size=4,
)


@settings(deadline=None)
@given(st.lists(st.tuples(EDITS, st.sampled_from(["\n", "", "\r\n"])), min_size=1, max_size=5))
def test_edited_pages_in_any_order(pages):
    reader = PageReader(max_remembered_bytes=30_000)
    for edits, end in pages:
        text = "\n".join(edited(LINES, edits)) + end
        assert reader(text, **GIVEN) == read_page(text, **GIVEN)
        assert reader(text, **GIVEN) == read_page(text, **GIVEN)
        assert reader.remembered_bytes <= 30_000


@given(st.lists(st.text(max_size=80), min_size=1, max_size=4))
def test_any_texts(texts):
    reader = PageReader()
    for text in (*texts, *texts):
        assert reader(text, **GIVEN) == read_page(text, **GIVEN)


SCRAPS = st.sampled_from(
    ["vllm:num_requests_running", "a", "{", "}", '"', 'engine="0"', "=", ",", " ", "\n", "\\", "#",
     "1", "NaN", "_created", "\r", "\t", "\u2028"]
)  # fmt: skip


@settings(max_examples=300)
@given(st.lists(SCRAPS, max_size=30))
def test_any_mixture_of_syntax(scraps):
    reader, text = PageReader(), "".join(scraps)
    for page in (text, f"{text}\n", text):
        assert reader(page, **GIVEN) == read_page(page, **GIVEN)
