"""The whole decision: each reason once, and what happens where stages meet."""

from typing import Any

import pytest

from autoscaler.decide import Decided, decide
from autoscaler.model.action import Hold, Reason, Scale
from autoscaler.model.decision import Decision, Verdict
from autoscaler.model.state import (
    ControllerState,
    Recommendation,
    ScaleFit,
    ServiceState,
    VariantState,
)
from collector.model.calendar import CalendarEvent, Once
from collector.model.catalogue import Catalogue, Control, Mode, Service, UrlTarget
from collector.model.replica import ReplicaState
from collector.model.snapshot import ReplicaView, ServiceView
from support.builders import (
    CHAT,
    GIB,
    NOW,
    Bins,
    make_authority,
    make_catalogue,
    make_history,
    make_replica_view,
    make_replica_views,
    make_service,
    make_service_state,
    make_snapshot,
    make_variant,
    make_view,
    stale,
    steady,
)


def watched(replicas: int, **fields: Any) -> ServiceState:
    """A service of which `replicas` were needed at every look of the last five minutes."""
    looks = tuple(
        Recommendation(timestamp_seconds=NOW - 15.0 * i, replicas=replicas)
        for i in range(20, 0, -1)
    )
    return make_service_state(recommendations=looks, **fields)


def decided(
    *services: Service,
    views: tuple[ServiceView, ...] | None = None,
    replicas: tuple[ReplicaView, ...] = (),
    demand: dict[str, Bins] | None = None,
    states: dict[str, ServiceState] | None = None,
    variants: dict[str, dict[str, VariantState]] | None = None,
    catalogue: Catalogue | None = None,
    now: float = NOW,
    **snapshot: Any,
) -> Decided:
    """All services sound and without demand unless said otherwise."""
    catalogue = catalogue or make_catalogue(*(services or (make_service(),)))
    names = [service.name for service in catalogue.services]
    given = {name: make_service_state() for name in names} | (states or {})
    seen = views if views is not None else tuple(make_view(name) for name in names)
    return decide(
        snapshot=make_snapshot(services=seen, replicas=replicas, **snapshot),
        history=make_history({name: steady(0.0) for name in names} | (demand or {})),
        catalogue=catalogue,
        state=ControllerState(services=given, variants=variants or {}),
        now=now,
    )


def one(
    *services: Service,
    demand: float | dict[str, Bins] = 0.0,
    view: ServiceView | None = None,
    **given: Any,
) -> Decision:
    """The decision for the first service; a plain `demand` is its requests per second."""
    name = services[0].name if services else CHAT
    bins = demand if isinstance(demand, dict) else {name: steady(demand)}
    if view is not None:
        given["views"] = (view,)
    return decided(*services, demand=bins, **given).decisions[0]


def change(decision: Decision) -> int:
    action = decision.action
    return action.to_replicas - action.from_replicas if isinstance(action, Scale) else 0


FAILING = VariantState(
    consecutive_start_failures=1, last_start_failure_timestamp_seconds=NOW - 10.0
)
TWO = make_replica_views(2)
VIP = make_service("vip", tier="vip")
VIP_PRICES = {"vip": 100.0}

OPENING = make_catalogue(
    make_service(
        calendar=(
            CalendarEvent(
                name="opening",
                schedule=Once(start_timestamp_seconds=NOW + 10.0),
                duration_seconds=600.0,
                requests_per_second=2.5,
            ),
        )
    )
)
BY_REASON: dict[Reason, tuple[dict[str, Any], int]] = {
    Reason.DEMAND_FORECAST: ({"replicas": make_replica_views(1), "demand": 2.0}, 4),
    Reason.CALENDAR_EVENT: ({"replicas": make_replica_views(1), "catalogue": OPENING}, 3),
    Reason.BACKLOG: ({"replicas": make_replica_views(1), "view": make_view(in_flight=64.0)}, 1),
    Reason.HELD_REQUEST: ({"view": make_view(held=1.0)}, 1),
    Reason.MINIMUM_REPLICAS: (
        {"catalogue": make_catalogue(make_service(variants=(make_variant(min_replicas=2),)))},
        2,
    ),
    Reason.CHEAPER_MIX: (
        {
            "catalogue": make_catalogue(
                make_service(variants=(make_variant("dear", cost_per_hour=5.0), make_variant()))
            ),
            "replicas": (make_replica_view(variant="dear"),),
            "demand": 0.3,
            "states": {CHAT: watched(1)},
        },
        1,
    ),
    Reason.SURPLUS_CAPACITY: ({"replicas": TWO, "demand": 0.3, "states": {CHAT: watched(1)}}, -1),
    Reason.IDLE: (
        {
            "replicas": make_replica_views(1),
            "states": {CHAT: watched(0, last_demand_timestamp_seconds=NOW - 900.0)},
        },
        -1,
    ),
    Reason.YIELD_MEMORY: (
        {
            "catalogue": make_catalogue(make_service(), VIP, pool_bytes=GIB, prices=VIP_PRICES),
            "views": (make_view(CHAT), make_view("vip", held=1.0)),
            "replicas": make_replica_views(1),
            "demand": {CHAT: steady(0.3)},
        },
        -1,
    ),
    Reason.ABOVE_MAXIMUM: (
        {
            "catalogue": make_catalogue(make_service(variants=(make_variant(max_replicas=1),))),
            "replicas": TWO,
            "demand": 2.0,
        },
        -1,
    ),
    Reason.NOT_DECLARED: (
        {"replicas": [make_replica_view("old", variant="gone")], "demand": {CHAT: steady(0.0)}},
        -1,
    ),
    Reason.STEADY: ({"replicas": make_replica_views(1), "demand": 0.3}, 0),
    Reason.SCALE_IN_HOLD: ({"replicas": TWO, "demand": 0.3}, 0),
    Reason.CONSOLIDATION_TEST: (
        {
            "catalogue": make_catalogue(control=Control(scale_in_utilisation_ratio=0.6)),
            "replicas": TWO,
            "demand": {CHAT: steady(0.4)},
            "states": {CHAT: watched(1)},
        },
        0,
    ),
    Reason.BUDGET_BURNING: (
        {
            "replicas": TWO,
            "demand": {CHAT: steady(0.3, good_ratio=0.5)},
            "states": {CHAT: watched(1)},
        },
        0,
    ),
    Reason.NO_FRESH_DATA: (
        {
            "replicas": TWO,
            "demand": 0.3,
            "view": make_view(held=stale(0.0)),
            "states": {CHAT: watched(1)},
        },
        0,
    ),
    Reason.DEMAND_NOT_CONSERVED: (
        {
            "replicas": TWO,
            "demand": 0.3,
            "view": make_view(arrived_requests_total=150.0),
            "states": {CHAT: watched(1)},
        },
        0,
    ),
    Reason.CHANGE_IN_PROGRESS: (
        {
            "replicas": (
                make_replica_view("r1"),
                make_replica_view("r2", state=ReplicaState.LOADING),
            ),
            "demand": 0.3,
            "states": {CHAT: watched(1)},
        },
        0,
    ),
    Reason.MEMORY_FULL: (
        {
            "catalogue": make_catalogue(make_service(), pool_bytes=GIB),
            "replicas": make_replica_views(1),
            "demand": 2.0,
        },
        0,
    ),
    Reason.AT_MAXIMUM_REPLICAS: (
        {
            "catalogue": make_catalogue(make_service(variants=(make_variant(max_replicas=1),))),
            "replicas": make_replica_views(1),
            "demand": 2.0,
        },
        0,
    ),
    Reason.START_FAILING: (
        {"view": make_view(held=1.0), "variants": {CHAT: {"small": FAILING}}},
        0,
    ),
    Reason.NOT_MANAGED: (
        {
            "catalogue": make_catalogue(
                make_service(variants=(make_variant(target=UrlTarget(urls=("http://a",))),))
            ),
            "replicas": make_replica_views(1),
            "demand": 2.0,
        },
        0,
    ),
}


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_a_situation(reason: Reason) -> None:
    given, expected = BY_REASON[reason]
    decision = one(**given)
    assert (decision.reason, change(decision)) == (reason, expected)


def test_one_decision_per_declared_service_in_the_order_of_the_catalogue() -> None:
    services = tuple(make_service(name) for name in ("b", "a", "c"))
    assert [each.service for each in decided(*services).decisions] == ["b", "a", "c"]


def test_an_empty_world_is_left_alone() -> None:
    decision = one(views=(), demand={})
    assert (decision.action, decision.reason) == (Hold(), Reason.NO_FRESH_DATA)
    assert decision.verdict is Verdict.NOTHING_TO_DO


def test_the_decision_carries_what_it_was_made_from() -> None:
    decision = one(replicas=make_replica_views(1), demand=2.0)
    evidence = decision.evidence
    assert (evidence.supply_replicas, evidence.serving_replicas, evidence.needed_replicas) == (
        1,
        1,
        5,
    )
    assert evidence.demand_requests_per_second == pytest.approx(2.0)
    assert evidence.demand_work_ratio == pytest.approx(2.0)
    assert evidence.expected_work_ratio == pytest.approx(2.813, abs=0.001)
    assert (evidence.capacity_low_ratio, evidence.capacity_high_ratio) == (0.8, 1.2)
    assert evidence.expected_shortfall_ratio_without == pytest.approx(0.63, abs=0.01)
    assert evidence.expected_shortfall_ratio_with == 0.0
    assert decision.decided_timestamp_seconds == NOW
    assert decision.catalogue_digest == "d" * 16


OUTCOMES = "how far forecasts are off ({} of 40 outcomes seen)"
STRETCHES = "what a replica sustains ({} of 30 busy stretches measured)"


@pytest.mark.parametrize(
    ("outcomes", "stretches", "learning"),
    [
        pytest.param(0.0, 0, (OUTCOMES.format(1), STRETCHES.format(0)), id="new"),
        pytest.param(20.0, 30, (OUTCOMES.format(21),), id="forecast-is-young"),
        pytest.param(240.0, 29, (STRETCHES.format(29),), id="capacity-is-young"),
        pytest.param(240.0, 30, (), id="known"),
    ],
)
def test_a_decision_says_what_it_took_from_a_prior(
    outcomes: float, stretches: int, learning: tuple[str, ...]
) -> None:
    decision = one(
        replicas=make_replica_views(1),
        demand=0.3,
        states={CHAT: make_service_state(scale_fit=ScaleFit(error_rows=outcomes))},
        variants={CHAT: {"small": VariantState(saturated_work_ratios=(1.0,) * stretches)}},
    )
    assert decision.evidence.learning == learning
    assert ("Still learning" in decision.explanation) == bool(learning)


def test_the_chosen_candidate_comes_first_and_the_loser_says_why() -> None:
    decision = one(replicas=make_replica_views(1), demand=2.0)
    chosen, loser = decision.candidates
    assert (chosen.action, chosen.rejected_because) == (decision.action, None)
    assert (loser.action, loser.rejected_because) == (Hold(), Reason.DEMAND_FORECAST)
    # 63 % of 60 money/h saved by four replicas that cost 1 each.
    assert chosen.value_per_hour == pytest.approx(60 * 0.63 - 4, abs=0.1)


def test_memory_that_is_missing_names_the_scale_out_it_prevents() -> None:
    given, _ = BY_REASON[Reason.MEMORY_FULL]
    decision = one(**given)
    assert decision.reason is Reason.MEMORY_FULL
    assert decision.verdict is Verdict.NOTHING_TO_DO


def test_a_dry_run_decides_the_same_and_does_nothing() -> None:
    dry = make_catalogue(make_service(), authority=make_authority(mode=Mode.DRY_RUN))
    wet = one(replicas=make_replica_views(1), demand=2.0)
    advised = one(catalogue=dry, replicas=make_replica_views(1), demand={CHAT: steady(2.0)})
    assert advised.action == wet.action
    assert (wet.is_effective, advised.is_effective) == (True, False)
    assert advised.verdict is Verdict.DRY_RUN


def test_the_same_inputs_give_the_same_id_and_another_time_another_one() -> None:
    ids = [one(now=now).decision_id for now in (NOW, NOW, NOW + 15.0)]
    assert ids[0] == ids[1] != ids[2]


def test_the_state_remembers_reason_and_need() -> None:
    state = decided(replicas=TWO, demand={CHAT: steady(0.3)}).next_state.service(CHAT)
    assert state.last_reason is Reason.SCALE_IN_HOLD
    assert state.recommendations == (Recommendation(timestamp_seconds=NOW, replicas=1),)
    assert state.scale_fit.last_timestamp_seconds == NOW - 15.0  # the newest closed bin
    assert state.scale_fit.rows_total == 1


def test_the_look_before_the_hold_window_is_kept_and_older_ones_are_not() -> None:
    looks = tuple(
        Recommendation(timestamp_seconds=NOW - age, replicas=1) for age in (500, 310, 290, 10)
    )
    known = make_service_state(recommendations=looks)
    state = decided(states={CHAT: known}).next_state.service(CHAT)
    ages = [NOW - each.timestamp_seconds for each in state.recommendations]
    assert ages == [310, 290, 10, 0]


def test_looks_from_before_the_clock_went_back_are_forgotten() -> None:
    known = make_service_state(
        recommendations=(Recommendation(timestamp_seconds=NOW + 3600.0, replicas=1),)
    )
    state = decided(states={CHAT: known}).next_state.service(CHAT)
    assert [each.timestamp_seconds for each in state.recommendations] == [NOW]


# --- data in doubt ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"view": make_view(held=stale(0.0))}, id="stale"),
        pytest.param({"views": ()}, id="not-read"),
        pytest.param({"view": make_view(arrived_requests_total=500.0)}, id="contradicted"),
        pytest.param({"demand": {}}, id="demand-not-measured"),
        pytest.param({"now": NOW + 60.0}, id="snapshot-has-become-old"),
    ],
)
@pytest.mark.parametrize(
    "catalogue",
    [
        pytest.param(make_catalogue(), id="surplus"),
        pytest.param(
            make_catalogue(make_service(variants=(make_variant(max_replicas=1),))),
            id="above-maximum",
        ),
        pytest.param(
            make_catalogue(make_service(), VIP, pool_bytes=2 * GIB, prices=VIP_PRICES),
            id="memory-wanted-elsewhere",
        ),
    ],
)
def test_nothing_is_taken_away_in_doubt(given: dict[str, Any], catalogue: Catalogue) -> None:
    given = dict(given)
    view = given.pop("view", make_view())
    given.setdefault("views", (view, make_view("vip", held=2.0)))
    bins = {name: steady(0.3) for name in (CHAT, "vip")} if "demand" not in given else {}
    given["demand"] = {**{"chat": {}}, **bins}
    decision = one(catalogue=catalogue, replicas=TWO, states={CHAT: watched(1)}, **given)
    assert decision.action == Hold()


def test_doubt_does_not_stop_a_scale_out() -> None:
    decision = one(
        replicas=make_replica_views(1), demand=2.0, view=make_view(arrived_requests_total=500.0)
    )
    assert (decision.reason, change(decision)) == (Reason.DEMAND_FORECAST, 4)


# --- memory ----------------------------------------------------------------------------------


def test_a_scale_out_takes_the_room_there_is() -> None:
    small = make_catalogue(make_service(), pool_bytes=3 * GIB)
    decision = one(catalogue=small, replicas=make_replica_views(1), demand={CHAT: steady(5.0)})
    assert change(decision) == 2


def test_free_memory_goes_where_it_saves_most() -> None:
    catalogue = make_catalogue(make_service(), VIP, pool_bytes=GIB, prices=VIP_PRICES)
    views = (make_view(CHAT, held=1.0), make_view("vip", held=1.0))
    chat, vip = decided(catalogue=catalogue, views=views).decisions
    assert (chat.reason, vip.reason) == (Reason.MEMORY_FULL, Reason.HELD_REQUEST)


def test_memory_that_is_being_given_up_is_not_yet_free() -> None:
    catalogue = make_catalogue(make_service(), VIP, pool_bytes=GIB, prices=VIP_PRICES)
    leaving = make_replica_view("chat-1", state=ReplicaState.DRAINING)
    views = (make_view(CHAT), make_view("vip", held=1.0))
    _, vip = decided(catalogue=catalogue, views=views, replicas=(leaving,)).decisions
    assert vip.reason is Reason.MEMORY_FULL


def test_memory_promised_to_a_starting_replica_is_not_free_though_it_looks_available() -> None:
    catalogue = make_catalogue(make_service(), make_service("other"), pool_bytes=100 * GIB)
    starting = make_replica_view("chat-1", state=ReplicaState.LOADING, memory_bytes=0.0)
    views = (make_view(CHAT), make_view("other", held=1.0))
    _, other = decided(
        catalogue=catalogue, views=views, replicas=(starting,), available_bytes=1.5 * GIB
    ).decisions
    assert other.reason is Reason.MEMORY_FULL


def test_others_on_the_machine_leave_less_to_start_with() -> None:
    decision = one(view=make_view(held=1.0), available_bytes=0.5 * GIB)
    assert decision.reason is Reason.MEMORY_FULL


def test_memory_of_replicas_that_left_the_catalogue_is_not_given_out_again() -> None:
    orphans = [
        make_replica_view(name, service="gone", memory_bytes=1.0 * GIB) for name in ("a", "b")
    ]
    catalogue = make_catalogue(
        make_service(variants=(make_variant(min_replicas=4, max_replicas=4),)), pool_bytes=4 * GIB
    )
    decision = one(catalogue=catalogue, replicas=orphans)
    assert isinstance(decision.action, Scale)
    assert decision.action.to_replicas == 2


def test_a_replica_of_the_second_variant_is_valued_as_the_services_next_one() -> None:
    first = make_variant("cheap", cost_per_hour=0.1, min_replicas=1, max_replicas=1)
    second = make_variant("dear", cost_per_hour=1.0, max_replicas=4)
    decision = one(
        catalogue=make_catalogue(make_service(variants=(first, second))),
        replicas=[make_replica_view("r", variant="cheap")],
        demand=1.2,
    )
    assert isinstance(decision.action, Scale)
    assert decision.action.variant == "dear"
    # 60 an hour for a service that fails whole, 38.2 % of the demand saved, 2 for two replicas.
    assert decision.candidates[0].value_per_hour == pytest.approx(20.94, abs=0.01)


@pytest.mark.parametrize("available", [0.0, -5.0 * GIB, 0.1 * GIB])
def test_others_on_the_machine_push_nothing_out(available: float) -> None:
    catalogue = make_catalogue(make_service(), reserve_bytes=GIB)
    decision = one(
        catalogue=catalogue,
        replicas=TWO,
        demand={CHAT: steady(0.9)},
        available_bytes=available,
    )
    assert (decision.action, decision.reason) == (Hold(), Reason.STEADY)


def test_the_margin_for_newcomers_pushes_out_nothing_that_fits() -> None:
    # Both hold 0.99 GiB of a 2 GiB pool; a third would be expected to take 1.09.
    full = make_replica_views(2, memory_bytes=0.99 * GIB)
    decision = one(
        catalogue=make_catalogue(make_service(), pool_bytes=2 * GIB),
        replicas=full,
        demand={CHAT: steady(0.9)},
    )
    assert (decision.action, decision.reason) == (Hold(), Reason.STEADY)


def test_a_service_that_cannot_start_takes_no_memory_from_others() -> None:
    catalogue = make_catalogue(make_service(), VIP, pool_bytes=GIB, prices=VIP_PRICES)
    chat, vip = decided(
        catalogue=catalogue,
        views=(make_view(CHAT), make_view("vip", held=1.0)),
        replicas=make_replica_views(1),
        demand={CHAT: steady(0.3)},
        variants={"vip": {"small": FAILING}},
    ).decisions
    assert (chat.action, vip.reason) == (Hold(), Reason.START_FAILING)


QUICK = {name: {"small": VariantState(lead_time_seconds=(10.0,))} for name in (CHAT, "other")}


@pytest.mark.parametrize(
    ("waited_seconds", "served_seconds", "reason"),
    [
        pytest.param(1.0, 3600.0, Reason.STEADY, id="not-to-a-request-just-held"),
        pytest.param(41.0, 3600.0, Reason.YIELD_MEMORY, id="in-time-for-the-end-of-its-hold"),
        pytest.param(41.0, 9.0, Reason.STEADY, id="not-before-it-has-served-for-a-while"),
        pytest.param(41.0, -60.0, Reason.YIELD_MEMORY, id="whatever-a-clock-set-back-says"),
    ],
)
def test_an_equal_yields_in_turn(
    waited_seconds: float, served_seconds: float, reason: Reason
) -> None:
    other = make_view("other", held=1.0, oldest_held_seconds=waited_seconds)  # of 60
    decision = one(
        catalogue=make_catalogue(make_service(), make_service("other"), pool_bytes=GIB),
        views=(make_view(CHAT), other),
        replicas=make_replica_views(1, served_at=NOW - served_seconds),
        demand={CHAT: steady(0.3)},
        variants=QUICK,
    )
    assert decision.reason is reason


def test_a_pool_smaller_than_what_runs_gives_up_the_least_worth() -> None:
    catalogue = make_catalogue(make_service(), VIP, pool_bytes=GIB, prices=VIP_PRICES)
    chat, vip = decided(
        catalogue=catalogue,
        replicas=(*make_replica_views(1), *make_replica_views(1, service="vip")),
        demand={CHAT: steady(0.3), "vip": steady(0.3)},
    ).decisions
    assert (change(chat), change(vip)) == (-1, 0)


# --- which replicas go -----------------------------------------------------------------------


def test_the_least_busy_goes_first_and_of_equals_the_youngest() -> None:
    replicas = (
        make_replica_view("busy", in_flight_requests=3.0),
        make_replica_view("not-known-to-be-free", in_flight_requests=stale(0.0)),
        make_replica_view("old", served_at=NOW - 7200),
        make_replica_view("young", served_at=NOW - 60),
    )
    catalogue = make_catalogue(make_service(variants=(make_variant(max_replicas=1),)))
    action = one(catalogue=catalogue, replicas=replicas, demand={CHAT: steady(0.3)}).action
    assert isinstance(action, Scale)
    assert action.stop_replicas == ("young", "old", "busy")


def test_the_last_one_that_serves_does_not_yield_while_another_still_starts() -> None:
    catalogue = make_catalogue(make_service(), VIP, pool_bytes=2 * GIB, prices=VIP_PRICES)
    replicas = (
        make_replica_view("serves"),
        make_replica_view("starts", state=ReplicaState.LOADING),
    )
    chat, _ = decided(
        catalogue=catalogue,
        views=(make_view(CHAT), make_view("vip", held=1.0)),
        replicas=replicas,
        demand={CHAT: steady(0.9)},
    ).decisions
    assert (chat.action, chat.reason) == (Hold(), Reason.CHANGE_IN_PROGRESS)


# --- several variants ------------------------------------------------------------------------

CHEAP = make_variant("cheap", cost_per_hour=1.0, max_replicas=2)
DEAR = make_variant("dear", cost_per_hour=5.0)
PAIR = make_service(variants=(DEAR, CHEAP))


def runs(**counts: int) -> tuple[ReplicaView, ...]:
    return tuple(
        make_replica_view(f"{variant}-{i}", variant=variant)
        for variant, count in counts.items()
        for i in range(count)
    )


@pytest.mark.parametrize(
    ("counts", "demand", "variant", "to_replicas"),
    [
        pytest.param({}, 1.0, "cheap", 2, id="the-cheapest-work-grows-first"),
        pytest.param({"cheap": 2}, 1.2, "dear", 1, id="then-the-next"),
        pytest.param({"cheap": 1, "dear": 1}, 1.2, "cheap", 2, id="what-runs-stays"),
    ],
)
def test_growth_goes_to_the_cheapest_work_with_room(
    counts: dict[str, int], demand: float, variant: str, to_replicas: int
) -> None:
    action = one(PAIR, replicas=runs(**counts), demand=demand).action
    assert isinstance(action, Scale)
    assert (action.variant, action.to_replicas) == (variant, to_replicas)


def test_enough_on_a_dear_variant_is_not_moved_about() -> None:
    """Not before a whole hold was looked through."""
    decision = one(PAIR, replicas=runs(dear=1), demand=0.3)
    assert (decision.action, decision.reason) == (Hold(), Reason.STEADY)


def test_the_dearest_work_shrinks_first() -> None:
    decision = one(PAIR, replicas=runs(cheap=1, dear=1), demand=0.3, states={CHAT: watched(1)})
    action = decision.action
    assert isinstance(action, Scale)
    assert (action.variant, action.stop_replicas) == ("dear", ("dear-0",))


def test_a_variant_that_cannot_start_leaves_growth_to_the_next() -> None:
    decision = one(PAIR, view=make_view(held=1.0), variants={CHAT: {"cheap": FAILING}})
    action = decision.action
    assert isinstance(action, Scale)
    assert (action.variant, decision.reason) == ("dear", Reason.HELD_REQUEST)


def test_every_variant_keeps_its_own_minimum() -> None:
    dear = make_variant("dear", cost_per_hour=5.0, min_replicas=1)
    decision = one(make_service(variants=(CHEAP, dear)), replicas=runs(cheap=1))
    action = decision.action
    assert isinstance(action, Scale)
    assert (action.variant, action.to_replicas) == ("dear", 1)


def test_replicas_that_others_run_carry_their_share() -> None:
    theirs = make_variant("theirs", target=UrlTarget(urls=("http://a",)), cost_per_hour=9.0)
    service = make_service(variants=(make_variant(), theirs))
    decision = one(service, replicas=runs(theirs=1), demand=0.3)
    assert (decision.action, decision.reason) == (Hold(), Reason.STEADY)


# --- failures --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failures", "age_seconds", "may_start"),
    [
        pytest.param(1, 29.0, False, id="first-wait"),
        pytest.param(1, 30.0, True, id="first-wait-over"),
        pytest.param(2, 59.0, False, id="doubled"),
        pytest.param(2, 60.0, True, id="doubled-over"),
        pytest.param(50, 599.0, False, id="bounded"),
        pytest.param(50, 600.0, True, id="bounded-over"),
        pytest.param(0, 1.0, True, id="none-since-the-last-success"),
        pytest.param(3, -3600.0, True, id="clock-was-set-back"),
    ],
)
def test_starts_are_tried_again_ever_later(
    failures: int, age_seconds: float, may_start: bool
) -> None:
    state = VariantState(
        consecutive_start_failures=failures,
        last_start_failure_timestamp_seconds=NOW - age_seconds,
    )
    decision = one(view=make_view(held=1.0), variants={CHAT: {"small": state}})
    expected = Reason.HELD_REQUEST if may_start else Reason.START_FAILING
    assert decision.reason is expected
