"""What would be decided now: the controller's own decision on its checkpoint, without acting."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from autoscaler.errors import CheckpointError
from autoscaler.model.action import Reason
from autoscaler.model.decision import Verdict
from collector.errors import CatalogueError
from foresail.plan_command import PlanResult, plan
from foresail.settings import Settings
from support.builders import NOW
from support.control_loop import ControlLoop, chat_catalogue, running
from support.desks import catalogue, service


async def saved(folder: Path, *, held: float) -> ControlLoop:
    """A loop that has decided once with that many held requests, and ended."""
    async with running(folder) as loop:
        loop.world.held = held
        await loop.clock.advance(15.0)
    return loop


def settings_of(loop: ControlLoop) -> Settings:
    return loop.controller.parts.settings


def planned(settings: Settings, *, checkpoint: Path | None = None, now: float = NOW) -> PlanResult:
    """The plan, where there is something to plan on."""
    result = plan(settings, checkpoint=checkpoint, now=now)
    assert result is not None
    return result


async def test_it_decides_as_the_controller_did_and_tells_the_age(tmp_path: Path) -> None:
    loop = await saved(tmp_path, held=2)
    result = planned(settings_of(loop), now=NOW + 75)
    (decision,) = result.decisions
    (carried_out,) = loop.executor.submitted
    assert result.age_seconds == 60
    assert (decision.reason, decision.verdict) == (Reason.HELD_REQUEST, Verdict.ACT)
    assert decision.action == carried_out.action
    assert decision.decided_timestamp_seconds == NOW + 15


async def test_a_clock_that_was_set_back_gives_no_negative_age(tmp_path: Path) -> None:
    loop = await saved(tmp_path, held=0)
    assert planned(settings_of(loop), now=NOW - 5).age_seconds == 0


async def test_the_catalogue_as_it_is_in_the_file_now_counts(tmp_path: Path) -> None:
    loop = await saved(tmp_path, held=2)
    loop.write_catalogue(chat_catalogue(mode="dry_run"))
    (decision,) = planned(settings_of(loop)).decisions
    assert decision.verdict is Verdict.DRY_RUN


async def test_a_service_that_is_new_in_the_file_is_planned_without_a_past(tmp_path: Path) -> None:
    loop = await saved(tmp_path, held=0)
    chat = chat_catalogue()["services"]["chat"]
    more = {"chat": chat, "code": {**service(command=["serve", "{port}"]), "models": ["code"]}}
    loop.write_catalogue(catalogue(more))
    found = planned(settings_of(loop)).decisions
    assert [(each.service, each.reason.value) for each in found] == [
        ("chat", "no_fresh_data"),
        ("code", "minimum_replicas"),
    ]


async def test_a_checkpoint_that_is_named_brings_its_own_catalogue(tmp_path: Path) -> None:
    loop = await saved(tmp_path, held=2)
    settings, elsewhere = settings_of(loop), tmp_path / "elsewhere"
    settings.checkpoint_path.rename(elsewhere)
    loop.write_catalogue("services: [")
    (decision,) = planned(settings, checkpoint=elsewhere).decisions
    assert decision.verdict is Verdict.ACT


async def test_it_changes_no_file(tmp_path: Path) -> None:
    loop = await saved(tmp_path, held=2)
    before = modification_times(tmp_path)
    plan(settings_of(loop), checkpoint=None, now=NOW)
    assert modification_times(tmp_path) == before


def modification_times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


async def test_before_a_controller_ran_nothing_is_known_and_that_is_no_error(
    tmp_path: Path,
) -> None:
    assert plan(settings_of(ControlLoop(tmp_path)), checkpoint=None, now=NOW) is None


async def test_a_checkpoint_that_is_named_must_be_there(tmp_path: Path) -> None:
    settings = settings_of(ControlLoop(tmp_path))
    with pytest.raises(CheckpointError, match="there is none"):
        plan(settings, checkpoint=tmp_path / "elsewhere", now=NOW)


async def test_a_broken_catalogue_is_told(tmp_path: Path) -> None:
    loop = await saved(tmp_path, held=0)
    path = tmp_path / "broken.yaml"
    path.write_text(yaml.safe_dump({"version": 1}))
    with pytest.raises(CatalogueError, match=r"broken\.yaml"):
        plan(replace(settings_of(loop), catalogue_path=path), checkpoint=None, now=NOW)
