"""The contract of `EngineAdminReader` on a real vLLM and a real Ollama."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from collector.model.engine_admin import AdminApi, ModelState
from collector.model.reading import Missing, MissingReason, fresh_value
from support.admin_worlds import reader_of
from support.desks import wait_until
from support.engine_admin_suite import AdminEngine, EngineAdminSuite, the_model
from support.real_ollama import MODEL_NAME as OLLAMA_MODEL
from support.real_ollama import Ollama
from support.real_vllm import MODEL_NAME as VLLM_MODEL
from support.real_vllm import Engine

pytestmark = [pytest.mark.engines, pytest.mark.timeout(400)]


class TestRealVllm(EngineAdminSuite):
    @pytest.fixture
    async def engine(self, vllm: Engine) -> AsyncIterator[AdminEngine]:
        async def load() -> None:
            assert (await vllm.post("/wake_up"))[0] == 200

        async def rest() -> None:
            assert (await vllm.post("/sleep?level=1&mode=wait"))[0] == 200

        async with reader_of(AdminApi.VLLM) as reader:
            yield AdminEngine(
                reader=reader,
                base_url=vllm.url,
                model=VLLM_MODEL,
                load=load,
                rest=rest,
                resting=ModelState.ASLEEP,
            )
            await load()

    async def test_it_tells_what_the_flags_said(self, engine: AdminEngine) -> None:
        state = await engine.look()
        assert fresh_value(state.version) == "0.32.0"
        assert fresh_value(the_model(state, VLLM_MODEL).context_length_tokens) == 1024
        assert state.problems == ()
        # At rest /load says 0, which it also says where it was not told to count.
        assert isinstance(state.in_flight_requests, Missing)
        assert state.in_flight_requests.reason is MissingReason.SWITCHED_OFF

    async def test_a_request_to_a_sleeping_engine_is_in_flight(
        self, engine: AdminEngine, vllm: Engine
    ) -> None:
        await engine.rest()
        asked = asyncio.create_task(vllm.complete(prompt="x", max_tokens=2))

        async def is_told() -> bool:
            return fresh_value((await engine.look()).in_flight_requests) == 1

        try:
            await wait_until(is_told, what=lambda: "the request is in flight")
        finally:
            await engine.load()
            await asked


class TestRealOllama(EngineAdminSuite):
    @pytest.fixture
    async def engine(self, ollama: Ollama) -> AsyncIterator[AdminEngine]:
        async def load() -> None:
            await ollama.generate(prompt="a", options={"num_predict": 1})

        async def rest() -> None:
            await ollama.generate(keep_alive=0)

        async with reader_of(AdminApi.OLLAMA) as reader:
            yield AdminEngine(
                reader=reader,
                base_url=ollama.url,
                model=OLLAMA_MODEL,
                load=load,
                rest=rest,
                resting=ModelState.UNLOADED,
            )

    async def test_a_loaded_model_tells_its_memory_and_context(self, engine: AdminEngine) -> None:
        await engine.load()
        await engine.until(ModelState.LOADED)
        model = await engine.look_at_model()
        memory, stored = fresh_value(model.memory_bytes), fresh_value(model.stored_bytes)
        assert memory is not None
        assert stored is not None
        assert memory > stored > 100_000
        assert fresh_value(model.accelerator_memory_bytes) == 0
        assert fresh_value(model.context_length_tokens) == 4096
