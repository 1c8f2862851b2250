"""Events come out whole and in order however the bytes are cut, and nothing is lost."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.gateway.sse import MAX_EVENT_BYTES, EventSplitter, event_data

lines = st.sampled_from([b"data: x", b"data:", b": note", b"event: y", b"data: {}", b"", b"id: 4"])
ends = st.sampled_from([b"\n", b"\r\n", b"\r"])


@given(
    parts=st.lists(st.tuples(lines, ends), max_size=30),
    cuts=st.lists(st.integers(0, 300), max_size=40),
)
def test_no_byte_is_lost_or_moved(parts: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    raw = b"".join(line + end for line, end in parts)
    splitter = EventSplitter()
    places = sorted({min(cut, len(raw)) for cut in cuts} | {0, len(raw)})
    pieces = [raw[a:b] for a, b in itertools.pairwise(places)]
    events = [event for piece in pieces for event in splitter.feed(piece)]
    assert b"".join(events) + splitter.rest() == raw


@given(
    end=ends,
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"))),
    size=st.integers(1, 9),
)
def test_the_data_is_the_same_however_it_is_cut(end: bytes, texts: list[str], size: int) -> None:
    raw = b"".join(b"data: " + text.encode() + end + end for text in texts)
    splitter = EventSplitter()
    events = [
        event
        for start in range(0, len(raw), size)
        for event in splitter.feed(raw[start : start + size])
    ]
    found = [data for data in map(event_data, [*events, splitter.rest()]) if data is not None]
    assert found == [text.encode() for text in texts]


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (b"data: x\n\n", b"x"),
        (b"data:x\n\n", b"x"),
        (b"data:  x\n\n", b" x"),
        (b"data: x\r\ndata: y\r\n\r\n", b"x\ny"),
        (b"event: a\ndata: x\nid: 3\n\n", b"x"),
        (b": comment\n\n", None),
        (b"data\n\n", b""),
        (b"database: x\n\n", None),
        (b"\n", None),
    ],
)
def test_data_lines_are_joined_and_the_rest_ignored(event: bytes, data: bytes | None) -> None:
    assert event_data(event) == data


def test_an_event_without_end_does_not_fill_the_memory() -> None:
    splitter = EventSplitter()
    passed = [event for _ in range(40) for event in splitter.feed(b"a" * 100_000)]
    assert sum(map(len, passed)) + len(splitter.rest()) == 4_000_000
    assert max(map(len, passed)) <= MAX_EVENT_BYTES + 100_000


def test_an_event_is_out_as_soon_as_its_blank_line_is_in() -> None:
    splitter = EventSplitter()
    assert splitter.feed(b"data: x\n") == []
    assert splitter.feed(b"\ndata: y\n\r\n") == [b"data: x\n\n", b"data: y\n\r\n"]
    assert re.fullmatch(rb"", splitter.rest())
