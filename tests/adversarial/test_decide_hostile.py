"""Worlds that should not be, and must neither stop the loop nor make it act."""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from autoscaler.checkpoint import decisions_json, state_json
from autoscaler.decide import Decided, decide
from autoscaler.learn import apply_event
from autoscaler.model.action import Direction, Hold, Reason, Scale
from autoscaler.model.event import ReplicaReady
from autoscaler.model.state import (
    ControllerState,
    Recommendation,
    ScaleFit,
    VariantState,
    WorkSample,
)
from collector.model.catalogue import CapacityPrior
from collector.model.history import History
from collector.model.replica import ReplicaState
from collector.model.snapshot import PoolView
from support.builders import (
    BOX,
    CHAT,
    GIB,
    NOW,
    fresh,
    make_catalogue,
    make_history,
    make_replica_view,
    make_replica_views,
    make_service,
    make_service_state,
    make_snapshot,
    make_variant,
    make_view,
    requests_per_bin,
    steady,
)

BUSY = make_history({CHAT: steady(2.0)})
QUIET = make_history({CHAT: steady(0.0)})
SURPLUS_LOOKS = tuple(
    Recommendation(timestamp_seconds=NOW - 15.0 * i, replicas=1) for i in range(20, 0, -1)
)


@pytest.fixture(autouse=True)
def no_warning_from_arithmetic() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def decided(**given: Any) -> Decided:
    """Decides, and insists on finite decisions and state that can be saved."""
    given.setdefault("snapshot", make_snapshot(services=[make_view()]))
    given.setdefault("history", QUIET)
    given.setdefault("catalogue", make_catalogue())
    given.setdefault("state", ControllerState(services={CHAT: make_service_state()}))
    given.setdefault("now", NOW)
    result = decide(**given)
    declared = [each.name for each in given["catalogue"].services]
    assert [each.service for each in result.decisions][: len(declared)] == declared
    decisions_json(result.decisions)
    state_json(result.next_state)
    return result


# --- numbers ---------------------------------------------------------------------------------

WILD = [1e308, 1.7976931348623157e308, 5e-324, -0.0, 0.0, -1.0, -1e308]
TRAFFIC = [
    "arrived_requests_total",
    "completed_requests_total",
    "failed_requests_total",
    "admitted_prompt_tokens_total",
    "in_flight",
    "held",
    "oldest_held_seconds",
]
WORK = [
    "running_requests",
    "waiting_requests",
    "prompt_tokens_total",
    "output_tokens_total",
    "in_flight_requests",
    "memory_bytes",
]


@pytest.mark.parametrize("name", TRAFFIC)
@pytest.mark.parametrize("value", WILD)
def test_a_wild_reading_of_traffic(name: str, value: float) -> None:
    view = make_view(**{name: value})
    result = decided(
        snapshot=make_snapshot(services=[view], replicas=make_replica_views(2)), history=BUSY
    )
    action = result.decisions[0].action
    assert not isinstance(action, Scale) or action.direction is Direction.OUT
    assert not isinstance(action, Scale) or action.to_replicas <= 10


def test_wild_readings_all_at_once() -> None:
    view = make_view(**dict.fromkeys(TRAFFIC, 1.7e308))
    decided(snapshot=make_snapshot(services=[view], replicas=make_replica_views(2)), history=BUSY)


@pytest.mark.parametrize("name", WORK)
@pytest.mark.parametrize("value", WILD)
def test_a_wild_reading_of_a_replica_tick_after_tick(name: str, value: float) -> None:
    state = ControllerState(services={CHAT: make_service_state()})
    for tick in range(4):
        at = NOW + 30.0 * tick
        wild = make_replica_view("r1", at=at, **{name: value / 4 * tick})
        snapshot = make_snapshot(services=[make_view(at=at)], replicas=[wild], taken_at=at)
        state = decided(snapshot=snapshot, history=BUSY, state=state, now=at).next_state


@pytest.mark.parametrize("value", [*WILD, 0.5 * GIB])
def test_a_wild_reading_of_available_memory(value: float) -> None:
    snapshot = make_snapshot(
        services=[make_view(held=1.0)], replicas=make_replica_views(1), available_bytes=value
    )
    result = decided(snapshot=snapshot, history=make_history({CHAT: steady(0.3)}))
    assert result.decisions[0].action == Hold()


@pytest.mark.parametrize(
    "requests",
    [
        pytest.param([1.7e308] * 40, id="huge"),
        pytest.param([0.0] * 39 + [1e308], id="one-huge"),
        pytest.param([0.0, 1e308] * 20, id="alternating"),
    ],
)
def test_wild_demand_asks_for_the_maximum_at_most(requests: list[float]) -> None:
    result = decided(history=make_history({CHAT: requests_per_bin(requests)}))
    action = result.decisions[0].action
    assert isinstance(action, Scale)
    assert action.to_replicas <= 10


@pytest.mark.parametrize(
    "prior",
    [
        pytest.param((5e-324, 0.0), id="work-that-costs-next-to-nothing"),
        pytest.param((1e9, 1e9), id="work-that-costs-years"),
    ],
)
def test_a_wild_prior(prior: tuple[float, float]) -> None:
    cost = CapacityPrior(prompt_seconds_per_token=prior[0], output_seconds_per_token=prior[1])
    service = make_service(variants=(make_variant(capacity_prior=cost),))
    decided(
        snapshot=make_snapshot(services=[make_view()], replicas=make_replica_views(1)),
        history=BUSY,
        catalogue=make_catalogue(service),
    )


@pytest.mark.parametrize("lead_time_seconds", [-1e9, 0.0, 1e9])
def test_a_wild_lead_time(lead_time_seconds: float) -> None:
    ready = ReplicaReady(
        service=CHAT, variant="small", replica_id="r1", lead_time_seconds=lead_time_seconds
    )
    state = apply_event(ControllerState(services={CHAT: make_service_state()}), ready)
    falling = make_history({CHAT: requests_per_bin([float(i) for i in range(40)])})
    level = decided(history=falling).decisions[0].evidence.demand_work_ratio
    expected = decided(history=falling, state=state).decisions[0].evidence.expected_work_ratio
    assert expected is not None
    assert level is not None
    assert expected >= level


# --- time ------------------------------------------------------------------------------------


@pytest.mark.parametrize("now", [0.0, -1e9, 1.0, NOW - 3600, NOW + 1e9, 4e15])
def test_a_moment_that_does_not_fit_the_snapshot_takes_nothing_away(now: float) -> None:
    known = make_service_state(recommendations=SURPLUS_LOOKS, last_demand_timestamp_seconds=0.0)
    result = decided(
        snapshot=make_snapshot(services=[make_view()], replicas=make_replica_views(3)),
        history=make_history({CHAT: steady(0.3)}),
        state=ControllerState(services={CHAT: known}),
        now=now,
    )
    assert result.decisions[0].action == Hold()
    assert result.decisions[0].reason is Reason.NO_FRESH_DATA


def test_a_clock_that_jumps_about_never_ends_a_hold_early() -> None:
    state = ControllerState(services={CHAT: make_service_state()})
    for offset in (0.0, 15.0, 7200.0, 7215.0, -3600.0, -3585.0, 0.0, 15.0):
        at = NOW + offset
        snapshot = make_snapshot(
            services=[make_view(at=at)],
            replicas=make_replica_views(3, at=at),
            taken_at=at,
        )
        result = decided(
            snapshot=snapshot, history=make_history({CHAT: steady(0.3)}), state=state, now=at
        )
        assert result.decisions[0].reason is Reason.SCALE_IN_HOLD
        state = result.next_state


def test_deciding_twice_at_the_same_moment_remembers_it_once() -> None:
    first = decided()
    again = decided(state=first.next_state)
    assert again.next_state.service(CHAT).recommendations == (
        Recommendation(timestamp_seconds=NOW, replicas=0),
    )


# --- things that are not what they seem -----------------------------------------------------


def test_demand_next_to_nothing_needs_one_replica_at_most() -> None:
    tiny = make_history({CHAT: requests_per_bin([5e-324] * 40)})
    evidence = decided(history=tiny).decisions[0].evidence
    assert evidence.needed_replicas in (0, 1)


def test_a_replica_told_twice_counts_once() -> None:
    twins = [make_replica_view("twin"), make_replica_view("twin", state=ReplicaState.DRAINING)]
    result = decided(
        snapshot=make_snapshot(services=[make_view()], replicas=[*twins, twins[0]]),
        catalogue=make_catalogue(make_service(variants=(make_variant(max_replicas=1),))),
    )
    assert result.decisions[0].evidence.supply_replicas == 1
    assert result.decisions[0].action == Hold()


@pytest.mark.parametrize(
    "stranger",
    [
        pytest.param(make_replica_view("x", service="gone"), id="of-no-service"),
        pytest.param(make_replica_view("x", variant="gone"), id="of-no-variant"),
    ],
)
def test_replicas_of_nothing_declared_are_not_counted_as_supply(stranger: Any) -> None:
    result = decided(
        snapshot=make_snapshot(services=[make_view()], replicas=[stranger]),
        history=make_history({CHAT: steady(0.3)}),
    )
    decision = result.decisions[0]
    assert decision.evidence.supply_replicas == 0
    assert isinstance(decision.action, Scale)
    assert decision.action.direction is Direction.OUT


def test_a_service_that_left_the_catalogue_is_stopped_even_without_data() -> None:
    strangers = [make_replica_view(name, service="gone") for name in ("b", "a")]
    result = decided(snapshot=make_snapshot(services=[make_view()], replicas=strangers))
    retired = result.decisions[-1]
    assert (retired.service, retired.reason) == ("gone", Reason.NOT_DECLARED)
    assert isinstance(retired.action, Scale)
    assert retired.action.stop_replicas == ("a", "b")


def test_a_replica_of_no_service_that_still_starts_is_left_to_finish() -> None:
    stranger = make_replica_view("x", service="gone", state=ReplicaState.LOADING)
    result = decided(snapshot=make_snapshot(services=[make_view()], replicas=[stranger]))
    assert [each.service for each in result.decisions] == [CHAT]


def test_two_views_of_one_service_are_not_added() -> None:
    views = [make_view(held=1.0), make_view(held=50.0)]
    result = decided(snapshot=make_snapshot(services=views))
    assert result.decisions[0].evidence.backlog_requests == 1.0


def test_a_pool_told_twice_counts_once() -> None:
    snapshot = make_snapshot(services=[make_view(held=1.0)], available_bytes=0.5 * GIB)
    twice = replace(
        snapshot,
        pools=(*snapshot.pools, PoolView(pool=BOX, available_bytes=fresh(900.0 * GIB))),
    )
    assert decided(snapshot=twice).decisions[0].reason is Reason.MEMORY_FULL


def test_a_catalogue_without_services_decides_nothing() -> None:
    empty = replace(make_catalogue(), services=())
    result = decided(catalogue=empty, history=make_history({}))
    assert result.decisions == ()
    assert result.next_state == ControllerState()


def test_a_service_without_variants_is_not_managed() -> None:
    result = decided(catalogue=make_catalogue(make_service(variants=())))
    assert result.decisions[0].reason is Reason.NOT_MANAGED


def test_a_service_without_objectives_or_prior_is_decided_on() -> None:
    service = make_service(objectives=(), variants=(make_variant(capacity_prior=None),))
    snapshot = make_snapshot(services=[make_view(in_flight=40.0)], replicas=make_replica_views(1))
    result = decided(snapshot=snapshot, history=BUSY, catalogue=make_catalogue(service))
    assert result.decisions[0].reason is Reason.BACKLOG


@pytest.mark.parametrize(
    "history",
    [
        pytest.param(make_history({}), id="no-service"),
        pytest.param(make_history({"gone": steady(50.0)}), id="another-service"),
        pytest.param(make_history({CHAT: steady(1.0, bins=1)}, bins=1), id="one-bin"),
        pytest.param(
            History(services=(), bin_seconds=15.0, end_timestamp_seconds=NOW, signals={}),
            id="no-signal",
        ),
    ],
)
def test_a_history_that_says_little(history: History) -> None:
    snapshot = make_snapshot(services=[make_view()], replicas=make_replica_views(3))
    decision = decided(snapshot=snapshot, history=history).decisions[0]
    assert not isinstance(decision.action, Scale) or decision.action.direction is Direction.OUT


def test_a_state_full_of_junk_is_cleaned_up() -> None:
    look = Recommendation(timestamp_seconds=1e12, replicas=10**9)
    junk = make_service_state(
        recommendations=(look,) * 5000,
        scale_fit=ScaleFit(
            weights=(1e6, -1e6, 0.0, 5.0, 1.0),
            error_rows=1e6,
            error_sum=1e6,
            error_square_sum=1e12,
            last_timestamp_seconds=1e12,
        ),
        prompt_tokens_per_request=1e300,
        output_tokens_per_request=0.0,
    )
    sample = WorkSample(
        observed_timestamp_seconds=0.0,
        prompt_tokens_total=1e300,
        output_tokens_total=1e300,
        is_saturated=True,
    )
    state = ControllerState(
        services={CHAT: junk, **{f"gone-{i}": junk for i in range(20)}},
        variants={f"gone-{i}": {"v": VariantState()} for i in range(1000)},
        replicas={f"gone-{i}": sample for i in range(1000)},
    )
    after = decided(state=state, history=BUSY).next_state
    assert (set(after.services), set(after.variants), dict(after.replicas)) == ({CHAT}, {CHAT}, {})
    assert len(after.service(CHAT).recommendations) == 1
    assert (after.service(CHAT).scale_fit.last_timestamp_seconds or 0.0) <= NOW


@pytest.mark.parametrize(
    ("pool_bytes", "stays"),
    [pytest.param(GIB, 1, id="room-for-one"), pytest.param(1, 0, id="room-for-none")],
)
def test_a_pool_smaller_than_what_runs(pool_bytes: int, stays: int) -> None:
    snapshot = make_snapshot(services=[make_view()], replicas=make_replica_views(3))
    decision = decided(
        snapshot=snapshot, history=BUSY, catalogue=make_catalogue(pool_bytes=pool_bytes)
    ).decisions[0]
    assert isinstance(decision.action, Scale)
    assert (decision.action.to_replicas, decision.reason) == (stays, Reason.YIELD_MEMORY)


def test_a_pool_smaller_than_the_declared_minimum_takes_nothing_away() -> None:
    service = make_service(variants=(make_variant(min_replicas=3),))
    snapshot = make_snapshot(services=[make_view()], replicas=make_replica_views(3))
    result = decided(snapshot=snapshot, catalogue=make_catalogue(service, pool_bytes=1))
    assert result.decisions[0].action == Hold()


@pytest.mark.parametrize("state", list(ReplicaState))
def test_replicas_all_in_one_state(state: ReplicaState) -> None:
    replicas = make_replica_views(3, state=state)
    decision = decided(
        snapshot=make_snapshot(services=[make_view(held=2.0)], replicas=replicas), history=BUSY
    ).decisions[0]
    assert isinstance(decision.action, Scale)
    assert decision.action.direction is Direction.OUT
