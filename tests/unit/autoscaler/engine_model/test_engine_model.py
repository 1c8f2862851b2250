"""The engine model's rules on cases small enough to count by hand. Times are in picoseconds."""

import pytest

from autoscaler.engine_model.costs import EngineLimits, StepCosts, TabledCosts
from autoscaler.engine_model.engine import EngineModel
from autoscaler.engine_model.request import EndReason, Request

COSTS = StepCosts(
    floor_picoseconds=100,
    prefill_base_picoseconds=20,
    prefill_token_picoseconds=10,
    prefill_square_picoseconds=1,
    sequence_picoseconds=5,
    context_token_picoseconds=1,
)


def model(*, kv=1000, sequences=4, step=64):
    limits = EngineLimits(kv_capacity_tokens=kv, max_sequence_count=sequences, max_step_tokens=step)
    return EngineModel(costs=COSTS, limits=limits)


def finished(it):
    it.advance(10**9)
    return {each.number: each for each in it.take_completions()}


def test_one_request_takes_its_prompt_and_its_decode_steps():
    it = model()
    it.submit(Request(1, 10, 3), at=50)
    done = finished(it)[1]
    assert done.admitted_picoseconds == 50
    assert done.first_token_picoseconds == 50 + 220  # 20 + 10 x 10 + 1 x 10 x 10
    assert done.finished_picoseconds == 270 + (100 + 5 + 11) + (100 + 5 + 12)


def test_a_long_prompt_is_computed_in_chunks_of_a_step():
    it = model(step=8)
    it.submit(Request(1, 12, 1), at=0)
    # 8 tokens: 20 + 80 + 8 x 8 = 164; 4 tokens: 20 + 40 + 4 x 12 = 108.
    assert finished(it)[1].finished_picoseconds == 164 + 108


def test_who_comes_during_a_step_waits_for_its_end():
    it = model()
    it.submit(Request(1, 10, 2), at=0)
    it.submit(Request(2, 10, 1), at=1)
    done = finished(it)
    assert done[2].admitted_picoseconds == 220
    # One step: the second's prompt, and the first's second token with a context of 11.
    assert done[2].finished_picoseconds == done[1].finished_picoseconds == 220 + 220 + 5 + 11


def test_a_full_cache_sends_the_newest_back_and_computes_it_anew():
    it = model(kv=24)
    it.submit(Request(1, 10, 8), at=0)
    it.submit(Request(2, 10, 8), at=0)
    done = finished(it)
    assert (done[1].preemption_count, done[2].preemption_count) == (0, 1)
    assert done[1].finished_picoseconds < done[2].finished_picoseconds
    assert done[2].output_tokens == 8
    assert it.load().preemption_count == 1


def test_no_more_run_than_allowed():
    it = model(sequences=1)
    it.submit(Request(1, 10, 2), at=0)
    it.submit(Request(2, 10, 2), at=0)
    it.advance(10)
    assert (it.load().running_count, it.load().waiting_count) == (1, 1)
    done = finished(it)
    assert done[2].admitted_picoseconds == done[1].finished_picoseconds


def test_a_cancelled_request_is_told_with_what_it_had():
    it = model()
    it.submit(Request(1, 10, 5), at=0)
    gone = it.cancel(1, at=400)  # first token at 220, second at 336
    assert gone is not None
    assert (gone.output_tokens, gone.reason) == (2, EndReason.CANCELLED)
    assert it.load().kv_used_tokens == 0
    assert it.cancel(1, at=401) is None


def test_a_pause_lets_the_step_end_and_nothing_begin():
    it = model()
    it.submit(Request(1, 10, 2), at=0)
    it.pause(at=100)
    it.advance(5000)
    assert it.output_tokens(1) == 1
    assert it.next_boundary() is None
    it.resume(at=5000)
    assert finished(it)[1].finished_picoseconds == 5000 + 116


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        pytest.param(Request(1, 0, 1), "0 \\+ 1 tokens", id="no-prompt"),
        pytest.param(Request(1, 1, 0), "1 \\+ 0 tokens", id="no-output"),
        pytest.param(Request(1, 900, 102), "kv_capacity_tokens = 1000", id="too-long"),
    ],
)
def test_what_can_never_be_served_is_refused(request_, message):
    with pytest.raises(ValueError, match=message):
        model().submit(request_, at=0)


def test_tabled_costs_become_whole_picoseconds():
    tabled = TabledCosts(
        floor=6.355, prefill_base=3.305, prefill=19.66, prefill_squared=0.524,
        sequence=0.011, context=0.043,
    )  # fmt: skip
    assert tabled.exact() == StepCosts(
        floor_picoseconds=6_355_000_000,
        prefill_base_picoseconds=3_305_000_000,
        prefill_token_picoseconds=19_660_000,
        prefill_square_picoseconds=524,
        sequence_picoseconds=11_000_000,
        context_token_picoseconds=43_000,
    )
