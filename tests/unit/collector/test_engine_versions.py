"""A version is asked for once per start, only where anybody may, and never guessed."""

import json

import pytest

from collector.clock import VirtualClock
from collector.engine_versions import EngineVersions, VersionQuestion
from collector.loop import version_questions
from collector.model.ids import ReplicaId
from collector.model.reading import Fresh, MissingReason
from collector.model.replica import EngineKind, ReplicaState
from collector.ports import Exposition
from support.collector_worlds import (
    CONTRACTS,
    answered,
    failed,
    make_catalogue,
    make_replica,
    make_service,
)

R1 = ReplicaId("r1")
QUESTION = VersionQuestion(
    replica_id=R1,
    base_url="http://h:1/",
    endpoint=CONTRACTS.engines[EngineKind.VLLM].version_endpoint(),
)


class Desk:
    """One engine that is asked when it is due."""

    def __init__(self):
        self.clock = VirtualClock(1000.0)
        self.versions = EngineVersions(clock=self.clock)
        self.asked_count = 0

    def round(self, body='{"version": "0.32.0"}', *, page="\n"):
        """One round; what is known after it."""
        at = self.clock.timestamp_seconds()
        due = self.versions.due([QUESTION])
        self.asked_count += len(due)
        self.versions.learn([(each, self._exposition("v", body)) for each in due])
        reading = self.versions.readings({R1: self._exposition("r1", page)}).get(R1)
        assert not isinstance(reading, Fresh) or reading.observed_timestamp_seconds == at
        return reading.value if isinstance(reading, Fresh) else reading and reading.reason

    def _exposition(self, key, text) -> Exposition:
        at = self.clock.timestamp_seconds()
        return failed(key, at=at) if text is None else answered(key, text, at=at)


def test_the_question_goes_to_the_safe_path():
    assert QUESTION.target.url == "http://h:1/version"
    assert QUESTION.target.key == "r1#version"


async def test_a_version_is_asked_for_once():
    desk = Desk()
    assert [desk.round() for _ in range(3)] == ["0.32.0"] * 3
    assert desk.asked_count == 1
    await desk.clock.advance(601)
    assert desk.round('{"version": "0.33.0"}') == "0.33.0"
    assert desk.asked_count == 2


def test_an_engine_that_fell_silent_is_asked_again():
    desk = Desk()
    desk.round()
    assert desk.round(page=None) is None
    assert desk.round('{"version": "0.8.5"}') == "0.8.5"
    assert desk.asked_count == 2


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        pytest.param(None, MissingReason.SOURCE_UNREACHABLE, id="refused"),
        pytest.param("<html>", MissingReason.SERIES_ABSENT, id="no JSON"),
        pytest.param("[" * 100_000, MissingReason.SERIES_ABSENT, id="deep"),
        pytest.param("[]", MissingReason.SERIES_ABSENT, id="no object"),
        pytest.param("{}", MissingReason.SERIES_ABSENT, id="no version"),
        pytest.param('{"version": 3}', MissingReason.SERIES_ABSENT, id="a number"),
        pytest.param('{"version": "0.0"}', MissingReason.CANNOT_SEE, id="zeros"),
        pytest.param('{"version": " "}', MissingReason.SERIES_ABSENT, id="empty"),
        pytest.param(json.dumps({"version": "9" * 101}), MissingReason.SERIES_ABSENT, id="long"),
    ],
)
async def test_no_version_is_missing_and_asked_for_a_minute_later(body, reason):
    desk = Desk()
    assert [desk.round(body) for _ in range(2)] == [reason, reason]
    assert desk.asked_count == 1
    await desk.clock.advance(61)
    assert desk.round() == "0.32.0"


async def test_a_known_version_survives_a_question_that_gave_nothing():
    desk = Desk()
    desk.round()
    await desk.clock.advance(601)
    assert desk.round(None) == "0.32.0"


def test_a_replica_that_went_is_forgotten():
    desk = Desk()
    desk.round()
    assert desk.versions.due([]) == ()
    assert desk.versions.readings({R1: answered("r1", "", at=1.0)}) == {}
    assert desk.round(None) is MissingReason.SOURCE_UNREACHABLE


@pytest.mark.parametrize(
    ("kind", "state", "is_asked"),
    [
        (EngineKind.VLLM, ReplicaState.SERVING, True),
        (EngineKind.VLLM, ReplicaState.DRAINING, True),
        (EngineKind.VLLM, ReplicaState.LOADING, False),
        (EngineKind.VLLM, ReplicaState.ASLEEP, False),
        (EngineKind.TGI, ReplicaState.SERVING, True),
        (EngineKind.LLAMA_CPP, ReplicaState.SERVING, True),
        (EngineKind.OLLAMA, ReplicaState.SERVING, False),  # it has no page to read
    ],
)
def test_only_engines_that_tell_it_are_asked(kind, state, is_asked):
    questions = version_questions(
        [make_replica(state=state)],
        catalogue=make_catalogue(make_service(engine=kind)),
        contracts=CONTRACTS,
    )
    assert (len(questions) == 1) is is_asked
