"""What engines of units teach stays with their role, and with their part of the tokens."""

from typing import Any

import pytest

from autoscaler.learn import observe
from autoscaler.model.inputs import Inputs
from autoscaler.model.state import ControllerState, VariantState
from collector.model.histogram import Histogram
from collector.model.reading import Fresh
from collector.model.roles import EngineRole
from collector.model.snapshot import ReplicaView, ServiceView
from support.builders import (
    CHAT,
    NOW,
    make_catalogue,
    make_history,
    make_replica_view,
    make_service,
    make_service_state,
    make_snapshot,
    make_variant,
    make_view,
    steady,
    with_latency,
)
from support.units import SPLIT, make_engine_view, make_split_service, make_split_variant

P, D = EngineRole.PREFILL, EngineRole.DECODE
CATALOGUE = make_catalogue(make_split_service())


def looked(
    state: ControllerState,
    *views: ReplicaView,
    at: float,
    view: ServiceView | None = None,
    catalogue: Any = CATALOGUE,
) -> ControllerState:
    return observe(
        Inputs(
            snapshot=make_snapshot(
                services=[view or make_view(at=at)], replicas=views, taken_at=at
            ),
            history=make_history({CHAT: steady(1.0)}, end=at),
            catalogue=catalogue,
            state=state,
            now=at,
        )
    )


def after(*rounds: tuple[ReplicaView, ...]) -> ControllerState:
    """The state after rounds of looking, 15 s apart."""
    state = ControllerState(services={CHAT: make_service_state()})
    for number, views in enumerate(rounds):
        state = looked(state, *views, at=NOW + 15.0 * number)
    return state


def busy(number: int, *, prompt: float, output: float) -> tuple[ReplicaView, ...]:
    """One unit whose engines are all at their end; totals grow with each look."""
    at = NOW + 15.0 * number
    tokens = {"prompt_tokens_total": prompt * number, "output_tokens_total": output * number}
    return (
        make_engine_view(P, 0, at=at, waiting_requests=5, **tokens),
        make_engine_view(D, 0, at=at, running_requests=4, **tokens),
        make_engine_view(D, 1, at=at, running_requests=4, **tokens),
    )


def test_what_roles_learned_outlives_a_look_without_engines() -> None:
    rounds = [busy(n, prompt=12_000, output=900) for n in range(3)]
    learned, gone = after(*rounds), after(*rounds, ())
    assert learned.role(CHAT, SPLIT, D).saturated_work_ratios
    assert gone.roles == learned.roles


def test_a_busy_engine_is_measured_by_its_own_part_against_its_own_cost() -> None:
    # In 30 s, two looks, each engine's page counts 24000 prompt and 1800 output tokens: prefill works
    # 24 of them at 1 ms, decode 18 at 10 ms. What the page counts beyond its part is no work of it.
    state = after(*(busy(n, prompt=12_000, output=900) for n in range(3)))
    assert state.role(CHAT, SPLIT, P).saturated_work_ratios == (pytest.approx(0.8),)
    assert state.role(CHAT, SPLIT, D).saturated_work_ratios == (pytest.approx(0.6),) * 2


def test_an_engine_at_rest_teaches_its_role_a_lower_bound() -> None:
    rounds = [
        (
            make_engine_view(P, at=NOW + 15 * n, prompt_tokens_total=1500 * n),
            *(make_engine_view(D, k, at=NOW + 15 * n, output_tokens_total=75 * n) for k in (0, 1)),
        )
        for n in range(3)
    ]
    state = after(*rounds)
    assert state.role(CHAT, SPLIT, P).saturated_work_ratios == ()
    assert state.role(CHAT, SPLIT, P).unsaturated_work_ratios == (pytest.approx(0.1),)
    assert state.role(CHAT, SPLIT, D).unsaturated_work_ratios == (pytest.approx(0.05),) * 2


def test_the_unit_itself_is_no_engine_and_leaves_no_sample() -> None:
    state = after(*(busy(n, prompt=12_000, output=900) for n in range(3)))
    assert state.variant(CHAT, SPLIT) == VariantState()
    assert sorted(state.replicas) == [
        "chat/split/decode/0", "chat/split/decode/1", "chat/split/prefill/0",
    ]  # fmt: skip


def test_times_between_tokens_are_of_decode_engines_alone() -> None:
    """Steps of 20 ms: a row says so however many prompts were computed elsewhere meanwhile."""
    state = ControllerState(services={CHAT: make_service_state()})
    for n in range(6):
        at = NOW + 15.0 * n
        gaps = Histogram(upper_bounds=(), counts=(750.0 * n,), sum=15.0 * n)
        view = with_latency(
            make_view(at=at),
            inter_token_latency=Fresh(value=gaps, observed_timestamp_seconds=at, source="test"),
        )
        state = looked(state, *busy(n, prompt=12_000, output=3_000), at=at, view=view)
    fit = state.variant(CHAT, SPLIT).step_fit
    assert fit.rows > 0
    assert fit.least_step_seconds == pytest.approx(0.02)
    prompt_moment = fit.moment[2]
    assert prompt_moment == 0.0  # no prompt token is in the rows


def test_a_role_that_is_declared_no_more_is_forgotten() -> None:
    state = after(*(busy(n, prompt=12_000, output=900) for n in range(3)))
    whole = make_catalogue(make_service(variants=(make_variant(),)))
    state = looked(state, make_replica_view(at=NOW + 60), at=NOW + 60, catalogue=whole)
    assert state.roles == {}


def test_engines_of_another_variant_do_not_mix() -> None:
    service = make_service(variants=(make_split_variant(), make_variant("whole")))
    state = ControllerState(services={CHAT: make_service_state()})
    for n in range(3):
        at = NOW + 15.0 * n
        whole = make_replica_view(
            "w", variant="whole", at=at, waiting_requests=1, prompt_tokens_total=6_000 * n
        )
        state = looked(
            state,
            *busy(n, prompt=12_000, output=900),
            whole,
            at=at,
            catalogue=make_catalogue(service),
        )
    assert state.variant(CHAT, "whole").saturated_work_ratios == (pytest.approx(0.4),)  # type: ignore[arg-type]  # a name
    assert state.role(CHAT, SPLIT, P).saturated_work_ratios == (pytest.approx(0.8),)
