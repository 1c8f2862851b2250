"""The minutes under traffic: real requests to an emulated engine, and a controller that answers or not."""

import asyncio
from collections.abc import Sequence

from autoscaler.model.action import Reason
from collector.clock import SystemClock
from foresail.demo.completion import Endpoint
from foresail.demo.fleet.live.plan import live_services
from foresail.demo.fleet.live.show import Show
from foresail.demo.trace import PlannedRequest
from foresail.http.bodies import DecisionBody, StateBody
from support.emulated import emulated
from support.live_fleet import decision_body, replica_body, state_body

NAMES = [each.name for each in live_services()]


class FakeController:
    """One replica of `office`; answers the first look only, unless told otherwise."""

    def __init__(self, *, answers: int = 1) -> None:
        self._answers = answers
        self.decided: list[DecisionBody] = []

    async def state(self) -> StateBody | None:
        self._answers -= 1
        replicas = {name: [replica_body("a")] if name == "office" else [] for name in NAMES}
        return state_body(replicas) if self._answers >= 0 else None

    async def decisions(self) -> Sequence[DecisionBody] | None:
        return self.decided


def made_show(controller: FakeController) -> Show:
    return Show(
        live_services(), controller=controller, clock=SystemClock(), end_seconds=1.0, seed=0
    )


def requests(count: int) -> list[PlannedRequest]:
    return [
        PlannedRequest(
            service="office", index=number, at_seconds=0.01 * number, prompt_tokens=500, output_tokens=5
        )
        for number in range(count)
    ]  # fmt: skip


async def test_what_clients_got_and_what_the_controller_said_come_together() -> None:
    show = made_show(FakeController(answers=100))
    async with emulated(model_name="office") as engine:
        await show.run(
            requests(4),
            endpoint=Endpoint(url=engine.url, characters_per_token=4),
            stop=asyncio.Event(),
            on_look=lambda _: None,
        )
        counted = engine.server.engine.metrics.lines()
    (side,) = show.body.sides
    assert show.body.is_over
    assert (side.gpus_in_use, side.services[0].attainment_ratio) == (1, 1.0)
    prompts = next(line for line in counted if line.startswith("vllm:prompt_tokens_total"))
    assert 4 * 480 < float(prompts.split()[-1]) <= 4 * 504


async def test_a_silent_controller_leaves_what_was_known() -> None:
    show = made_show(FakeController(answers=1))
    async with emulated(model_name="office") as engine:
        await show.run(
            requests(2),
            endpoint=Endpoint(url=engine.url),
            stop=asyncio.Event(),
            on_look=lambda _: None,
        )
    (side,) = show.body.sides
    assert side.gpus_in_use == 1
    assert side.gpu_hours > 0
    assert show.result.tally.fates["office"].served == 2


async def test_a_move_is_new_once_and_only_when_a_count_changed() -> None:
    controller = FakeController(answers=100)
    show = made_show(controller)
    later = SystemClock().timestamp_seconds() + 10.0
    controller.decided = [
        decision_body(at=later + 1.0, kind="hold", reason=Reason.MEMORY_FULL),
        decision_body(at=later, kind="scale", reason=Reason.DEMAND_FORECAST),
    ]
    await show.run(
        [],
        endpoint=Endpoint(url="http://127.0.0.1:1"),
        stop=asyncio.Event(),
        on_look=lambda _: None,
    )
    assert [(each.from_replicas, each.to_replicas) for each in show.new_moves()] == [(1, 2)]
    assert show.new_moves() == []
    assert len(show.body.sides[0].moves) == 2
