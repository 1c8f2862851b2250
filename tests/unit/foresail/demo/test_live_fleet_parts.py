"""The parts of `foresail demo --fleet --live`: plan, files, what clients and the controller tell, verdict."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient

from autoscaler.model.action import Reason
from collector.catalogue_file import read_catalogue
from collector.errors import ConfigurationError
from collector.model.catalogue import Mode, PoolKind, ProcessTarget
from foresail.demo.completion import Outcome
from foresail.demo.fleet.app import create_fleet_app
from foresail.demo.fleet.bodies import MoveBody
from foresail.demo.fleet.live.options import LiveOptions, check_live_options
from foresail.demo.fleet.live.plan import live_requests, live_services
from foresail.demo.fleet.live.report import live_body, live_summary
from foresail.demo.fleet.live.tally import ClientTally, is_good
from foresail.demo.fleet.live.verdict import problems
from foresail.demo.fleet.live.watch import FleetWatch
from foresail.demo.fleet.live.workshop import write_catalogue, write_settings
from foresail.demo.fleet.table import columns, heading, move_line, rows
from foresail.settings import read_settings
from support.live_fleet import (
    decision_body,
    live_run,
    replica_body,
    result,
    state_body,
    watched_run,
)


def test_a_shorter_run_has_the_first_requests_of_a_longer_one() -> None:
    short = live_requests(duration_seconds=30.0, seed=0)
    longer = live_requests(duration_seconds=60.0, seed=0)
    assert [each for each in longer if each.at_seconds < 30.0] == list(short)
    assert len(short) > 300
    assert max(each.output_tokens for each in longer) <= 600
    assert max(each.prompt_tokens for each in longer) <= 16_000
    assert live_requests(duration_seconds=30.0, seed=0) == short


def test_documents_is_asked_nothing_until_its_second_minute() -> None:
    times = [
        each.at_seconds
        for each in live_requests(duration_seconds=180.0, seed=0)
        if each.service == "documents"
    ]
    assert 60.0 < min(times) < 120.0


def test_the_catalogue_is_valid_active_and_has_room_for_eight_replicas(tmp_path: Path) -> None:
    catalogue = read_catalogue(write_catalogue(tmp_path))
    (pool,) = catalogue.pools
    assert (catalogue.authority.mode, pool.kind) == (Mode.ACTIVE, PoolKind.DISCRETE)
    variants = {each.name: each.variants[0] for each in catalogue.services}
    assert {pool.budget_bytes // each.memory_bytes for each in variants.values()} == {8}
    assert {name: each.min_replicas for name, each in variants.items()} == {
        "office": 1, "chat": 1, "code": 1, "agents": 1, "reasoning": 1, "documents": 0,
    }  # fmt: skip
    for each in variants.values():
        assert isinstance(each.target, ProcessTarget)
        assert "emulate" in each.target.command


def test_the_settings_are_valid(tmp_path: Path) -> None:
    path = write_settings(tmp_path, gateway_port=1234, controller_port=1235)
    settings = read_settings(path, {})
    assert (settings.gateway.port, settings.controller.port) == (1234, 1235)
    assert yaml.safe_load(path.read_text())["catalogue"] == "catalogue.yaml"


@pytest.mark.parametrize(
    ("changed", "good"),
    [
        pytest.param({}, True, id="both-kept"),
        pytest.param({"time_to_first_token_seconds": 2.1}, False, id="first-token-late"),
        pytest.param({"end_to_end_seconds": 4.0}, False, id="later-tokens-slow"),
        pytest.param({"output_tokens": 1, "end_to_end_seconds": 4.0}, True, id="one-token-only"),
        pytest.param({"time_to_first_token_seconds": None}, False, id="no-token-at-all"),
    ],
)
def test_an_answer_is_good_when_both_objectives_were_kept(
    changed: dict[str, Any], good: bool
) -> None:
    service = live_services()[0]  # 2 s, 0.2 s
    assert is_good(result(**changed), service=service) is good


def test_every_request_has_one_fate() -> None:
    tally = ClientTally(live_services())
    for outcome, status in (
        (Outcome.OK, 200),
        (Outcome.HTTP_ERROR, 429),
        (Outcome.HTTP_ERROR, 503),
        (Outcome.TRUNCATED, 200),
        (Outcome.CANCELLED, None),
    ):
        tally.note(result(outcome=outcome, http_status=status))
    fates = tally.fates["office"]
    assert (fates.served, fates.shed, fates.failed, fates.unfinished) == (1, 1, 2, 1)
    assert fates.offered == 5
    assert (fates.tally.judged_requests, fates.tally.good_requests) == (4, 1)
    assert tally.failures == {
        "office: http_error, no reason given": 1,
        "office: truncated, no reason given": 1,
    }


def test_gpu_time_goes_on_while_the_controller_does_not_answer() -> None:
    watch = FleetWatch(["chat"], end_seconds=60.0, start_timestamp_seconds=1000.0)
    watch.look(state_body({"chat": [replica_body("a"), replica_body("b")]}), at_seconds=0.0)
    watch.pass_to(10.0)
    watch.look(state_body({"chat": [replica_body("a")]}), at_seconds=20.0)
    watch.pass_to(30.0)
    assert watch.gpu_seconds == {"chat": 2 * 20.0 + 10.0}
    assert watch.peak_gpus == 2


def test_a_draining_replica_uses_its_gpu_and_a_stopped_one_does_not() -> None:
    watch = FleetWatch(["chat"], end_seconds=60.0, start_timestamp_seconds=1000.0)
    watch.look(
        state_body(
            {
                "chat": [
                    replica_body("a"),
                    replica_body("b", state="loading"),
                    replica_body("c", state="draining"),
                    replica_body("d", state="stopped"),
                    replica_body("e", state="failed"),
                ]
            }
        ),
        at_seconds=0.0,
    )
    assert watch.gpus_in_use == 3


def test_what_runs_at_the_start_is_no_change_and_each_coming_and_going_is_one() -> None:
    watch = FleetWatch(["chat"], end_seconds=60.0, start_timestamp_seconds=1000.0)
    looks = (
        [replica_body("a")],
        [replica_body("a"), replica_body("b", state="pending")],
        [replica_body("a", state="draining"), replica_body("b")],
        [replica_body("a", state="stopped"), replica_body("b")],
    )
    for number, replicas in enumerate(looks):
        watch.look(state_body({"chat": replicas}), at_seconds=float(number))
    assert watch.changes == {"chat": 2}


def test_held_requests_that_nobody_could_count_are_those_of_before() -> None:
    watch = FleetWatch(["chat"], end_seconds=60.0, start_timestamp_seconds=1000.0)
    watch.look(state_body({"chat": []}, held=7.0), at_seconds=0.0)
    watch.look(state_body({"chat": []}, held=None), at_seconds=1.0)
    assert watch.now["chat"].held_requests == 7


def test_a_long_run_keeps_a_bounded_timeline() -> None:
    watch = FleetWatch(["chat"], end_seconds=3420.0, start_timestamp_seconds=1000.0)
    for second in range(3420):
        watch.look(state_body({"chat": [replica_body("a")]}), at_seconds=float(second))
    assert 500 < len(watch.timeline_seconds) <= 600
    assert len(watch.timeline_gpus["chat"]) == len(watch.timeline_seconds)


def test_moves_are_what_was_decided_under_traffic() -> None:
    watch = FleetWatch(["chat"], end_seconds=60.0, start_timestamp_seconds=1000.0)
    watch.note_decisions(
        [
            decision_body(at=1009.0, kind="hold", reason=Reason.MEMORY_FULL),
            decision_body(at=1005.0, kind="scale", reason=Reason.DEMAND_FORECAST),
            decision_body(at=1004.0, kind="hold", reason=Reason.STEADY),
            decision_body(at=990.0, kind="scale", reason=Reason.DEMAND_FORECAST),
        ]
    )
    assert [(each.at_seconds, each.from_replicas, each.to_replicas) for each in watch.moves] == [
        (9.0, 1, 1),
        (5.0, 1, 2),
    ]


def test_the_body_of_a_run_that_has_just_begun_shows_nothing_as_judged() -> None:
    body = live_body(live_run(), now_seconds=0.0, is_over=False)
    (side,) = body.sides
    assert (body.kind, side.name, body.speed_ratio) == ("live", "foresail", 1.0)
    assert {each.attainment_ratio for each in side.services} == {None}
    assert {each.is_met for each in side.tiers} == {None}


def test_the_summary_has_one_side_and_accounts_for_every_request() -> None:
    summary = live_summary(watched_run())
    (side,) = summary.sides
    office = side.services[0]
    assert (office.offered_requests, office.served_requests, office.attainment_ratio) == (
        2,
        2,
        0.5,
    )
    assert office.gpu_hours == pytest.approx(60.0 / 3600.0)
    assert side.gpu_hours == pytest.approx(sum(each.gpu_hours for each in side.services))
    shown = rows(summary)
    assert {len(row) for row in shown} == {len(columns(summary))} == {7}
    assert shown[0] == ("office", "critical", "2", "99.0 %", "50.0 % missed", "0.02", "0")
    assert shown[1][4] == "no request"
    assert heading(summary).startswith(
        "6 services on 8 emulated GPUs over HTTP, 10:48 to 10:49 of recorded traffic"
    )


def test_a_move_is_a_line_with_the_time_of_the_recorded_day() -> None:
    move = MoveBody(
        at_seconds=65.4,
        service="chat",
        from_replicas=1,
        to_replicas=2,
        reason="why",
        explanation="",
    )
    assert move_line(move, start_seconds=38_880.0) == "10:49:05 chat 1 to 2: why"


def test_a_run_that_served_and_lost_nothing_has_no_problem_even_when_a_target_was_missed() -> None:
    summary = live_summary(watched_run())
    assert problems(summary, failures={}, left_engines=0, is_ledger_intact=True) == []


@pytest.mark.parametrize(
    ("outcomes", "known", "said"),
    [
        pytest.param((), {}, "no request was served", id="nothing-served"),
        pytest.param((Outcome.TRUNCATED,), {}, "1 requests were lost (1 x office", id="lost"),
        pytest.param((), {"left_engines": 2}, "2 engines had not been ended", id="left-over"),
        pytest.param((), {"is_ledger_intact": False}, "the ledger is not intact", id="ledger"),
    ],
)
def test_what_is_wrong_is_one_line(
    outcomes: tuple[Outcome, ...], known: dict[str, Any], said: str
) -> None:
    run = live_run()
    for outcome in outcomes:
        run.tally.note(result(outcome=outcome))
    found = problems(
        live_summary(run),
        failures=run.tally.failures,
        **{"left_engines": 0, "is_ledger_intact": True, **known},
    )
    assert len([line for line in found if said in line]) == 1


def test_more_minutes_than_allowed_are_refused() -> None:
    options = LiveOptions(minutes=58.0, headless=True, json_path=None, keep=False, port=None)
    with pytest.raises(ConfigurationError, match="--minutes 58: a live fleet takes 57 at most"):
        check_live_options(options)


def test_the_page_app_serves_a_live_body() -> None:
    body = live_body(watched_run(), now_seconds=60.0, is_over=True)
    client = TestClient(
        create_fleet_app(lambda: body, allowed_hosts=("127.0.0.1",)), base_url="http://127.0.0.1:1"
    )
    assert client.get("/v1/fleet").json() == body.model_dump(mode="json")
