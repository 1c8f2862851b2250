import pytest
from hypothesis import given
from hypothesis import strategies as st

from foresail.demo.errors import EngineUnmeasurable
from foresail.demo.measure import Mix, MixSample, fitted_cost, measure_engine

PROMPTS = Mix(prompt_tokens=256, output_tokens=2)
OUTPUTS = Mix(prompt_tokens=8, output_tokens=32)

costs = st.floats(min_value=1e-6, max_value=1.0)


def sample(mix: Mix, seconds: float) -> MixSample:
    return MixSample(mix=mix, seconds_per_request=seconds)


@given(costs, costs)
def test_two_exact_mixes_give_back_the_costs(prompt_cost: float, output_cost: float) -> None:
    samples = [
        sample(mix, mix.prompt_tokens * prompt_cost + mix.output_tokens * output_cost)
        for mix in (PROMPTS, OUTPUTS)
    ]
    # Where one of the two is next to nothing it drowns in the other's rounding.
    if 1e-3 < prompt_cost / output_cost < 1e3:
        found = fitted_cost(samples)
        assert found.prompt_seconds_per_token == pytest.approx(prompt_cost, rel=1e-6)
        assert found.output_seconds_per_token == pytest.approx(output_cost, rel=1e-6)


def test_two_disturbed_slices_of_five_change_nothing() -> None:
    quiet = [sample(PROMPTS, 0.132), sample(OUTPUTS, 0.1)] * 3
    disturbed = [sample(PROMPTS, 5.0), sample(OUTPUTS, 9.0)] * 2
    assert fitted_cost([*disturbed, *quiet]) == fitted_cost(quiet)


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        pytest.param([], "two mixes", id="none"),
        pytest.param([sample(PROMPTS, 1.0)], "two mixes", id="one-mix"),
        pytest.param(
            [sample(PROMPTS, 1.0), sample(Mix(prompt_tokens=512, output_tokens=4), 2.0)],
            "do not differ",
            id="same-proportion",
        ),
        pytest.param(
            [sample(PROMPTS, 9.0), sample(OUTPUTS, 0.1)], "not positive", id="prompts-explain-all"
        ),
    ],
)
def test_samples_that_fix_no_cost_are_refused(samples: list[MixSample], said: str) -> None:
    with pytest.raises(EngineUnmeasurable, match=said):
        fitted_cost(samples)


async def test_no_engine_is_said_so() -> None:
    with pytest.raises(EngineUnmeasurable, match="is it up"):
        await measure_engine("http://127.0.0.1:1", model="tiny", seconds=1.0)


async def test_a_measurement_of_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match=r"seconds is 0.0"):
        await measure_engine("http://127.0.0.1:1", model="tiny", seconds=0.0)
