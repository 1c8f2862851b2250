"""The running controller as the page sees it."""

from pathlib import Path

from autoscaler.metrics import ControllerMetrics
from autoscaler.model.effect import Phase
from autoscaler.model.event import ReplicaStartFailed
from collector.clock import VirtualClock
from collector.gateway.routing import RoutingTable
from collector.model.ids import ReplicaId, VariantName
from foresail.ledger_watch import LedgerWatch
from foresail.live_view import LiveView
from foresail.ports import LedgerSummary, RoutesReport
from support.builders import CHAT, NOW
from support.control_loop import DECIDE_SECONDS, ControlLoop, running
from support.execution import make_decision, make_entry, scale_out


class Routes:
    """A router that has written nothing yet."""

    def __init__(self) -> None:
        self.written: RoutingTable | None = None


class Shown:
    """A control loop with its view."""

    def __init__(self, loop: ControlLoop) -> None:
        self.routes = Routes()
        self.ledger = LedgerWatch(
            loop.folder / "ledger.sqlite", clock=VirtualClock(NOW), metrics=ControllerMetrics()
        )
        self.view = LiveView(loop.controller, ledger=self.ledger, routes=self.routes)


async def test_before_its_first_tick_a_controller_knows_only_its_catalogue(tmp_path: Path) -> None:
    loop = ControlLoop(tmp_path)
    shown = Shown(loop)
    report = shown.view.report()
    assert report.catalogue is not None
    assert report.started_timestamp_seconds == NOW
    assert report.decide_interval_seconds == DECIDE_SECONDS
    assert (report.snapshot, report.history, report.routes, report.ledger) == (None,) * 4
    assert (report.decisions, report.running_effects, report.engine_problems) == ((), (), ())
    assert report.ticks.tick_count == 0
    assert shown.view.decisions(last_count=5, service=None, changes_only=False) == ()


async def test_a_report_is_the_controller_at_that_moment(tmp_path: Path) -> None:
    async with running(tmp_path) as loop:
        shown = Shown(loop)
        shown.routes.written = RoutingTable(epoch=3, version=9, services=())
        shown.ledger.summary = LedgerSummary(record_count=1, head_hash="ab", is_intact=True)
        loop.controller.parts.journal.append_decision(
            make_decision(scale_out()), entries=(make_entry(Phase.PREPARED),)
        )
        await loop.clock.advance(7.0)
        report = shown.view.report()
        assert report.reported_timestamp_seconds == NOW + 7
        assert report.started_timestamp_seconds == NOW
        assert report.ticks.tick_count == 2
        assert report.ticks.last_success_age_seconds == 2
        assert report.snapshot is loop.controller.snapshot
        assert report.decisions == loop.controller.latest
        assert [each.phase for each in report.running_effects] == [Phase.PREPARED]
        assert report.routes == RoutesReport(epoch=3, version=9, is_accepted=True)
        assert report.ledger == shown.ledger.summary
        assert report.lost_leadership is None
        assert report.gateway_url == loop.controller.parts.settings.gateway.url


async def test_the_snapshot_is_the_newest_look_and_not_the_last_decided_on(tmp_path: Path) -> None:
    async with running(tmp_path) as loop:
        shown = Shown(loop)
        await loop.clock.advance(5.0)
        snapshot = shown.view.report().snapshot
        assert snapshot is not None
        assert snapshot.taken_timestamp_seconds == NOW + 5
        assert shown.view.report().decisions[0].decided_timestamp_seconds == NOW


async def test_why_engines_failed_is_told(tmp_path: Path) -> None:
    async with running(tmp_path) as loop:
        loop.controller.on_event(
            ReplicaStartFailed(
                service=CHAT,
                variant=VariantName("llama"),
                replica_id=ReplicaId("chat-1"),
                failed_timestamp_seconds=NOW,
                message="chat-1: no such model",
            )
        )
        (problem,) = Shown(loop).view.report().engine_problems
        assert (problem.source, problem.message) == ("chat/llama", "chat-1: no such model")


async def test_decisions_are_remembered_newest_first(tmp_path: Path) -> None:
    async with running(tmp_path) as loop:
        await loop.clock.advance(30.0)
        view = Shown(loop).view
        found = view.decisions(last_count=2, service=CHAT, changes_only=False)
        assert [each.decided_timestamp_seconds for each in found] == [NOW + 30, NOW + 15]
        assert len(view.decisions(last_count=9, service=CHAT, changes_only=True)) == 1
