"""The control loop: what it does at each tick, and what a failing one leaves alone."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from autoscaler.checkpoint import load_checkpoint, save_checkpoint
from autoscaler.errors import LedgerError
from autoscaler.model.action import Reason
from autoscaler.model.decision import Decision
from autoscaler.model.effect import JournalEntry, Phase
from autoscaler.model.event import ReplicaReady, ReplicaStartFailed
from collector.errors import TransientSourceError
from collector.gateway.wake import RequestHeld, WakeSender
from collector.model.ids import ReplicaId, ServiceName, VariantName
from foresail.http.state_view import not_ready_reason, state_body
from foresail.ledger_watch import LedgerWatch
from foresail.live_view import LiveView
from support.builders import CHAT, NOW, make_service_state, make_state
from support.control_loop import ControlLoop, RememberingExecutor, chat_catalogue, running
from support.execution import make_entry
from support.fakes import MemoryJournal

LLAMA = VariantName("llama")
FAILED_START = ReplicaStartFailed(
    service=CHAT,
    variant=LLAMA,
    replica_id=ReplicaId("chat-1"),
    failed_timestamp_seconds=NOW,
    message="chat-1: no such model",
)


def ticks(loop: ControlLoop, outcome: str) -> float | None:
    return loop.metric("foresail_ticks_total", outcome=outcome)


def failures(loop: ControlLoop) -> int:
    return loop.controller.state.variant(CHAT, LLAMA).consecutive_start_failures


@contextlib.contextmanager
def gateway_of(loop: ControlLoop) -> Iterator[WakeSender]:
    sender = WakeSender(loop.wake_path)
    try:
        yield sender
    finally:
        sender.close()


async def test_it_looks_and_decides_at_their_own_paces(tmp_path: Path) -> None:
    async with running(tmp_path) as loop:
        assert (loop.world.looks, len(loop.controller.latest)) == (1, 1)
        first = loop.controller.latest
        await loop.clock.advance(10.0)
        assert loop.world.looks == 3
        assert loop.controller.latest is first
        await loop.clock.advance(5.0)
        assert loop.world.looks == 4
        assert loop.controller.latest[0].decided_timestamp_seconds == NOW + 15
        assert ticks(loop, "succeeded") == 4


@pytest.mark.parametrize(
    ("error", "told"),
    [
        pytest.param(TransientSourceError("no answer"), "no answer", id="expected"),
        pytest.param(KeyError("surprise"), "KeyError: 'surprise'", id="defect"),
    ],
)
async def test_a_failing_tick_is_counted_told_and_changes_nothing(
    *, tmp_path: Path, error: Exception, told: str
) -> None:
    async with running(tmp_path) as loop:
        before = loop.controller.state
        loop.world.error = error
        loop.controller.on_event(FAILED_START)
        loop.world.held = 3
        await loop.clock.advance(14.0)
        failed = ticks(loop, "failed")
        assert failed
        assert loop.controller.state is before
        assert loop.carried_out() == []
        assert loop.controller.ticks.report().last_problem == told
        assert {each["error"] for each in loop.events("tick_failed")} == {told}

        loop.world.error = None
        await loop.clock.advance(15.0)
        assert ticks(loop, "failed") == failed
        assert loop.controller.ticks.report().last_problem is None
        assert failures(loop) == 1  # the event of the failed tick was not lost


async def test_an_event_enters_the_state_at_the_next_tick_which_comes_at_once(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as loop:
        decided = loop.controller.latest
        loop.controller.on_event(FAILED_START)
        assert failures(loop) == 0
        await loop.clock.advance(0.3)
        assert failures(loop) == 1
        assert loop.controller.latest is not decided
        told = loop.events("event")
        assert [each["message"] for each in told] == ["chat-1: no such model"]


async def test_what_is_known_moves_with_a_clock_that_is_set_and_only_once(tmp_path: Path) -> None:
    async with running(tmp_path) as loop:
        loop.controller.on_event(FAILED_START)
        await loop.clock.advance(0.3)
        loop.world.clock_set_by_seconds = 3600.0
        await loop.clock.advance(30.0)
        failed = loop.controller.state.variant(CHAT, LLAMA).last_start_failure_timestamp_seconds
        assert failed == NOW + 3600.0


async def test_a_held_request_is_decided_on_at_once(tmp_path: Path) -> None:
    async with running(tmp_path) as loop:
        await loop.clock.advance(3.0)
        loop.world.held = 1
        with gateway_of(loop) as gateway:
            assert gateway.send(RequestHeld(service=CHAT))
        await loop.clock.advance(0.0)
        (decision,) = loop.executor.submitted
        assert decision.reason is Reason.HELD_REQUEST
        assert decision.decided_timestamp_seconds == NOW + 3


async def test_a_burst_of_wakes_is_one_look(tmp_path: Path) -> None:
    async with running(tmp_path) as loop:
        await loop.clock.advance(3.0)
        looks = loop.world.looks
        with gateway_of(loop) as gateway:
            for _ in range(20):
                gateway.send(RequestHeld(service=CHAT))
                await loop.clock.advance(0.005)
        assert loop.world.looks == looks + 1
        await loop.clock.advance(0.2)
        assert loop.world.looks == looks + 2


async def test_effective_decisions_are_left_to_the_executor_to_record(tmp_path: Path) -> None:
    async with running(tmp_path) as loop:
        loop.world.held = 1
        await loop.clock.advance(15.0)
        assert [each.reason for each in loop.executor.submitted] == [Reason.HELD_REQUEST]
        assert loop.recorded() == ["no_fresh_data"]


async def test_a_hold_is_recorded_when_its_reason_changes(tmp_path: Path) -> None:
    async with running(tmp_path) as loop:
        await loop.clock.advance(60.0)
        assert loop.recorded() == ["no_fresh_data"]
        assert len(loop.events("decision")) == 1
        loop.world.held = 1
        failed = replace(FAILED_START, failed_timestamp_seconds=NOW + 60)
        loop.controller.on_event(failed)
        await loop.clock.advance(0.0)
        await loop.clock.advance(0.2)
        assert loop.recorded() == ["no_fresh_data", "start_failing"]
        assert loop.carried_out() == []


async def test_a_dry_run_carries_nothing_out_and_says_so_once(tmp_path: Path) -> None:
    async with running(tmp_path, content=chat_catalogue(mode="dry_run")) as loop:
        loop.world.held = 1
        await loop.clock.advance(60.0)
        assert loop.carried_out() == []
        verdicts = [each.verdict.value for each in loop.journal.decisions]
        assert verdicts == ["nothing_to_do", "dry_run"]


class BusyJournal(MemoryJournal):
    """A ledger whose next appends of decisions fail."""

    busy_times = 1

    def append_decision(self, decision: Decision, *, entries: Sequence[JournalEntry]) -> None:
        if self.busy_times:
            self.busy_times -= 1
            raise LedgerError("ledger: it is busy")
        super().append_decision(decision, entries=entries)


async def test_a_hold_that_could_not_be_recorded_is_recorded_later(tmp_path: Path) -> None:
    async with running(tmp_path, journal=BusyJournal()) as loop:
        assert loop.recorded() == []
        assert loop.controller.ticks.report().last_problem == "ledger: it is busy"
        await loop.clock.advance(15.0)
        assert loop.recorded() == ["no_fresh_data"]


# Routes


async def test_routes_are_told_until_they_are_taken(tmp_path: Path) -> None:
    async with running(tmp_path, executor=RememberingExecutor(takes_routes=False)) as loop:
        await loop.clock.advance(10.0)
        assert loop.executor.publishes == 3
        loop.executor.takes_routes = True
        await loop.clock.advance(30.0)
        assert loop.executor.publishes == 4


async def test_a_changed_catalogue_is_told_to_the_gateway(tmp_path: Path) -> None:
    async with running(tmp_path) as loop:
        assert loop.executor.publishes == 1
        loop.write_catalogue(chat_catalogue(hold_timeout="9s"))
        await loop.clock.advance(10.0)  # taken once it was the same at two polls
        assert loop.executor.publishes == 2
        assert loop.controller.parts.catalogue.current.services[0].hold_timeout_seconds == 9


@pytest.mark.parametrize(
    ("starts", "publishes"),
    [
        pytest.param([50.0, 50.0], 1, id="the same gateway"),
        pytest.param([60.0, 60.0], 2, id="another one"),
        pytest.param([None, 50.0], 2, id="it was not there for a while"),
        pytest.param([None, None], 1, id="it is gone"),
    ],
)
async def test_a_gateway_that_started_anew_is_told_its_routes(
    *, tmp_path: Path, starts: list[float | None], publishes: int
) -> None:
    async with running(tmp_path) as loop:
        for started in (*starts, starts[-1]):
            loop.world.gateway_started = started
            await loop.clock.advance(5.0)
        assert loop.executor.publishes == publishes


async def test_a_broken_catalogue_is_told_once_and_the_old_one_stays(tmp_path: Path) -> None:
    async with running(tmp_path) as loop:
        loop.write_catalogue("services: [")
        await loop.clock.advance(40.0)
        (told,) = loop.events("catalogue_refused")
        assert "catalogue.yaml" in str(told["error"])
        assert loop.metric("foresail_catalogue_valid") == 0
        assert [each.service for each in loop.controller.latest] == ["chat"]
        loop.write_catalogue(chat_catalogue())
        await loop.clock.advance(10.0)
        assert len(loop.events("catalogue_accepted")) == 1
        assert loop.metric("foresail_catalogue_valid") == 1


# Checkpoints


async def test_what_was_learned_is_saved_at_the_end_and_resumed(tmp_path: Path) -> None:
    async with running(tmp_path) as loop:
        loop.controller.on_event(FAILED_START)
        await loop.clock.advance(0.0)
        await loop.clock.advance(0.2)
    saved = load_checkpoint(tmp_path / "checkpoint")
    assert saved.state == loop.controller.state
    assert saved.now == NOW + 0.2

    async with running(tmp_path) as after:
        assert failures(after) == 1
        assert after.events("starting_without_checkpoint") == []


async def test_without_a_checkpoint_it_starts_afresh_and_says_so(tmp_path: Path) -> None:
    async with running(tmp_path) as loop:
        (told,) = loop.events("starting_without_checkpoint")
        assert "there is none" in str(told["why"])


async def test_a_checkpoint_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").write_text("a file where the folder should be")
    async with running(tmp_path) as loop:
        await loop.clock.advance(30.0)
        assert ticks(loop, "failed") == 0
        assert loop.events("checkpoint_not_saved")


# The end


async def test_told_to_stop_while_it_recovers_it_does_not_begin_to_decide(tmp_path: Path) -> None:
    loop = ControlLoop(tmp_path)
    loop.executor.may_recover.clear()
    task = loop.start()
    await loop.clock.advance(0.0)
    loop.stop.set()
    loop.stop.set()  # a second signal
    loop.executor.may_recover.set()
    await task
    assert loop.executor.recovered
    assert loop.world.looks == 0
    assert not loop.wake_path.exists()


async def test_a_stop_ends_the_wait_for_the_next_tick(tmp_path: Path) -> None:
    loop = ControlLoop(tmp_path)
    task = loop.start()
    await loop.clock.advance(1.0)
    loop.stop.set()
    await task
    assert loop.world.looks == 1


# Leadership


def lost_at_the_fence(loop: ControlLoop) -> None:
    loop.fence.leads = False


def lost_in_an_effect(loop: ControlLoop) -> None:
    loop.executor.lost_leadership = "another controller leads"


@pytest.mark.parametrize(
    "lose",
    [
        pytest.param(lost_at_the_fence, id="seen at the fence, while nothing is to be done"),
        pytest.param(lost_in_an_effect, id="seen by an effect"),
    ],
)
async def test_who_does_not_lead_any_more_stops_acting_and_says_so(
    *, tmp_path: Path, lose: Callable[[ControlLoop], None]
) -> None:
    async with running(tmp_path) as loop:
        await loop.clock.advance(1.0)
        view = view_of(loop)
        assert not_ready_reason(view.report()) is None
        recorded = list(loop.recorded())
        lose(loop)
        loop.world.held = 3
        loop.write_catalogue(chat_catalogue(hold_timeout="9s"))
        await loop.clock.advance(30.0)
        assert loop.carried_out() == []
        assert loop.recorded() == recorded
        assert loop.executor.publishes == 1
        assert not_ready_reason(view.report()) == "another controller leads"
        assert state_body(view.report()).not_ready_reason == "another controller leads"
        assert loop.controller.ticks.report().last_problem == "another controller leads"

        loop.fence.leads, loop.executor.lost_leadership = True, None
        await loop.clock.advance(30.0)
        assert loop.carried_out() == []  # the other one may have acted meanwhile


async def test_who_does_not_lead_leaves_the_checkpoint_to_who_does(tmp_path: Path) -> None:
    async with running(tmp_path) as loop:
        await loop.clock.advance(1.0)
        loop.fence.leads = False
        await loop.clock.advance(5.0)
        theirs = replace(
            load_checkpoint(tmp_path / "checkpoint"),
            state=make_state(chat=make_service_state(prompt_tokens_per_request=7.0)),
        )
        save_checkpoint(tmp_path / "checkpoint", checkpoint=theirs)
    assert load_checkpoint(tmp_path / "checkpoint").state == theirs.state


# What others see of it


class NoRoutes:
    written = None


def view_of(loop: ControlLoop) -> LiveView:
    watch = LedgerWatch(
        loop.folder / "ledger.sqlite", clock=loop.clock, metrics=loop.controller.parts.metrics
    )
    return LiveView(loop.controller, ledger=watch, routes=NoRoutes())


async def test_the_second_look_of_the_executor_is_a_fresh_one(tmp_path: Path) -> None:
    async with running(tmp_path) as loop:
        loop.world.held = 1
        await loop.clock.advance(15.0)
        (decision,) = loop.executor.submitted
        entry = make_entry(Phase.PREPARED, decision_id=decision.decision_id)
        looks = loop.world.looks
        assert await loop.controller.recheck.refusal(entry) is None
        assert loop.world.looks == looks + 1

        loop.world.held = 0
        await loop.clock.advance(0.0)
        assert await loop.controller.recheck.refusal(entry) is None  # one answer per decision


async def test_a_clock_that_the_second_look_finds_set_moves_what_is_known_as_well(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as loop:
        loop.world.held = 1
        await loop.clock.advance(15.0)
        (decision,) = loop.executor.submitted
        loop.controller.on_event(FAILED_START)
        await loop.clock.advance(0.3)
        loop.world.clock_set_by_seconds = -3600.0
        entry = make_entry(Phase.PREPARED, decision_id=decision.decision_id)
        await loop.controller.recheck.refusal(entry)
        await loop.clock.advance(15.0)
        failed = loop.controller.state.variant(CHAT, LLAMA).last_start_failure_timestamp_seconds
        assert failed == NOW - 3600.0


async def test_what_was_learned_is_known_to_the_executor(tmp_path: Path) -> None:
    async with running(tmp_path) as loop:
        ready = ReplicaReady(
            service=CHAT, variant=LLAMA, replica_id=ReplicaId("chat-1"), lead_time_seconds=4.5
        )
        loop.controller.on_event(ready)
        await loop.clock.advance(0.3)
        known = loop.controller.knowledge(ServiceName("chat"), LLAMA)
        assert known.lead_time_seconds == (4.5,)
        assert loop.controller.knowledge(ServiceName("nobody"), LLAMA).lead_time_seconds == ()
