"""Decisions about units of prefill and decode engines: advised in whole units, told role by role."""

from pathlib import Path
from typing import Any

import pytest

from autoscaler.checkpoint import load_checkpoint, save_checkpoint
from autoscaler.decide import decide
from autoscaler.model.action import Direction, Hold, Reason, Scale
from autoscaler.model.decision import Decision, Verdict
from autoscaler.model.inputs import Inputs
from autoscaler.model.state import ControllerState, Recommendation, VariantState
from collector.model.catalogue import Mode, Service
from collector.model.ids import VariantName
from collector.model.reading import Number
from collector.model.replica import ReplicaState
from collector.model.roles import EngineRole
from collector.model.snapshot import ReplicaView
from foresail.http.decision_view import decision_body
from support.builders import (
    CHAT,
    NOW,
    UNREAD,
    make_authority,
    make_catalogue,
    make_history,
    make_service,
    make_service_state,
    make_snapshot,
    make_variant,
    make_view,
    stale,
    steady,
)
from support.units import (
    SPLIT,
    make_engine_view,
    make_engine_views,
    make_split_service,
    make_split_variant,
)

LOOKS = tuple(
    Recommendation(timestamp_seconds=NOW - 15.0 * i, replicas=1) for i in range(20, 0, -1)
)


def decided(
    *,
    engines: tuple[ReplicaView, ...],
    demand: float,
    service: Service | None = None,
    mode: Mode = Mode.ACTIVE,
    recommendations: tuple[Recommendation, ...] = (),
    **catalogue: Any,
) -> Decision:
    return decide(
        snapshot=make_snapshot(services=[make_view()], replicas=engines),
        history=make_history({CHAT: steady(demand)}),
        catalogue=make_catalogue(
            service or make_split_service(), authority=make_authority(mode=mode), **catalogue
        ),
        state=ControllerState(services={CHAT: make_service_state(recommendations=recommendations)}),
        now=NOW,
    ).decisions[0]


def units_wanted(decision: Decision) -> int:
    action = decision.action
    return action.to_replicas if isinstance(action, Scale) else decision.evidence.supply_replicas


def test_more_demand_than_one_unit_sustains_is_answered_with_whole_units() -> None:
    # A unit sustains 1.6 / 0.9 = 1.78 requests/s by its decode engines, planned to 0.9 of it.
    decision = decided(engines=make_engine_views(prefill=1, decode=2), demand=2.0)
    assert decision.reason is Reason.DEMAND_FORECAST
    assert isinstance(decision.action, Scale)
    assert decision.action.variant == SPLIT
    assert decision.action.from_replicas == 1
    assert decision.evidence.serving_replicas == 1
    assert decision.action.to_replicas == 2


@pytest.mark.parametrize(
    ("mode", "level", "verdict"),
    [
        pytest.param(Mode.ACTIVE, "auto", Verdict.ADVISE, id="auto-is-advice-too"),
        pytest.param(Mode.DRY_RUN, "auto", Verdict.ADVISE, id="dry-run-too"),
        pytest.param(Mode.ACTIVE, "deny", Verdict.DENIED, id="what-is-denied-stays-so"),
    ],
)
def test_nobody_here_starts_units_whatever_the_authority(
    mode: Mode, level: str, verdict: Verdict
) -> None:
    catalogue = make_catalogue(
        make_split_service(), authority=make_authority(mode=mode, level=level)
    )
    decision = decide(
        snapshot=make_snapshot(
            services=[make_view()], replicas=make_engine_views(prefill=1, decode=2)
        ),
        history=make_history({CHAT: steady(2.0)}),
        catalogue=catalogue,
        state=ControllerState(services={CHAT: make_service_state()}),
        now=NOW,
    ).decisions[0]
    assert decision.verdict is verdict
    assert not decision.is_effective


def test_the_paragraph_says_what_a_unit_is_what_is_to_be_there_and_which_role_binds() -> None:
    decision = decided(engines=make_engine_views(prefill=1, decode=2), demand=2.0)
    assert decision.explanation.startswith("Scale split out 1 to 2: ")
    assert decision.explanation.endswith(
        " A replica of split is a unit of 1 prefill and 2 decode engines; 1 prefill and 2 decode engines "
        "serve. 2 units are 2 prefill and 4 decode engines: whoever runs them has to start or stop the "
        "rest. A unit sustains 1.78 requests/s, where decode is at its end."
    )


def test_a_role_that_idles_for_more_than_half_is_told_with_the_ratio_that_fits() -> None:
    service = make_split_service(prefill=1, decode=1)
    decision = decided(service=service, engines=make_engine_views(prefill=1, decode=1), demand=0.5)
    # Decode sustains 0.8 / 0.9 = 0.889 requests/s, prefill 3.395 with 0.42435 of its time usable.
    assert (
        " A unit sustains 0.89 requests/s, where decode is at its end. Prefill is used to 26 % then: for "
        "this mix of tokens a ratio of 1 prefill to 3.8 decode would do." in decision.explanation
    )
    prefill, decode = decision.evidence.roles
    assert prefill.is_misfit
    assert prefill.used_ratio == pytest.approx(0.26184, abs=1e-4)
    assert (decode.used_ratio, decode.is_misfit) == (1.0, False)


def test_roles_are_data_of_the_decision() -> None:
    engines = make_engine_views(prefill=2, decode=5)
    body = decision_body(decided(engines=engines, demand=1.0))
    told = [
        (each.role, each.engines_per_unit, each.serving_engines, each.needed_engines)
        for each in body.evidence.roles
    ]
    assert told == [(EngineRole.PREFILL, 1, 2, 2), (EngineRole.DECODE, 2, 5, 4)]
    assert body.evidence.roles[1].sustained_requests_per_second == pytest.approx(1.6 / 0.9)


def test_a_service_without_roles_tells_of_none() -> None:
    decision = decided(service=make_service(), engines=(), demand=1.0)
    assert decision.evidence.roles == ()
    assert "unit" not in decision.explanation


def test_a_unit_that_still_loads_in_one_role_is_supply_and_does_not_serve() -> None:
    engines = (
        *make_engine_views(prefill=1, decode=3),
        make_engine_view(EngineRole.PREFILL, 1),
        make_engine_view(EngineRole.DECODE, 3, state=ReplicaState.LOADING),
    )
    decision = decided(engines=engines, demand=1.0)
    assert (decision.evidence.supply_replicas, decision.evidence.serving_replicas) == (2, 1)


@pytest.mark.parametrize(
    ("prefill", "decode", "count"), [(4, 2, 1), (1, 8, 1), (0, 6, 0), (3, 5, 2)]
)
def test_engines_beyond_the_ratio_are_no_supply(prefill: int, decode: int, count: int) -> None:
    decision = decided(engines=make_engine_views(prefill=prefill, decode=decode), demand=1.0)
    assert decision.evidence.supply_replicas == count


def test_units_that_are_not_needed_are_advised_away() -> None:
    engines = make_engine_views(prefill=4, decode=8, served_at=NOW - 7200)
    decision = decided(engines=engines, demand=0.5, recommendations=LOOKS)
    assert decision.reason is Reason.SURPLUS_CAPACITY
    assert isinstance(decision.action, Scale)
    assert decision.action.direction is Direction.IN
    assert (decision.action.to_replicas, decision.verdict) == (3, Verdict.ADVISE)
    assert "3 units are 3 prefill and 6 decode engines" in decision.explanation


@pytest.mark.parametrize(
    "reading", [pytest.param(UNREAD, id="unread"), pytest.param(stale(0), id="stale")]
)
@pytest.mark.parametrize("role", list(EngineRole))
def test_one_engine_of_either_role_that_is_not_read_forbids_taking_any_away(
    role: EngineRole, reading: Number
) -> None:
    silent = make_engine_view(role, 9, running_requests=reading)
    engines = (*make_engine_views(prefill=4, decode=8, served_at=NOW - 7200), silent)
    decision = decided(engines=engines, demand=0.5, recommendations=LOOKS)
    assert decision.action == Hold()
    assert decision.reason is Reason.NO_FRESH_DATA
    assert any(f"chat/split/{role.value}/9" in each for each in decision.evidence.quality)


def test_a_queue_before_prefill_is_a_backlog() -> None:
    engines = (
        make_engine_view(EngineRole.PREFILL, 0, waiting_requests=30),
        make_engine_view(EngineRole.DECODE, 0),
        make_engine_view(EngineRole.DECODE, 1),
    )
    decision = decided(engines=engines, demand=1.0)
    assert decision.evidence.backlog_requests == 30
    assert decision.reason is Reason.BACKLOG


def test_units_are_advised_only_as_far_as_their_memory_fits() -> None:
    """A unit holds 3 GiB."""
    decision = decided(
        engines=make_engine_views(prefill=1, decode=2), demand=10.0, pool_bytes=10 * 2**30
    )
    assert isinstance(decision.action, Scale)
    assert decision.action.to_replicas == 3


def test_the_first_unit_is_advised_where_none_is_whole() -> None:
    variant = make_split_variant(min_replicas=1)
    decision = decided(
        service=make_service(variants=(variant,)),
        engines=make_engine_views(prefill=0, decode=2),
        demand=0.0,
    )
    assert decision.reason is Reason.MINIMUM_REPLICAS
    assert units_wanted(decision) == 1


def test_replicas_behind_plain_urls_are_watched_as_before() -> None:
    plain = make_variant(target=make_split_variant().target, max_replicas=1, min_replicas=1)
    decision = decided(service=make_service(variants=(plain,)), engines=(), demand=5.0)
    assert (decision.action, decision.reason) == (Hold(), Reason.NOT_MANAGED)


def test_what_was_learned_of_roles_survives_a_checkpoint(tmp_path: Path) -> None:
    known = VariantState(saturated_work_ratios=(0.5, 0.6))
    inputs = Inputs(
        snapshot=make_snapshot(
            services=[make_view()], replicas=make_engine_views(prefill=1, decode=2)
        ),
        history=make_history({CHAT: steady(1.0)}),
        catalogue=make_catalogue(make_split_service()),
        state=ControllerState(roles={CHAT: {VariantName(SPLIT): {EngineRole.DECODE: known}}}),
        now=NOW,
    )
    save_checkpoint(tmp_path, checkpoint=inputs)
    loaded = load_checkpoint(tmp_path)
    assert loaded.state == inputs.state
    assert loaded.catalogue == inputs.catalogue
    assert loaded.engines(CHAT) == inputs.engines(CHAT)
