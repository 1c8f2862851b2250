"""Units of prefill and decode engines, for any ratio, any engines and any demand."""

import json
import math
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from autoscaler.capacity.units import role_shares, unit_capacity
from autoscaler.checkpoint import decisions_json, state_json
from autoscaler.decide import Decided, decide
from autoscaler.model.action import Scale
from autoscaler.model.decision import Decision, Verdict
from autoscaler.model.demand import Rates
from autoscaler.model.state import ControllerState
from collector.model.catalogue import Catalogue
from collector.model.reading import Number
from collector.model.replica import EngineKind, ReplicaState
from collector.model.roles import EngineRole
from collector.model.snapshot import ReplicaView
from collector.model.units import in_units
from support.builders import (
    CHAT,
    NOW,
    UNREAD,
    fresh,
    make_catalogue,
    make_history,
    make_service_state,
    make_snapshot,
    make_view,
    stale,
    steady,
)
from support.units import (
    make_engine_view,
    make_engine_views,
    make_split_service,
    make_split_variant,
)

P, D = EngineRole.PREFILL, EngineRole.DECODE
ratios = st.integers(1, 6)
amounts = st.one_of(st.sampled_from([0.0, 5e-324, 1.0, 1e9, 1e308]), st.floats(0.0, 500.0))


def decided(
    catalogue: Catalogue, engines: tuple[ReplicaView, ...], demand: float, **state: Any
) -> Decided:
    return decide(
        snapshot=make_snapshot(services=[make_view()], replicas=engines),
        history=make_history({CHAT: steady(demand)}),
        catalogue=catalogue,
        state=ControllerState(services={CHAT: make_service_state(**state)}),
        now=NOW,
    )


def units_wanted(decision: Decision) -> int:
    action = decision.action
    return action.to_replicas if isinstance(action, Scale) else decision.evidence.supply_replicas


@given(
    prefill=ratios,
    decode=ratios,
    units=st.integers(0, 5),
    beyond=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    demands=st.tuples(st.floats(0.0, 50.0), st.floats(0.0, 50.0)),
)
@settings(max_examples=60, deadline=None)
def test_more_demand_never_means_fewer_units_and_engines_keep_their_ratio(
    prefill: int,
    decode: int,
    units: int,
    beyond: tuple[int, int],
    demands: tuple[float, float],
) -> None:
    catalogue = make_catalogue(make_split_service(prefill=prefill, decode=decode, max_replicas=500))
    engines = make_engine_views(
        prefill=units * prefill + beyond[0], decode=units * decode + beyond[1]
    )
    less, more = (decided(catalogue, engines, demand).decisions[0] for demand in sorted(demands))
    assert units_wanted(less) <= units_wanted(more)
    for decision in (less, more):
        told = {each.role: each for each in decision.evidence.roles}
        if engines:
            assert told[P].needed_engines == units_wanted(decision) * prefill
            assert told[D].needed_engines == units_wanted(decision) * decode
        assert decision.verdict in {Verdict.ADVISE, Verdict.NOTHING_TO_DO}


@given(
    prefill=ratios,
    decode=ratios,
    times=st.integers(2, 5),
    prompt=st.floats(1, 5e3),
    output=st.floats(1, 5e3),
)
def test_a_unit_sustains_the_least_of_its_roles_and_twice_the_engines_twice_as_much(
    prefill: int, decode: int, times: int, prompt: float, output: float
) -> None:
    rates = Rates(
        requests_per_second=1.0, prompt_tokens_per_second=prompt, output_tokens_per_second=output
    )

    def sustained(p: int, d: int) -> float:
        unit = unit_capacity(
            make_split_variant(prefill=p, decode=d),
            states={},
            objectives=(),
            prompt_tokens_per_request=None,
        )
        assert unit is not None
        least = min(each.sustained_requests_per_second for each in role_shares(unit, rates=rates))
        found = unit.low_ratio / unit.work_ratio(rates)
        assert math.isclose(found, least)
        return found

    one = sustained(prefill, decode)
    assert math.isclose(sustained(times * prefill, times * decode), times * one)
    assert sustained(prefill + 1, decode) >= one * (1 - 1e-12)
    assert sustained(prefill, decode + 1) >= one * (1 - 1e-12)


@st.composite
def engine_views(draw: st.DrawFn) -> tuple[ReplicaView, ...]:
    """Engines in any state that tell anything."""
    kinds = st.tuples(st.sampled_from(list(EngineRole)), st.sampled_from(list(ReplicaState)))
    return tuple(
        replace(make_engine_view(role, number, state=state), **draw(odd))
        for number, (role, state) in enumerate(draw(st.lists(kinds, max_size=14)))
    )


@st.composite
def readings(draw: st.DrawFn) -> Number:
    value = draw(amounts)
    at = NOW - draw(st.sampled_from([0.0, 300.0, -300.0]))
    return draw(st.sampled_from([fresh(value, at=at), stale(value, at=at), UNREAD]))


COUNTS = (
    "running_requests", "waiting_requests", "prompt_tokens_total", "output_tokens_total",
    "in_flight_requests", "memory_bytes",
)  # fmt: skip
odd = st.dictionaries(st.sampled_from(COUNTS), readings(), max_size=3)


@given(
    engines=engine_views(),
    prefill=ratios,
    decode=ratios,
    kind=st.sampled_from([EngineKind.VLLM, EngineKind.SGLANG]),
)
def test_units_are_made_of_whole_sets_and_of_nothing_twice(
    engines: tuple[ReplicaView, ...], prefill: int, decode: int, kind: EngineKind
) -> None:
    catalogue = make_catalogue(make_split_service(prefill=prefill, decode=decode, engine=kind))
    units = in_units(make_snapshot(replicas=engines), catalogue=catalogue).snapshot.replicas
    count = {
        (role, state): sum((v.replica.role, v.replica.state) == (role, state) for v in engines)
        for role in EngineRole
        for state in ReplicaState
    }
    there = {
        role: sum(
            count[role, state]
            for state in (ReplicaState.SERVING, ReplicaState.LOADING, ReplicaState.PENDING)
        )
        for role in EngineRole
    }
    assert len(units) == min(there[P] // prefill, there[D] // decode)
    serving = [unit for unit in units if unit.replica.state is ReplicaState.SERVING]
    ready = (count[P, ReplicaState.SERVING] // prefill, count[D, ReplicaState.SERVING] // decode)
    assert len(serving) == min(ready)
    assert len({unit.replica.replica_id for unit in units}) == len(units)


@given(
    engines=engine_views(),
    prefill=ratios,
    decode=ratios,
    demand=st.floats(0.0, 1e6),
    prompt=st.sampled_from([None, 0.0, 100.0, 1e9, 1e308]),
)
@settings(max_examples=60, deadline=None)
def test_whatever_engines_tell_decisions_are_finite_repeatable_and_can_be_stored(
    engines: tuple[ReplicaView, ...],
    prefill: int,
    decode: int,
    demand: float,
    prompt: float | None,
) -> None:
    catalogue = make_catalogue(make_split_service(prefill=prefill, decode=decode))
    first = decided(catalogue, engines, demand, prompt_tokens_per_request=prompt)
    again = decided(catalogue, engines, demand, prompt_tokens_per_request=prompt)
    assert decisions_json(first.decisions) == decisions_json(again.decisions)
    json.loads(decisions_json(first.decisions), parse_constant=_refuse)
    stored = TypeAdapter(ControllerState).validate_json(state_json(first.next_state))
    assert stored == first.next_state


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no number")
