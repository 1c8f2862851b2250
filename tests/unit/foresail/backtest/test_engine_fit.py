"""Costs of a step are found in what engines did, and refused in words where they are not in it."""

from dataclasses import replace

import numpy as np
import pytest

from collector.contract.loader import load_contracts
from collector.errors import ConfigurationError, TransientSourceError
from collector.model.replica import EngineKind
from collector.ports import RangeAnswer, RangeSeries
from foresail.backtest.engine_fit import fitted_engine
from foresail.backtest.history_reader import Window
from foresail.backtest.step_history import StepHistory, StepHistoryReader

FLOOR, OUTPUT, PROMPT = 0.010, 0.0002, 0.00003  # seconds: of a step, per sequence, per prompt token


def history(*, bins=200, batch=(5.0, 60.0), noise=0.0, seed=0):
    """What engines with these costs would have told."""
    random = np.random.default_rng(seed)
    sequences = random.uniform(*batch, bins)
    prompt = random.uniform(0.0, 80.0, bins)  # tokens in a step
    step = FLOOR + OUTPUT * sequences + PROMPT * prompt
    measured = step * np.exp(noise * random.standard_normal(bins))
    return StepHistory(
        step_seconds=measured,
        output_tokens_per_second=sequences / step,
        prompt_tokens_per_second=prompt / step,
        kv_capacity_tokens=50_000,
    )


def test_the_costs_that_were_there_are_found():
    found = fitted_engine(history())
    costs = found.engine.costs
    assert costs.floor_picoseconds == pytest.approx(10**10, rel=1e-6)
    assert costs.prefill_base_picoseconds == costs.floor_picoseconds
    assert costs.sequence_picoseconds == pytest.approx(2 * 10**8, rel=1e-6)
    assert costs.prefill_token_picoseconds == pytest.approx(3 * 10**7, rel=1e-6)
    assert found.engine.limits.kv_capacity_tokens == 50_000
    assert (found.row_count, found.median_error_ratio) == (200, pytest.approx(0.0, abs=1e-6))
    assert "a step takes 10 ms, 0.2 ms more per sequence and 30 ms per thousand" in found.note


def test_a_step_of_the_fitted_engine_is_as_long_as_one_that_was_measured():
    costs = fitted_engine(history()).engine.costs
    step = costs.prefill_picoseconds(tokens=40, square=0) + 20 * costs.sequence_picoseconds
    assert step / 1e12 == pytest.approx(FLOOR + 20 * OUTPUT + 40 * PROMPT, rel=1e-6)


def test_noise_shows_in_the_error_and_disturbances_are_left_out():
    told = history(noise=0.05)
    disturbed = replace(told, step_seconds=np.where(np.arange(200) % 20, told.step_seconds, 0.5))
    found = fitted_engine(disturbed)
    assert 190 <= found.row_count < 200
    assert 0.01 < found.median_error_ratio < 0.10
    assert found.engine.costs.floor_picoseconds == pytest.approx(10**10, rel=0.25)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        pytest.param(history(bins=20), "20 of 20 measured bins .* 30 are needed", id="few"),
        pytest.param(history(batch=(0.5, 3.0)), "0 of 200 measured bins", id="idle"),
        pytest.param(history(batch=(20.0, 20.1)), "the engines' steps were all alike", id="steady"),
        pytest.param(history(noise=0.8), "no costs explain the steps of", id="nonsense"),
    ],
)
def test_a_bad_fit_is_refused_with_what_is_missing(told, why):
    with pytest.raises(ConfigurationError, match=why) as caught:
        fitted_engine(told)
    assert "foresail emulate --rows" in str(caught.value)


# Reading

TWO = ({"instance": "a:1"}, {"instance": "b:1"})
CACHE = {"kv_cache_size_tokens": "1000", "num_gpu_blocks": "10", "block_size": "16"}
ANSWERS = {
    "inter_token_latency_seconds_count": [(TWO[0], 600.0), (TWO[1], 0.0)],
    "inter_token_latency_seconds_sum": [(TWO[0], 12.0), (TWO[1], 0.0)],
    "generation_tokens_total": [(TWO[0], 660.0), (TWO[1], 0.0)],
    "prompt_tokens_by_source_total": [(TWO[0], 1200.0), (TWO[1], 0.0)],
    "cache_config_info": [(TWO[0] | CACHE, 1.0), ({"instance": "other:1"} | CACHE, 1.0)],
}


class Answering:
    """Answers by the first fragment that a query contains."""

    def __init__(self, answers, *, error=None):
        self.answers, self.error, self.queries = answers, error, []

    def read_range(
        self, expression, *, start_timestamp_seconds, end_timestamp_seconds, step_seconds
    ):
        self.queries.append(expression)
        times = np.arange(start_timestamp_seconds, end_timestamp_seconds + 1, step_seconds)
        for fragment, series in self.answers.items():
            if fragment in expression:
                made = tuple(
                    RangeSeries(labels=labels, points=tuple((float(t), value) for t in times))
                    for labels, value in series
                )
                return RangeAnswer(series=made, errors=(self.error,) if self.error else ())
        return RangeAnswer(series=())


def read(answers=ANSWERS, *, error=None):
    made = Answering(answers, error=error)
    reader = StepHistoryReader(
        made,
        contract=load_contracts().engines[EngineKind.VLLM],
        window=Window(start_timestamp_seconds=3590.0, end_timestamp_seconds=4210.0),
        bin_seconds=60.0,
    )
    return reader.steps('ch"at'), made.queries


def test_a_row_is_one_engine_in_one_bin_and_quiet_ones_are_left_out():
    found, queries = read()
    assert found.step_seconds.tolist() == [0.02] * 10
    assert found.output_tokens_per_second.tolist() == [11.0] * 10
    assert found.prompt_tokens_per_second.tolist() == [20.0] * 10
    assert found.kv_capacity_tokens == 1000
    assert all(r'model_name="ch\"at"' in each for each in queries[:-1])
    (prompts,) = [each for each in queries if "prompt_tokens" in each]
    assert 'source=~"local_compute"' in prompts
    assert " or sum by (instance) (increase(vllm:prompt_tokens_total{" in prompts


def test_older_engines_tell_their_cache_in_blocks():
    labels = TWO[0] | {"num_gpu_blocks": "10", "block_size": "16"}
    found, _ = read(ANSWERS | {"cache_config_info": [(labels, 1.0)]})
    assert found.kv_capacity_tokens == 160


@pytest.mark.parametrize("absent", ANSWERS)
def test_a_series_that_is_not_there_is_named(absent):
    answers = {name: series for name, series in ANSWERS.items() if name != absent}
    with pytest.raises(ConfigurationError, match=f"Prometheus has no vllm:{absent}"):
        read(answers)


def test_a_server_that_fails_is_told():
    with pytest.raises(TransientSourceError, match="refused"):
        read(error="refused")
