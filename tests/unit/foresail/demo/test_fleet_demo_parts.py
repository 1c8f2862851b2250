"""The parts of `foresail demo --fleet`: bundled requests, the race, its bodies, table, page app and pace."""

import asyncio

import pytest
from fastapi.testclient import TestClient

from collector.clock import VirtualClock
from collector.errors import ConfigurationError
from foresail.demo.fleet.app import create_fleet_app
from foresail.demo.fleet.options import FleetOptions, check_options
from foresail.demo.fleet.progress import day_clock
from foresail.demo.fleet.report import fleet_body, fleet_summary
from foresail.demo.fleet.run import Pace
from foresail.demo.fleet.services import GPUS, SERVICES, TIERS, fleet_services, read_recorded
from foresail.demo.fleet.table import columns, heading, rows
from support.small_race import END_SECONDS, PEER, finished_race, small_race


def make_options(**changed: object) -> FleetOptions:
    given = {
        "peer": PEER, "minutes": None, "speed_ratio": 60.0, "headless": True, "json_path": None, "port": None,
    }  # fmt: skip
    return FleetOptions(**{**given, **changed})  # type: ignore[arg-type]  # literals of the tests


def test_the_recording_has_six_services_of_ten_hours() -> None:
    recorded = read_recorded()
    assert list(recorded) == ["office", "chat", "code", "agents", "reasoning", "documents"]
    assert sum(map(len, recorded.values())) == 83_710
    assert all(each.end_seconds < 36_000.0 for each in recorded.values())


def test_the_fleet_has_three_tiers_and_starts_within_its_gpus() -> None:
    services = fleet_services(seconds=1800.0, seed=0)
    assert {each.tier for each in SERVICES} == {"critical", "standard", "batch"} == set(TIERS)
    assert sum(each.initial_replicas * each.setting.gpus_per_replica for each in services) <= GPUS
    assert all(each.workload.end_seconds <= 1800.0 for each in services)


def test_the_body_shows_a_race_that_has_just_begun_as_unknown_not_as_zero() -> None:
    body = fleet_body(small_race(), speed_ratio=60.0)
    ours, peer = body.sides
    assert (ours.name, peer.name, body.is_over) == ("foresail", PEER, False)
    assert ours.tiers[0].attainment_ratio is None
    assert ours.tiers[0].is_met is None
    assert (ours.gpu_hours, ours.gpus_in_use, ours.timeline_seconds) == (0.0, 2, [])


def test_the_body_follows_the_race() -> None:
    race = small_race()
    race.advance(300.0)
    body = fleet_body(race, speed_ratio=60.0)
    for side in body.sides:
        assert side.timeline_seconds[:3] == [15.0, 75.0, 135.0]
        assert [len(each) for each in side.timeline_gpus.values()] == [5, 5]
        assert side.gpus_in_use <= 3
        assert side.tiers[0].offered_requests > 1000
        assert 0.0 < (side.tiers[0].attainment_ratio or 0.0) <= 1.0


def test_our_moves_have_reasons_and_a_peer_says_that_it_gives_none() -> None:
    ours, peer = fleet_body(finished_race(), speed_ratio=60.0).sides
    assert ours.moves
    assert all(each.explanation for each in ours.moves)
    assert {each.reason for each in peer.moves} == {
        "the rule of this policy says so; it gives no reason"
    }
    assert {each.explanation for each in peer.moves} == {""}


def test_the_summary_accounts_for_every_request_and_is_the_same_for_the_same_seed() -> None:
    summary = fleet_summary(finished_race())
    assert summary == fleet_summary(finished_race())
    for side in summary.sides:
        assert side.peak_gpus <= summary.gpus
        for each in side.services:
            ended = each.served_requests + each.shed_requests + each.failed_requests
            assert each.offered_requests == ended + each.unfinished_requests
    assert [each.offered_requests for each in summary.sides[0].services] == [
        each.offered_requests for each in summary.sides[1].services
    ]


def test_the_table_has_a_row_per_service_and_tier_and_one_for_all() -> None:
    summary = fleet_summary(finished_race())
    shown = rows(summary)
    assert [row[:2] for row in shown] == [
        ("chat", "critical"),
        ("docs", "batch"),
        ("all of the tier", "critical"),
        ("all of the tier", "batch"),
        ("all", ""),
    ]
    assert {len(row) for row in shown} == {len(columns(summary))} == {10}
    assert heading(summary).startswith("2 services on 3 GPUs, 09:00 to 09:10 of recorded traffic")


def test_a_share_just_under_its_target_is_not_shown_as_kept() -> None:
    summary = fleet_summary(finished_race())
    first = (
        summary.sides[0]
        .services[0]
        .model_copy(update={"target_ratio": 0.99, "attainment_ratio": 0.98999})
    )
    side = summary.sides[0].model_copy(update={"services": [first, summary.sides[0].services[1]]})
    changed = summary.model_copy(update={"sides": [side, summary.sides[1]]})
    assert rows(changed)[0][4] == "98.9 % missed"


def test_the_clock_of_the_day_goes_past_midnight() -> None:
    assert [day_clock(at) for at in (0.0, 1830.0, 15 * 3600.0)] == ["09:00", "09:30", "00:00"]


@pytest.mark.parametrize(
    ("minutes", "speed", "seconds"),
    [
        pytest.param(None, 60.0, 36_000.0, id="all-of-it"),
        pytest.param(2.0, 60.0, 7_200.0, id="two-minutes"),
        pytest.param(60.0, 60.0, 36_000.0, id="no-more-than-there-is"),
    ],
)
def test_minutes_are_of_the_owner(minutes: float | None, speed: float, seconds: float) -> None:
    assert make_options(minutes=minutes, speed_ratio=speed).replayed_seconds == seconds


def test_an_unknown_peer_is_refused_with_all_there_are() -> None:
    with pytest.raises(ConfigurationError, match="--peer nobody: there is no such policy") as said:
        check_options(make_options(peer="nobody"))
    assert "keda_waiting" in str(said.value)


def test_the_app_serves_page_and_data_and_only_to_the_hosts_named() -> None:
    body = fleet_body(small_race(), speed_ratio=60.0)
    app = create_fleet_app(lambda: body, allowed_hosts=("127.0.0.1",))
    client = TestClient(app, base_url="http://127.0.0.1:1")
    assert client.get("/v1/fleet").json() == body.model_dump(mode="json")
    page = client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for name in ("fleet.js", "fleet_side.js", "fleet_chart.js", "fleet_words.js", "fleet.css"):
        assert client.get(f"/static/{name}").status_code == 200
    assert client.get("/v1/fleet", headers={"host": "elsewhere.example"}).status_code == 400


async def test_a_race_is_no_faster_than_its_pace() -> None:
    race, clock, stepped = small_race(), VirtualClock(), asyncio.Event()
    pace = Pace(race, speed_ratio=60.0, clock=clock)
    stop = asyncio.Event()
    run = asyncio.create_task(pace.run(stop=stop, on_step=lambda _: stepped.set()))
    for number in range(1, 5):
        await clock.advance(0.0)  # it goes to sleep
        assert race.now_seconds == 15.0 * (number - 1)
        await clock.advance(0.25)
        await asyncio.wait_for(stepped.wait(), 20.0)
        stepped.clear()
        assert race.now_seconds == 15.0 * number
        assert pace.body.now_seconds == race.now_seconds
    stop.set()
    await asyncio.wait_for(run, 20.0)
    assert race.now_seconds == 60.0


async def test_a_race_ends_at_its_end() -> None:
    race, clock = small_race(), VirtualClock()
    pace = Pace(race, speed_ratio=1e6, clock=clock)
    run = asyncio.create_task(pace.run(stop=asyncio.Event(), on_step=lambda _: None))
    while not run.done():
        await clock.advance(1.0)
    assert race.is_over
    assert pace.body.now_seconds == END_SECONDS
