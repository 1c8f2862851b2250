"""Days before the start reach the profiles beside the loop: once, through the door of events, and told."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autoscaler.checkpoint import load_checkpoint, save_checkpoint
from autoscaler.learn import apply_event
from autoscaler.model.event import PastDaysTold
from autoscaler.model.state import PROFILE_PLACES, ControllerState, DayProfile, ScaleFit
from collector.clock import VirtualClock
from collector.model.ids import ServiceName
from foresail.past_days import PastDaysPorts, keep_past_days
from support.builders import make_service_state, make_state
from support.control_loop import ControlLoop
from support.control_loop import running as running_loop
from support.desks import catalogue, service
from support.past_days import FakePast

CHAT, CODE = ServiceName("chat"), ServiceName("code")
DAY_SECONDS = 86_400.0
NOW = 19_688 * DAY_SECONDS + 12 * 3600.0  # a Monday's noon


def running(folder: Path, **parts: Any) -> contextlib.AbstractAsyncContextManager[ControlLoop]:
    """A loop at a time that has a past."""
    return running_loop(folder, **{"clock": VirtualClock(NOW), **parts})


def steady(timestamp_seconds: float) -> float:
    return 2.0


def since(days: float) -> Any:
    return lambda at: 2.0 if at >= NOW - days * DAY_SECONDS else None


@contextlib.asynccontextmanager
async def reading(loop: ControlLoop, past: FakePast) -> AsyncIterator[None]:
    """The side work runs beside the loop."""
    controller = loop.controller
    ports = PastDaysPorts(
        reader=past,
        catalogue=lambda: controller.parts.catalogue.current,
        resumed=controller.take_resumed,
        state=lambda: controller.state,
        tell=controller.on_past_days,
        clock=loop.clock,
        log=controller.parts.log,
    )
    task = asyncio.create_task(keep_past_days(ports))
    try:
        yield
    finally:
        past.gate.set()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(loop: ControlLoop, condition: Any) -> None:
    """Lets virtual time pass until the condition holds; fails after five real seconds."""
    async with asyncio.timeout(5):
        while not condition():
            await loop.clock.advance(1.0)
            await asyncio.sleep(0.001)


def declared(*names: str) -> Mapping[str, Any]:
    """A catalogue of services that nobody has to serve, each with a model of its own."""
    plain = service(min_replicas=0, command=["serve", "{port}"])
    return catalogue({name: {**plain, "models": [name]} for name in names})


def profile(loop: ControlLoop, name: ServiceName = CHAT) -> DayProfile:
    return loop.controller.state.service(name).scale_fit.day_profile


def told(loop: ControlLoop) -> list[str]:
    return [each["told"] for each in loop.events("past_days")]


def left_out(loop: ControlLoop) -> list[str]:
    return [each["error"] for each in loop.events("past_days_left_out")]


async def test_an_empty_profile_is_told_at_the_next_tick(tmp_path: Path) -> None:
    async with running(tmp_path) as loop, reading(loop, FakePast({"chat": since(9)})):
        await until(loop, lambda: sum(profile(loop).days) > 720)
        assert told(loop) == ["day profile of chat: 9 days of 14 told from history"]
        assert left_out(loop) == []


async def test_the_first_decision_does_not_wait_for_the_past(tmp_path: Path) -> None:
    past = FakePast({"chat": steady})
    past.gate.clear()
    async with running(tmp_path) as loop, reading(loop, past):
        await until(loop, lambda: past.asked)
        decided = len(loop.recorded())
        assert decided >= 1
        looks = loop.world.looks
        await until(loop, lambda: loop.world.looks > looks + 3)
        assert told(loop) == []
        past.gate.set()
        await until(loop, lambda: told(loop))


async def test_after_a_restart_nothing_is_read_again(tmp_path: Path) -> None:
    past = FakePast({"chat": steady})
    async with running(tmp_path) as first, reading(first, past):
        await until(first, lambda: sum(profile(first).days) > 720)
    before, asked = profile(first), len(past.asked)
    async with running(tmp_path, clock=first.clock) as second, reading(second, past):
        await second.clock.advance(180.0)
        assert profile(second).days == before.days
        assert len(past.asked) == asked
        assert told(second) == []


async def test_after_days_without_a_controller_what_was_missed_is_told(tmp_path: Path) -> None:
    past = FakePast({"chat": steady})
    async with running(tmp_path) as first, reading(first, past):
        await until(first, lambda: sum(profile(first).days) > 720)
    saved = load_checkpoint(tmp_path / "checkpoint")
    before = profile(first)
    assert before.next_bin is not None
    older = replace(before, next_bin=before.next_bin - 3 * 720)
    known = replace(saved.state.service(CHAT), scale_fit=ScaleFit(day_profile=older))
    state = replace(saved.state, services={CHAT: known})
    save_checkpoint(tmp_path / "checkpoint", checkpoint=replace(saved, state=state))
    async with running(tmp_path, clock=first.clock) as second, reading(second, past):
        await until(second, lambda: told(second))
        assert told(second) == ["day profile of chat: 3 days of 3 told from history"]
        await until(second, lambda: sum(profile(second).days) == sum(before.days) + 3 * 720)


async def test_what_cannot_be_read_is_told_once_and_tried_again(tmp_path: Path) -> None:
    past = FakePast({"chat": steady}, fails_before_timestamp_seconds=math.inf)
    async with running(tmp_path) as loop, reading(loop, past):
        await until(loop, lambda: len(past.asked) == 3)
        assert left_out(loop) == ["0 of 14 days before were read: it is gone"]
        assert told(loop) == []
        assert sum(profile(loop).days) == 0
        past.fails_before_timestamp_seconds = 0.0
        await until(loop, lambda: told(loop))
        assert len(left_out(loop)) == 1


async def test_what_was_read_in_part_is_used_and_not_tried_again(tmp_path: Path) -> None:
    past = FakePast({"chat": steady}, fails_before_timestamp_seconds=NOW - 3.5 * DAY_SECONDS)
    async with running(tmp_path) as loop, reading(loop, past):
        await until(loop, lambda: sum(profile(loop).days) > 720)
        asked = len(past.asked)
        await loop.clock.advance(180.0)
        assert len(past.asked) == asked
        assert left_out(loop) == ["2.5 of 14 days before were read: it is gone"]


async def test_a_service_that_is_new_is_read_and_the_others_are_not(tmp_path: Path) -> None:
    past = FakePast({"chat": steady, "code": since(2)})
    async with running(tmp_path) as loop, reading(loop, past):
        await until(loop, lambda: told(loop))
        loop.write_catalogue(declared("chat", "code"))
        await until(loop, lambda: sum(profile(loop, CODE).days) > 720)
        assert told(loop)[1:] == ["day profile of code: 2 days of 14 told from history"]


async def test_a_fleet_is_told_in_one_line(tmp_path: Path) -> None:
    names = [f"s{number}" for number in range(21)]
    past = FakePast({name: since(int(name[1:])) for name in names})
    async with running(tmp_path, content=declared(*names)) as loop, reading(loop, past):
        await until(loop, lambda: told(loop))
        (line,) = told(loop)
        assert line == (
            "day profiles of 20 of 21 services told from history, 0.99 to 14 days of 14 each"
        )


def with_days(count: int) -> DayProfile:
    return DayProfile(
        work=bytes(4 * PROFILE_PLACES),
        days=bytes([count] * PROFILE_PLACES),
        next_bin=100,
    )


@pytest.mark.parametrize(
    ("known", "read", "kept"),
    [
        pytest.param(DayProfile(), with_days(1), with_days(1), id="more-wins"),
        pytest.param(with_days(2), with_days(1), with_days(2), id="less-changes-nothing"),
        pytest.param(with_days(1), DayProfile(), with_days(1), id="nothing-changes-nothing"),
    ],
)
def test_history_never_takes_days_from_a_profile(
    known: DayProfile, read: DayProfile, kept: DayProfile
) -> None:
    state = make_state(**{CHAT: make_service_state(scale_fit=ScaleFit(day_profile=known))})
    after = apply_event(state, PastDaysTold(profiles={CHAT: read}))
    assert after.service(CHAT).scale_fit.day_profile == kept
    assert after.variants == state.variants


def test_what_is_told_of_a_service_that_is_new_here_is_kept_for_it() -> None:
    after = apply_event(ControllerState(), PastDaysTold(profiles={CHAT: with_days(1)}))
    assert after.service(CHAT).scale_fit.day_profile == with_days(1)
