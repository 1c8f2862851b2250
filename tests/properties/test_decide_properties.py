"""What holds for every world `decide` can be shown."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from autoscaler.checkpoint import decisions_json, state_json
from autoscaler.decide import Decided, decide
from autoscaler.govern.authority import govern
from autoscaler.model.action import Direction, Reason, Scale
from autoscaler.model.decision import Decision, Verdict
from autoscaler.model.state import (
    BudgetSpending,
    ControllerState,
    DayProfile,
    Recommendation,
    ScaleFit,
    ServiceState,
    VariantState,
)
from autoscaler.replay.faults import SeriesFault
from autoscaler.replay.faulty_snapshot import repeated, unanswered
from collector.model.catalogue import AuthorityLevel, Catalogue, Mode, Variant
from collector.model.history import History
from collector.model.reading import Fresh, Number
from collector.model.replica import HOLDING_STATES, ReplicaState
from collector.model.snapshot import ReplicaView, ServiceView, Snapshot, TrafficView
from support.builders import (
    BINS,
    GIB,
    NOW,
    UNREAD,
    Bins,
    fresh,
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
    requests_per_bin,
    stale,
    steady,
)
from support.day_profiles import make_profile

NAMES = ("alpha", "beta", "gamma")
VARIANTS = ("small", "large")
DAY_PROFILES = (
    DayProfile(),
    make_profile(burst_timestamp_seconds=NOW + 60.0, factor=4.0),
    make_profile(burst_timestamp_seconds=NOW + 60.0, factor=0.0, work=1e30),
    make_profile(burst_timestamp_seconds=NOW - 600.0, factor=9.0, days=255),
)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class World:
    """All that one decision is made from."""

    snapshot: Snapshot
    history: History
    catalogue: Catalogue
    state: ControllerState
    now: float

    def __repr__(self) -> str:
        """In short; the whole of it fills pages."""
        replicas = [f"{v.replica.service}/{v.replica.state}" for v in self.snapshot.replicas]
        views = [view.service for view in self.snapshot.services]
        return f"World(now={self.now}, views={views}, replicas={replicas})"


amounts = st.one_of(
    st.sampled_from([0.0, -0.0, 5e-324, 1.0, 3.0, 1e9, 1e308]), st.floats(0.0, 500.0)
)
ratios = st.floats(0.0, 5.0)


@st.composite
def readings(draw: st.DrawFn) -> Number:
    value = draw(amounts)
    at = NOW - draw(st.sampled_from([0.0, 5.0, 300.0, -300.0]))
    return draw(st.sampled_from([fresh(value, at=at), stale(value, at=at), UNREAD]))


TRAFFIC = [each.name for each in fields(TrafficView)]
WORK = [each.name for each in fields(ReplicaView) if each.name not in {"replica", "engine"}]
CACHE = ["kv_use_ratio", "kv_capacity_tokens"]


def odd(names: list[str]) -> st.SearchStrategy[dict[str, Number]]:
    """A few readings by name that are not what they should be."""
    return st.dictionaries(st.sampled_from(names), readings(), max_size=3)


@st.composite
def views(draw: st.DrawFn, name: str) -> ServiceView:
    """A view that adds up, but for what is odd about it."""
    view = make_view(name, held=draw(st.integers(0, 50)), in_flight=draw(st.integers(0, 50)))
    return replace(view, traffic=replace(view.traffic, **draw(odd(TRAFFIC))))


@st.composite
def replicas(draw: st.DrawFn) -> list[ReplicaView]:
    kinds = st.tuples(
        st.sampled_from([*NAMES, "undeclared"]),
        st.sampled_from([*VARIANTS, "undeclared"]),
        st.sampled_from(list(ReplicaState)),
    )
    found = []
    for number, (service, variant, state) in enumerate(draw(st.lists(kinds, max_size=10))):
        view = make_replica_view(f"r{number}", service=service, variant=variant, state=state)
        if number < 4:
            engine = replace(view.engine, **draw(odd(CACHE)))
            view = replace(view, engine=engine, **draw(odd(WORK)))
        found.append(view)
    return found


@st.composite
def histories(draw: st.DrawFn) -> dict[str, Bins]:
    """Demand per service: none known, steady, or anything in the last bins."""
    kinds = st.one_of(
        st.just({}),
        st.builds(steady, st.floats(0.0, 20.0), good_ratio=st.floats(0.0, 1.0)),
        st.builds(requests_per_bin, st.lists(amounts, min_size=1, max_size=8)),
    )
    return {name: draw(kinds) for name in (*NAMES[:2], "undeclared")}


@st.composite
def scale_fits(draw: st.DrawFn) -> ScaleFit:
    """What may have been learned of a forecast, sound or not."""
    size = draw(st.sampled_from([0, 5, 6]))
    spread = draw(st.floats(0.0, 3.0))
    rows = draw(st.sampled_from([0.0, 39.0, 300.0]))
    mean = draw(st.floats(-2.0, 2.0))
    return ScaleFit(
        gram=(1.0,) * (size * (size + 1) // 2),
        moment=tuple(draw(st.lists(ratios, min_size=size, max_size=size))),
        weights=tuple(draw(st.lists(st.floats(-1.0, 2.0), min_size=size, max_size=size))),
        rows_total=draw(st.integers(0, 40)),
        error_rows=rows,
        error_sum=rows * mean,
        error_square_sum=rows * (mean * mean + spread * spread),
        last_timestamp_seconds=draw(st.sampled_from([None, NOW - 15.0, NOW + 5000.0, 0.0])),
        day_profile=draw(st.sampled_from(DAY_PROFILES)),
    )


@st.composite
def service_states(draw: st.DrawFn) -> ServiceState:
    ages = draw(st.sampled_from([(), tuple(range(300, 0, -15)), (290,), (9000, -500)]))
    needed = draw(st.integers(0, 3))
    return make_service_state(
        recommendations=tuple(
            Recommendation(timestamp_seconds=NOW - age, replicas=needed) for age in ages
        ),
        scale_fit=draw(scale_fits()),
        last_demand_timestamp_seconds=draw(st.sampled_from([None, NOW, NOW - 5000, NOW + 5000])),
        output_tokens_per_request=draw(st.sampled_from([None, 0.0, 90.0, 1e9])),
        prompt_tokens_per_request=draw(st.sampled_from([None, 0.0, 100.0, 1e9])),
    )


@st.composite
def variant_states(draw: st.DrawFn) -> VariantState:
    return VariantState(
        saturated_work_ratios=tuple(draw(st.lists(ratios, max_size=6))),
        unsaturated_work_ratios=tuple(draw(st.lists(ratios, max_size=6))),
        lead_time_seconds=tuple(draw(st.lists(st.floats(0.0, 600.0), max_size=3))),
        footprint_bytes=tuple(draw(st.lists(st.integers(1, 4 * GIB), max_size=3))),
        consecutive_start_failures=draw(st.integers(0, 60)),
        last_start_failure_timestamp_seconds=draw(st.sampled_from([None, NOW - 5, NOW + 5])),
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    services = []
    for name in NAMES:
        lowest = draw(st.integers(0, 2))
        services.append(
            make_service(
                name,
                variants=tuple(
                    make_variant(
                        variant,
                        min_replicas=lowest,
                        max_replicas=lowest + draw(st.integers(0, 4)),
                        memory_bytes=draw(st.sampled_from([GIB // 2, GIB, 3 * GIB])),
                        cost_per_hour=draw(st.sampled_from([0.0, 1.0, 7.0])),
                        capacity_prior=draw(st.sampled_from([None, make_variant().capacity_prior])),
                    )
                    for variant in VARIANTS[: draw(st.integers(1, 2))]
                ),
            )
        )
    return World(
        snapshot=make_snapshot(
            services=[draw(views(name)) for name in NAMES if draw(st.integers(0, 3))],
            replicas=draw(replicas()),
            available_bytes=draw(readings() | st.just(fresh(8.0 * GIB))),
        ),
        history=make_history(draw(histories())),
        catalogue=make_catalogue(*services, pool_bytes=draw(st.integers(1, 20)) * GIB),
        state=ControllerState(
            services={name: draw(service_states()) for name in (*NAMES[:2], "undeclared")},
            variants={NAMES[0]: {VARIANTS[0]: draw(variant_states())}, "undeclared": {}},
        ),
        now=NOW + draw(st.sampled_from([0.0, 10.0, 90.0, -50.0])),
    )


def decided(world: World) -> Decided:
    return decide(
        snapshot=world.snapshot,
        history=world.history,
        catalogue=world.catalogue,
        state=world.state,
        now=world.now,
    )


def numbers(value: object) -> Iterator[float]:
    if isinstance(value, float):
        yield value
    elif is_dataclass(value):
        for each in fields(value):
            yield from numbers(getattr(value, each.name))
    elif isinstance(value, Mapping):
        for each_value in value.values():
            yield from numbers(each_value)
    elif isinstance(value, tuple):
        for item in value:
            yield from numbers(item)


def scales(result: Decided) -> Iterator[tuple[str, Scale]]:
    """Changes to what is declared; what is not has a rule of its own."""
    for each in result.decisions:
        if isinstance(each.action, Scale) and each.reason is not Reason.NOT_DECLARED:
            yield each.service, each.action


quick = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@quick
@given(worlds())
def test_every_world_has_one_decision_per_service_in_finite_numbers(world: World) -> None:
    result = decided(world)
    services = [each.service for each in result.decisions]
    assert services[: len(NAMES)] == list(NAMES)
    assert len(set(services)) == len(services)
    assert all(math.isfinite(each) for each in numbers(result.decisions))
    assert all(math.isfinite(each) for each in numbers(result.next_state))
    assert set(result.next_state.services) == set(NAMES)
    json.loads(decisions_json(result.decisions))


@quick
@given(worlds())
def test_the_same_inputs_give_the_same_bytes_before_and_after_json(world: World) -> None:
    first = decided(world)
    state = TypeAdapter(ControllerState).validate_json(state_json(world.state))
    again = decided(replace(world, state=state))
    assert decisions_json(again.decisions) == decisions_json(first.decisions)
    assert state_json(again.next_state) == state_json(first.next_state)


@quick
@given(worlds())
def test_scaling_out_stays_inside_maximum_and_memory(world: World) -> None:
    result = decided(world)
    (pool,) = world.catalogue.pools
    held = Counter[str]()
    for view in world.snapshot.replicas:
        variant = world.catalogue.variant(view.replica.service, view.replica.variant)
        if variant is not None and view.replica.state in HOLDING_STATES:
            held["declared or measured"] += least_held(view, declared=variant.memory_bytes)
    started = 0
    for service, action in scales(result):
        variant = world.catalogue.variant(service, action.variant)
        assert variant is not None
        if action.direction is Direction.OUT:
            assert action.from_replicas < action.to_replicas <= variant.max_replicas
            started += (action.to_replicas - action.from_replicas) * least_start(
                world, service, variant
            )
    if started:
        assert held.total() + started <= pool.budget_bytes


def least_held(view: ReplicaView, *, declared: int) -> int:
    """What a replica holds at the very least: measured, or a young one's declared size."""
    if isinstance(view.memory_bytes, Fresh):
        return int(view.memory_bytes.value)
    return 0 if view.replica.state is ReplicaState.ASLEEP else min(declared, 1)


def least_start(world: World, service: str, variant: Variant) -> int:
    """A lower bound of what one more replica takes."""
    seen = decided(world).next_state.variant(service, variant.name).footprint_bytes
    return max(seen) if seen else variant.memory_bytes


@quick
@given(worlds())
def test_nothing_is_taken_from_a_service_in_doubt(world: World) -> None:
    result = decided(world)
    for each in result.decisions:
        if each.reason is Reason.NOT_DECLARED:
            continue
        if isinstance(each.action, Scale) and each.action.direction is Direction.IN:
            assert each.evidence.quality == ()
            view = world.snapshot.service(each.service)
            assert view is not None
            for name in ("arrived_requests_total", "in_flight_requests", "held_requests"):
                read = getattr(view.traffic, name)
                assert isinstance(read, Fresh)
                assert abs(world.now - read.observed_timestamp_seconds) <= 20.0


@quick
@given(worlds())
def test_those_that_go_serve_this_service_and_go_once(world: World) -> None:
    serving = {
        (view.replica.service, view.replica.variant, view.replica.replica_id)
        for view in world.snapshot.replicas
        if view.replica.state is ReplicaState.SERVING
    }
    for service, action in scales(decided(world)):
        stopped = action.stop_replicas
        assert {(service, action.variant, each) for each in stopped} <= serving
        assert len(set(stopped)) == len(stopped)
        fewer = max(0, action.from_replicas - action.to_replicas)
        assert len(stopped) == fewer


@quick
@given(worlds())
def test_only_what_is_not_declared_is_retired(world: World) -> None:
    stopping = {
        replica_id
        for each in decided(world).decisions
        if isinstance(each.action, Scale) and each.reason is Reason.NOT_DECLARED
        for replica_id in each.action.stop_replicas
    }
    declared = {
        view.replica.replica_id
        for view in world.snapshot.replicas
        if world.catalogue.variant(view.replica.service, view.replica.variant) is not None
    }
    assert not stopping & declared


@quick
@given(worlds())
def test_no_service_is_taken_below_its_minimum(world: World) -> None:
    for service, action in scales(decided(world)):
        variant = world.catalogue.variant(service, action.variant)
        assert variant is not None
        if action.direction is Direction.IN:
            assert action.to_replicas >= variant.min_replicas


@quick
@given(worlds(), st.sampled_from([1.0, -1.0, 0.25]))
def test_another_moment_gives_other_ids(world: World, later: float) -> None:
    decisions = decided(world).decisions
    ids = {each.decision_id for each in decisions}
    others = {each.decision_id for each in decided(replace(world, now=world.now + later)).decisions}
    assert len(ids) == len(decisions)
    assert not ids & others


@quick
@given(worlds(), st.sampled_from(list(Mode)), st.sampled_from(list(AuthorityLevel)))
def test_governance_never_widens(world: World, mode: Mode, level: AuthorityLevel) -> None:
    free = decided(world)
    authority = make_authority(mode=mode, level=level)
    governed = decided(replace(world, catalogue=replace(world.catalogue, authority=authority)))
    assert [each.action for each in governed.decisions] == [each.action for each in free.decisions]
    for before, after in zip(free.decisions, governed.decisions, strict=True):
        assert after.verdict is govern(after.action, authority=authority)
        assert before.is_effective or not after.is_effective
        if (mode, level) != (Mode.ACTIVE, AuthorityLevel.AUTO):
            assert after.verdict is not Verdict.ACT


@quick
@given(worlds())
def test_being_told_everything_twice_changes_nothing_and_never_gives_out_more(
    world: World,
) -> None:
    once = decided(world)
    twice = decided(replace(world, snapshot=repeated(world.snapshot, fault=SeriesFault.TWICE)))
    assert state_json(twice.next_state) == state_json(once.next_state)
    for before, after in zip(once.decisions, twice.decisions, strict=True):
        assert after.evidence == before.evidence
        assert started(after) <= started(before)


@quick
@given(worlds())
def test_metrics_in_the_dark_take_nothing_away_and_teach_nothing_of_demand(world: World) -> None:
    dark = unanswered(world.snapshot, read_timestamp_seconds=NOW - 120.0)
    result = decided(replace(world, snapshot=dark))
    for each in result.decisions:
        if each.reason is not Reason.NOT_DECLARED:
            assert not isinstance(each.action, Scale) or each.action.direction is Direction.OUT
            assert each.evidence.quality != ()
    for name in NAMES:
        before, after = world.state.service(name), result.next_state.service(name)
        assert after.budgets == before.budgets
        assert after.objective_totals == before.objective_totals


def started(decision: Decision) -> int:
    """Replicas that it starts."""
    action = decision.action
    return max(0, action.to_replicas - action.from_replicas) if isinstance(action, Scale) else 0


@quick
@given(worlds())
def test_what_surplus_takes_away_is_a_small_step(world: World) -> None:
    for each in decided(world).decisions:
        if isinstance(each.action, Scale) and each.reason is Reason.SURPLUS_CAPACITY:
            supply = each.evidence.supply_replicas
            assert 0 < len(each.action.stop_replicas) <= max(1, supply // 6)


@settings(max_examples=80, deadline=None)
@given(
    requests=st.lists(st.floats(0.0, 300.0), min_size=BINS, max_size=BINS),
    factor=st.floats(1.0, 10.0),
    supply=st.integers(0, 6),
    held=st.integers(0, 20),
    more_held=st.integers(0, 20),
    fit=scale_fits(),
    spent=st.floats(0.0, 50.0),
)
def test_more_demand_never_means_fewer_replicas(
    *,
    requests: list[float],
    factor: float,
    supply: int,
    held: int,
    more_held: int,
    fit: ScaleFit,
    spent: float,
) -> None:
    known = make_service_state(
        recommendations=tuple(
            Recommendation(timestamp_seconds=NOW - age, replicas=0) for age in range(300, 0, -15)
        ),
        scale_fit=fit,
        budgets=(BudgetSpending(bad=spent, allowed=1.0),),
    )
    less = planned(np.array(requests), supply=supply, held=held, known=known)
    more = planned(np.array(requests) * factor, supply=supply, held=held + more_held, known=known)
    assert more >= less


def planned(
    requests: "np.ndarray[Any, Any]", *, supply: int, held: int, known: ServiceState
) -> int:
    """Replicas of a lone service after the decision, memory being free and request lengths known."""
    result = decide(
        snapshot=make_snapshot(
            services=[make_view("alpha", held=held)],
            replicas=make_replica_views(supply, service="alpha"),
        ),
        history=make_history({"alpha": requests_per_bin([float(each) for each in requests])}),
        catalogue=make_catalogue(make_service("alpha", variants=(make_variant(max_replicas=50),))),
        state=ControllerState(services={"alpha": known}),
        now=NOW,
    )
    action = result.decisions[0].action
    return action.to_replicas if isinstance(action, Scale) else supply
