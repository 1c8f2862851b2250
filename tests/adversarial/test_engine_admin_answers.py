"""Hostile admin answers: whatever JSON an engine sends, readings stay honest and the page stays readable."""

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.clock import VirtualClock
from collector.engine_series import EngineLook, engine_families
from collector.metric_page import metric_page
from collector.model.engine_admin import AdminApi
from collector.model.reading import Missing, MissingReason
from collector.normalise.exposition import parse_exposition
from collector.sources.engine_admin.http import document_of
from support import played_answers
from support.admin_worlds import READERS
from support.engine_admin_suite import check_readings
from support.played_engine import Played

UNSEEN = Missing(reason=MissingReason.CANNOT_SEE, source="test")
ANSWERS = {
    AdminApi.OLLAMA: played_answers.ollama("ps_three"),
    AdminApi.LLAMA_CPP: played_answers.llama_cpp_router(tiny="loaded", big="sleeping"),
    AdminApi.LLAMA_SWAP: played_answers.llama_swap(tiny="ready"),
    AdminApi.VLLM: played_answers.vllm(is_asleep=True, pending=True),
}
FIELDS = sorted(
    {"models", "data", "running", "name", "id", "model", "size", "size_vram", "expires_at", "state"}
    | {"status", "value", "meta", "digest", "version", "is_sleeping", "is_paused", "server_load"}
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
JSON_VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=15,
)


class Tape:
    """In place of HTTP: bodies by path."""

    def __init__(self, bodies):
        self.clock = VirtualClock(1_000.0)
        self._bodies = bodies

    async def read_all(self, _base_url, *paths):
        return tuple(document_of(path, self._bodies.get(path, b"")) for path in paths)


def check(api, bodies):
    state = asyncio.run(READERS[api](Tape(bodies)).read_admin_state("http://engine"))
    check_readings(state)
    assert all(len(each.message) < 400 for each in state.problems)
    look = EngineLook(
        address="engine", state=state, running_requests=UNSEEN, waiting_requests=UNSEEN
    )
    page = metric_page(engine_families([look]))
    page.encode()
    read = parse_exposition(page, source="agent", dropped_suffixes=())
    assert read.problems == ()


def bodies_of(api):
    return {path: each.body for path, each in ANSWERS[api].items() if isinstance(each, Played)}


@pytest.mark.parametrize("api", READERS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_json_is_read_or_told(api, data):
    check(api, {path: json.dumps(data.draw(JSON_VALUES)).encode() for path in bodies_of(api)})


@pytest.mark.parametrize("api", READERS)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_one_value_of_a_true_answer_may_become_anything(api, data):
    bodies = bodies_of(api)
    path = data.draw(st.sampled_from(sorted(bodies)))
    document = json.loads(bodies[path])
    holder, key = data.draw(st.sampled_from(list(_places(document))))
    holder[key] = data.draw(JSON_VALUES)
    check(api, {**bodies, path: json.dumps(document).encode()})


@pytest.mark.parametrize("api", READERS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_an_answer_cut_anywhere_or_with_a_changed_byte_is_read_or_told(api, data):
    bodies = bodies_of(api)
    path = data.draw(st.sampled_from(sorted(bodies)))
    body = bytearray(bodies[path])
    at = data.draw(st.integers(0, len(body) - 1))
    if data.draw(st.booleans()):
        del body[at:]
    else:
        body[at] = data.draw(st.integers(0, 255))
    check(api, {**bodies, path: bytes(body)})


def _places(document):
    """(container, key) of every value inside."""
    items = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in list(items):
        yield document, key
        if isinstance(value, dict | list):
            yield from _places(value)
