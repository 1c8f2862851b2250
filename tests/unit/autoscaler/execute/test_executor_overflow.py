"""Overflows at the executor: what is written to the gateway, and when nothing is."""

from dataclasses import replace

import pytest

from autoscaler.errors import NotLeader
from autoscaler.execute import Executor
from autoscaler.model.action import Hold
from autoscaler.model.decision import Decision, Verdict
from autoscaler.model.overflow import OverflowPlan, OverflowReason
from support.execution import World, make_decision


def deciding(*, is_open: bool) -> Decision:
    plan = OverflowPlan(
        is_open=is_open,
        reason=OverflowReason.SHORTFALL,
        share_ratio=0.4,
        budget=2.0,
        spent_last_hour=1.0,
    )
    verdict = Verdict.ACT if is_open else Verdict.NOTHING_TO_DO
    return replace(make_decision(Hold()), overflow=plan, overflow_verdict=verdict)


async def told(executor: Executor, decision: Decision) -> None:
    await executor.open_overflows([decision], decide_interval_seconds=15.0)


async def test_an_open_one_is_written_each_time_and_a_closed_one_once() -> None:
    world = World()
    executor = world.executor()
    await told(executor, deciding(is_open=False))
    assert world.router.written == []
    await told(executor, deciding(is_open=True))
    await told(executor, deciding(is_open=True))
    assert [each.share_ratio for each in world.router.overflows] == [0.4]
    await told(executor, deciding(is_open=False))
    assert world.router.overflows == ()
    await told(executor, deciding(is_open=False))
    assert len(world.router.written) == 3


async def test_routes_written_for_another_reason_carry_the_same_grant() -> None:
    world = World()
    executor = world.executor()
    await told(executor, deciding(is_open=True))
    (first,) = world.router.overflows
    await executor.publish_routes()
    assert world.router.overflows == (first,)


async def test_who_does_not_lead_opens_nothing() -> None:
    world = World()
    executor = world.executor()
    world.fence.leads = False
    with pytest.raises(NotLeader):
        await told(executor, deciding(is_open=True))
    assert world.router.written == []
