"""A fleet's decision is computed beside the loop, a desk's on it; both are the same."""

import asyncio

import pytest

from autoscaler.decide import decide
from autoscaler.model.inputs import Inputs
from autoscaler.model.state import ControllerState
from foresail.deciding import MOST_SERVICES_ON_THE_LOOP, decided
from support.builders import NOW, make_catalogue, make_history, make_service, make_snapshot, steady


def inputs(services: int) -> Inputs:
    names = [f"service-{number}" for number in range(services)]
    return Inputs(
        snapshot=make_snapshot(),
        history=make_history({name: steady(1.0) for name in names}),
        catalogue=make_catalogue(*(make_service(name) for name in names)),
        state=ControllerState(),
        now=NOW,
    )


@pytest.mark.parametrize(
    ("services", "loop_goes_on"),
    [
        pytest.param(MOST_SERVICES_ON_THE_LOOP, False, id="desk"),
        pytest.param(MOST_SERVICES_ON_THE_LOOP + 1, True, id="fleet"),
    ],
)
async def test_a_fleet_is_decided_beside_the_loop(services: int, loop_goes_on: bool) -> None:
    asked = inputs(services)
    passed: list[str] = []
    asyncio.get_running_loop().call_soon(passed.append, "the loop went on")
    found = await decided(asked)
    assert bool(passed) is loop_goes_on
    assert found == decide(
        snapshot=asked.snapshot,
        history=asked.history,
        catalogue=asked.catalogue,
        state=asked.state,
        now=asked.now,
    )
