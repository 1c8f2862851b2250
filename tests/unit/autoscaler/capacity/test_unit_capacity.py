"""A unit sustains the least of what its roles do, each engine doing only its part."""

import pytest

from autoscaler.capacity.units import prefill_usable_ratio, role_shares, unit_capacity
from autoscaler.model.demand import Rates
from autoscaler.model.state import StepFit, VariantState
from autoscaler.model.unit_capacity import UnitCapacity
from collector.model.catalogue import Objective, Sli, Variant
from collector.model.roles import EngineRole
from support.builders import TTFT_OBJECTIVE
from support.units import make_split_variant

P, D = EngineRole.PREFILL, EngineRole.DECODE
ITL = Objective(
    sli=Sli.INTER_TOKEN_LATENCY, threshold_seconds=0.15, target_ratio=0.99, window_seconds=86_400
)
REQUEST = Rates(
    requests_per_second=1.0, prompt_tokens_per_second=100.0, output_tokens_per_second=90.0
)


def capacity_of(
    variant: Variant,
    *,
    states: dict[EngineRole, VariantState] | None = None,
    objectives: tuple[Objective, ...] = (),
    prompt_tokens: float | None = None,
) -> UnitCapacity:
    found = unit_capacity(
        variant, states=states or {}, objectives=objectives, prompt_tokens_per_request=prompt_tokens
    )
    assert found is not None
    return found


def sustained(capacity: UnitCapacity, rates: Rates = REQUEST) -> float:
    return capacity.low_ratio / capacity.work_ratio(rates)


@pytest.mark.parametrize(
    ("prefill", "decode", "prompt", "output", "requests"),
    [
        # A prefill engine takes 1 ms per prompt token, a decode engine 10 ms per output token, and each
        # is counted on for 0.8 of that until it was seen.
        pytest.param(1, 1, 100, 90, 0.8 / 0.9, id="decode-binds"),
        pytest.param(1, 2, 100, 90, 1.6 / 0.9, id="two-of-them-do-twice-as-much"),
        pytest.param(1, 9, 100, 90, 8.0, id="both-at-their-end"),
        pytest.param(1, 18, 100, 90, 8.0, id="prefill-binds"),
        pytest.param(2, 18, 100, 90, 16.0, id="with-two-of-them-both-again"),
        pytest.param(1, 2, 4000, 10, 0.2, id="long-prompts"),
        pytest.param(3, 2, 0, 40, 4.0, id="no-prompts-at-all"),
    ],
)
def test_requests_per_second_of_a_unit(
    prefill: int, decode: int, prompt: float, output: float, requests: float
) -> None:
    rates = Rates(
        requests_per_second=1.0, prompt_tokens_per_second=prompt, output_tokens_per_second=output
    )
    unit = capacity_of(make_split_variant(prefill=prefill, decode=decode))
    assert sustained(unit, rates) == pytest.approx(requests)


def test_work_grows_with_demand_and_not_with_the_role_that_idles() -> None:
    unit = capacity_of(make_split_variant())
    assert unit.work_ratio(REQUEST.scaled(3)) == pytest.approx(3 * unit.work_ratio(REQUEST))
    more_prompts = Rates(
        requests_per_second=1.0, prompt_tokens_per_second=400.0, output_tokens_per_second=90.0
    )
    assert unit.work_ratio(more_prompts) == unit.work_ratio(REQUEST)  # decode is at its end first


@pytest.mark.parametrize(
    ("prompt_seconds", "objectives", "usable"),
    [
        pytest.param(0.1, (), 0.95, id="nobody-waits-for-it"),
        pytest.param(0.1, (TTFT_OBJECTIVE,), 0.5395, id="99-percent-in-1-s"),  # 1 - 0.1 ln 100
        pytest.param(0.01, (TTFT_OBJECTIVE,), 0.95, id="short-prompts"),  # 0.954
        pytest.param(0.5, (TTFT_OBJECTIVE,), 0.25, id="too-long-for-any-number-of-engines"),
    ],
)
def test_a_prefill_engine_may_be_as_busy_as_first_tokens_allow(
    prompt_seconds: float, objectives: tuple[Objective, ...], usable: float
) -> None:
    found = prefill_usable_ratio(prompt_seconds, objectives=objectives)
    assert found == pytest.approx(usable, abs=1e-4)


def test_the_first_token_narrows_prefill_and_not_decode() -> None:
    variant = make_split_variant(decode=9)
    unit = capacity_of(variant, objectives=(TTFT_OBJECTIVE, ITL), prompt_tokens=100.0)
    prefill, decode = unit.roles
    # 100 tokens take 0.125 s at 0.8 of the speed declared: 1 - 0.125 ln 100 = 0.42435 of the time.
    assert prefill.engine.low_ratio == pytest.approx(0.8 * 0.42435, abs=1e-5)
    assert decode.engine.low_ratio == 0.8
    assert sustained(unit) == pytest.approx(0.8 * 0.42435 / 0.1, abs=1e-4)


def test_what_busy_engines_of_one_role_do_moves_that_role_alone() -> None:
    slow = VariantState(saturated_work_ratios=(0.4,) * 237)
    unit = capacity_of(make_split_variant(), states={P: slow})
    prefill, decode = unit.roles
    assert prefill.engine.low_ratio == pytest.approx(0.405)  # 237 samples beside 3 of the prior
    assert decode.engine.low_ratio == 0.8
    assert unit.sample_count == 0  # nothing was seen of decode


def test_measured_steps_of_decode_engines_say_what_the_time_between_tokens_allows() -> None:
    fit = StepFit(rows=100.0, costs=(0.02, 0.001, 0.0, 0.0))
    unit = capacity_of(
        make_split_variant(decode_fields={"slots": 64}),
        states={D: VariantState(step_fit=fit)},
        objectives=(ITL,),
    )
    # Steps may take 0.15 / 1.5 = 0.1 s, a fifth of which is the floor: 0.8 s of work a second, at
    # 0.8 (0.001 + 0.02 / 64) = 1.05 ms per token. Two engines: 1523.8 tokens a second.
    assert unit.roles[1].engine.low_ratio == pytest.approx(0.8)
    tokens = Rates(requests_per_second=1, prompt_tokens_per_second=0, output_tokens_per_second=1)
    assert sustained(unit, tokens) == pytest.approx(1523.81, abs=0.01)


@pytest.mark.parametrize("role", ["prefill_fields", "decode_fields"])
def test_a_role_of_unknown_cost_leaves_the_unit_unknown(role: str) -> None:
    variant = make_split_variant(**{role: {"seconds_per_token": None}})
    assert unit_capacity(variant, states={}, objectives=(), prompt_tokens_per_request=None) is None


def test_shares_tell_which_role_binds_and_how_idle_the_other_is_then() -> None:
    prefill, decode = role_shares(capacity_of(make_split_variant()), rates=REQUEST.scaled(5))
    assert (prefill.role, prefill.ratio) == (P, 1)
    assert prefill.sustained_requests_per_second == pytest.approx(8.0)
    assert prefill.used_ratio == pytest.approx(2 / 9)
    assert (decode.role, decode.ratio) == (D, 2)
    assert decode.sustained_requests_per_second == pytest.approx(16 / 9)
    assert decode.used_ratio == 1.0


@pytest.mark.parametrize(
    ("requests", "output"), [pytest.param(0.0, 0.0, id="no-demand"), pytest.param(1.0, 0.0, id="no-answers")]
)  # fmt: skip
def test_nothing_is_said_of_shares_where_a_role_has_nothing_to_do(
    requests: float, output: float
) -> None:
    rates = Rates(
        requests_per_second=requests,
        prompt_tokens_per_second=requests * 100,
        output_tokens_per_second=output,
    )
    assert role_shares(capacity_of(make_split_variant()), rates=rates) == ()
