"""What every `EngineAdminReader` must do at its engine, played, emulated or real.

Subclass `EngineAdminSuite` and give it a fixture `engine` of `AdminEngine`. The engine serves one model
that `rest` makes rest (asleep or unloaded) and `load` makes answer at once.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields

from collector.model.engine_admin import EngineAdminState, EngineModel, ModelState
from collector.model.reading import Fresh, Missing
from collector.ports import EngineAdminReader
from support.desks import wait_until


@dataclass(frozen=True, kw_only=True)
class AdminEngine:
    """One engine that runs, and how to change it."""

    reader: EngineAdminReader
    base_url: str
    model: str  # as the engine lists it
    load: Callable[[], Awaitable[None]]
    rest: Callable[[], Awaitable[None]]
    resting: ModelState  # what `rest` leads to

    async def look(self) -> EngineAdminState:
        """One look."""
        return await self.reader.read_admin_state(self.base_url)

    async def look_at_model(self) -> EngineModel:
        """One look, at the model alone."""
        return the_model(await self.look(), self.model)

    async def until(self, state: ModelState) -> None:
        """Returns when the model is in that state; fails the test after a while."""

        async def is_there() -> bool:
            reading = (await self.look_at_model()).state
            return isinstance(reading, Fresh) and reading.value is state

        await wait_until(is_there, what=lambda: f"{self.model} is not {state.value}")


def the_model(state: EngineAdminState, name: str) -> EngineModel:
    """The model of that name. Fails the test when there is none."""
    assert isinstance(state.models, Fresh), state
    (found,) = (each for each in state.models.value if each.name == name)
    return found


def readings(part: object) -> list[object]:
    """Every field of a state or a model that is a reading."""
    values = [getattr(part, each.name) for each in fields(part)]  # type: ignore[arg-type]  # any dataclass
    return [each for each in values if hasattr(each, "kind")]


def check_readings(state: EngineAdminState) -> None:
    """Fails unless every fact is fresh or says why not, and every number is one."""
    models = state.models.value if isinstance(state.models, Fresh) else ()
    assert len({each.name for each in models}) == len(models)
    for part in (state, *models):
        for each in readings(part):
            assert isinstance(each, Fresh | Missing), each
            if isinstance(each, Fresh) and isinstance(each.value, float):
                assert 0 <= each.value < float("inf")
    assert all(problem.message.count("\n") == 0 for problem in state.problems)


class EngineAdminSuite:
    """The contract."""

    async def test_it_tells_its_model(self, engine: AdminEngine) -> None:
        state = await engine.look()
        assert state.has_answered
        assert state.base_url == engine.base_url
        assert the_model(state, engine.model).name == engine.model

    async def test_every_fact_is_fresh_or_says_why_not(self, engine: AdminEngine) -> None:
        check_readings(await engine.look())

    async def test_a_loaded_model_is_told(self, engine: AdminEngine) -> None:
        await engine.load()
        await engine.until(ModelState.LOADED)
        check_readings(await engine.look())

    async def test_a_model_at_rest_is_told_and_looking_leaves_it_at_rest(
        self, engine: AdminEngine
    ) -> None:
        await engine.load()
        await engine.rest()
        await engine.until(engine.resting)
        for _ in range(5):
            state = (await engine.look_at_model()).state
            assert isinstance(state, Fresh), state
            assert state.value is engine.resting

    async def test_looking_does_not_prolong_a_stay(self, engine: AdminEngine) -> None:
        await engine.load()
        await engine.until(ModelState.LOADED)
        first = (await engine.look_at_model()).expiry_timestamp_seconds
        second = (await engine.look_at_model()).expiry_timestamp_seconds
        assert first.kind == second.kind
        if isinstance(first, Fresh) and isinstance(second, Fresh):
            assert first.value == second.value

    async def test_many_looks_at_once_agree(self, engine: AdminEngine) -> None:
        states = await asyncio.gather(*(engine.look() for _ in range(5)))
        assert len({each.has_answered for each in states}) == 1
