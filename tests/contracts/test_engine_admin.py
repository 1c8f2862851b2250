"""What every `EngineAdminReader` must do, on played answers, the emulated engine and a real llama.cpp.

The same suite runs on real engines of other kinds where a stage starts them.
"""

from urllib.parse import urlsplit

import pytest

from collector.clock import VirtualClock
from collector.contract.loader import load_contracts
from collector.model.contract import ExporterKind, VersionRange
from collector.model.engine_admin import AdminApi
from collector.model.reading import Missing, MissingReason
from collector.model.replica import EngineKind
from collector.sources.engine_admin import AdminHttp, OllamaAdminReader
from support import played_answers
from support.admin_worlds import PLAYED, READERS, WORLDS, reader_of
from support.engine_admin_suite import EngineAdminSuite, check_readings
from support.engines import free_port
from support.played_engine import playing

ALWAYS = VersionRange(lower=(0,), upper=None)


class TestEngineAdmin(EngineAdminSuite):
    @pytest.fixture(params=list(WORLDS))
    async def engine(self, request):
        async with WORLDS[request.param]() as engine:
            yield engine


def safe_paths(api):
    """Paths that may be polled whatever the version, by the contract."""
    contracts = load_contracts()
    contract = (
        contracts.exporters[ExporterKind.LLAMA_SWAP]
        if api is AdminApi.LLAMA_SWAP
        else contracts.engines[EngineKind(api.value)]
    )
    return {each.path for each in contract.endpoints if each.observer_safe == ALWAYS}


@pytest.mark.parametrize("world", PLAYED)
async def test_only_paths_are_asked_that_the_contract_calls_safe(world):
    api, _, _, loaded, at_rest = PLAYED[world]
    async with playing(loaded) as engine, reader_of(api) as reader:
        await reader.read_admin_state(engine.url)
        engine.answers = at_rest
        await reader.read_admin_state(engine.url)
        engine.answers = {}
        await reader.read_admin_state(engine.url)
        asked = set(engine.asked)
    assert {each.split(" ")[0] for each in asked} == {"GET"}
    assert {urlsplit(each.split(" ")[1]).query for each in asked} == {""}
    assert {each.split(" ")[1] for each in asked} <= safe_paths(api)


@pytest.mark.parametrize("api", READERS)
async def test_an_engine_that_is_gone_is_missing_and_one_problem(api):
    async with reader_of(api) as reader:
        state = await reader.read_admin_state(f"http://127.0.0.1:{free_port()}")
    check_readings(state)
    assert not state.has_answered
    assert isinstance(state.models, Missing)
    assert state.models.reason is MissingReason.SOURCE_UNREACHABLE
    assert isinstance(state.version, Missing)
    assert len(state.problems) == 1
    assert "cannot connect" in state.problems[0].message


@pytest.mark.parametrize("api", READERS)
async def test_a_server_of_another_kind_is_told_from_an_engine_at_rest(api):
    async with playing({}) as stranger, reader_of(api) as reader:
        state = await reader.read_admin_state(stranger.url)
    check_readings(state)
    assert not state.has_answered
    assert state.problems


async def test_connections_are_opened_anew_after_they_were_closed():
    http = AdminHttp(clock=VirtualClock(0.0))
    async with playing(played_answers.ollama()) as engine:
        for _ in range(2):
            state = await OllamaAdminReader(http).read_admin_state(engine.url)
            assert state.has_answered
            await http.close()
