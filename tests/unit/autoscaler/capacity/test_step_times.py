"""Costs of an engine's work from how long its steps take."""

from dataclasses import replace

import numpy as np
import pytest

from autoscaler.capacity.steps import StepTimes, add_run, is_whole, non_negative, step_times
from autoscaler.model.state import StepFit, StepRun
from support.step_runs import make_step_run, make_step_runs

COSTS = StepTimes(
    floor_seconds=0.02, output_seconds_per_token=0.0005, prompt_seconds_per_token=0.0001
)


def slower(factor: float) -> StepTimes:
    return StepTimes(
        floor_seconds=factor * COSTS.floor_seconds,
        output_seconds_per_token=factor * COSTS.output_seconds_per_token,
        prompt_seconds_per_token=factor * COSTS.prompt_seconds_per_token,
    )


def resting(run: StepRun) -> StepRun:
    """The same, seen while not every replica was near saturation."""
    return replace(run, unsaturated_replica_seconds=run.replica_seconds)


def fitted(runs: list[StepRun], fit: StepFit | None = None, *, slots: int = 256) -> StepFit:
    fit = fit or StepFit()
    for run in runs:
        fit = add_run(fit, run, slots=slots)
    return fit


def assert_near(times: StepTimes | None, costs: StepTimes) -> None:
    assert times is not None
    assert times.floor_seconds == pytest.approx(costs.floor_seconds, rel=0.02)
    assert times.output_seconds_per_token == pytest.approx(costs.output_seconds_per_token, rel=0.02)
    assert times.prompt_seconds_per_token == pytest.approx(costs.prompt_seconds_per_token, rel=0.02)


def test_the_costs_of_an_engine_are_found() -> None:
    assert_near(step_times(fitted(make_step_runs(COSTS, count=60))), COSTS)


@pytest.mark.parametrize("count", [0, 1, 29])
def test_too_few_rows_say_nothing(count: int) -> None:
    assert step_times(fitted(make_step_runs(COSTS, count=count))) is None


def test_rows_that_are_all_alike_say_nothing() -> None:
    same = make_step_run(COSTS, batch=32.0, prompt_tokens_per_second=1000.0)
    assert step_times(fitted([same] * 100)) is None


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(StepRun(), id="nothing"),
        pytest.param(resting(make_step_run(slower(9.0), batch=3.9)), id="one-that-rests-otherwise"),
        pytest.param(
            replace(make_step_run(COSTS, batch=9.0), replica_seconds=0.0), id="no-time-at-all"
        ),
        pytest.param(replace(make_step_run(COSTS, batch=9.0), token_gaps=0.0), id="no-gaps"),
        pytest.param(
            replace(make_step_run(COSTS, batch=9.0), token_gap_seconds=0.0), id="gaps-of-no-length"
        ),
        pytest.param(
            replace(make_step_run(COSTS, batch=9.0), token_gap_seconds=5e-324), id="broken-gaps"
        ),
        pytest.param(
            replace(make_step_run(COSTS, batch=9.0), prompt_tokens=1e300), id="broken-tokens"
        ),
    ],
)
def test_a_stretch_that_says_nothing_is_no_row(run: StepRun) -> None:
    fit = fitted(make_step_runs(COSTS, count=40))
    after = add_run(fit, run, slots=256)
    assert (after.gram, after.moment, after.rows, after.rejected_rows) == (
        fit.gram,
        fit.moment,
        fit.rows,
        0,
    )


def test_a_row_that_contradicts_the_fit_is_counted_and_left_out() -> None:
    fit = fitted(make_step_runs(COSTS, count=60))
    after = fitted(make_step_runs(slower(3.0), count=5, most_prompt_share=0.2), fit)
    assert (after.rejected_rows, after.rows) == (5, fit.rows)
    assert_near(step_times(after), COSTS)


def test_an_accepted_row_ends_the_count_of_rejected_ones() -> None:
    fit = fitted(make_step_runs(COSTS, count=60))
    disturbed = fitted(make_step_runs(slower(3.0), count=19, most_prompt_share=0.2), fit)
    assert disturbed.rejected_rows == 19
    assert fitted(make_step_runs(COSTS, count=1), disturbed).rejected_rows == 0


def test_another_engine_under_the_same_name_is_learned_anew() -> None:
    fit = fitted(make_step_runs(COSTS, count=200))
    slow = slower(3.0)
    begun = fitted(make_step_runs(slow, count=20, most_prompt_share=0.2), fit)
    assert (begun.rows, begun.rejected_rows, step_times(begun)) == (1.0, 0, None)
    assert_near(step_times(fitted(make_step_runs(slow, count=60), begun)), slow)


def test_a_steady_load_does_not_make_what_was_learned_unknown() -> None:
    varied = make_step_runs(COSTS, count=60)
    steady = make_step_run(COSTS, batch=32.0, prompt_tokens_per_second=1000.0)
    assert_near(step_times(fitted([*varied, *[steady] * 3000])), COSTS)


def test_old_rows_are_forgotten() -> None:
    """A drift too small to be rejected: after some half-lives only the new costs count."""
    fit = fitted(make_step_runs(COSTS, count=60))
    drifted = slower(1.2)
    assert_near(step_times(fitted(make_step_runs(drifted, count=500), fit)), drifted)


def test_the_number_of_rows_has_an_end() -> None:
    many = replace(fitted(make_step_runs(COSTS, count=60)), rows=1000.0)
    assert fitted(make_step_runs(COSTS, count=1), many).rows == pytest.approx(999.27, abs=0.01)


def test_a_quiet_moment_shows_the_floor_that_busy_rows_do_not() -> None:
    fit = replace(fitted(make_step_runs(COSTS, count=60)), least_step_seconds=None)
    quiet = make_step_run(replace(COSTS, floor_seconds=0.012), batch=1.0)
    times = step_times(add_run(fit, quiet, slots=256))
    assert times is not None
    assert times.floor_seconds == pytest.approx(0.0125, rel=0.01)  # one sequence's token included


def test_rows_are_judged_by_what_rows_say_not_by_the_quiet_moment() -> None:
    fit = fitted(make_step_runs(COSTS, count=60))
    fit = replace(fit, least_step_seconds=0.002)
    after = fitted(make_step_runs(COSTS, count=40), fit)
    assert (after.rejected_rows, after.rows > fit.rows) == (0, True)


def test_the_least_step_creeps_up_so_that_a_slip_is_forgotten() -> None:
    fit = replace(fitted(make_step_runs(COSTS, count=60)), least_step_seconds=0.0198)
    after = fitted(make_step_runs(COSTS, count=40), fit)
    assert after.least_step_seconds is not None
    assert after.least_step_seconds > 0.02


@pytest.mark.parametrize(
    ("replica_seconds", "token_gaps", "is_enough"),
    [
        pytest.param(60.0, 50.0, True, id="just"),
        pytest.param(59.9, 500.0, False, id="short"),
        pytest.param(600.0, 49.0, False, id="few-gaps"),
    ],
)
def test_a_row_needs_a_minute_of_replicas_and_some_tokens(
    replica_seconds: float, token_gaps: float, is_enough: bool
) -> None:
    assert is_whole(StepRun(replica_seconds=replica_seconds, token_gaps=token_gaps)) is is_enough


@pytest.mark.parametrize(
    ("rows", "target", "expected"),
    [
        pytest.param([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [1, 2, 3], (1, 2, 3), id="all-free"),
        pytest.param([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [1, -2, 3], (1, 0, 3), id="one-at-zero"),
        pytest.param([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [-1, -2, -3], (0, 0, 0), id="none-free"),
        pytest.param([[1, 0, 0], [2, 0, 0], [3, 0, 0]], [2, 4, 6], (2, 0, 0), id="columns-of-zero"),
    ],
)
def test_the_best_costs_that_are_not_negative(
    rows: list[list[float]], target: list[float], expected: tuple[float, ...]
) -> None:
    matrix = np.array(rows, dtype=float)
    found = non_negative(matrix.T @ matrix, matrix.T @ np.array(target, dtype=float))
    assert found == pytest.approx(expected, abs=1e-6)


def quiet_run(costs: StepTimes, *, batch: float) -> StepRun:
    """A minute of an engine that rests at times; each sequence has `batch` others in its way."""
    step = costs.floor_seconds + costs.output_seconds_per_token * (1.0 + batch * 255 / 256)
    tokens = 60.0 * batch / step
    return StepRun(
        replica_seconds=60.0,
        unsaturated_replica_seconds=60.0,
        output_tokens=tokens,
        token_gaps=tokens,
        token_gap_seconds=tokens * step,
    )


def test_an_engine_that_rests_tells_its_costs_too_if_less_quickly() -> None:
    quiet = [quiet_run(COSTS, batch=1.0 + i % 3) for i in range(100)]
    fit = fitted(quiet)
    assert 40 < fit.rows < 60  # a batch of two is worth half a row
    times = step_times(fit)
    assert times is not None
    assert times.floor_seconds == pytest.approx(COSTS.floor_seconds, rel=0.02)
    assert times.output_seconds_per_token == pytest.approx(0.0005, rel=0.05)


KV_COSTS = replace(COSTS, output_seconds_per_token=0.0001)
WHOLE_KV_SECONDS = 0.04


def kv_runs(*, count: int, kv_ratios: tuple[float, ...]) -> list[StepRun]:
    """Minutes of changing batches, prompts and lengths of context."""
    return [
        make_step_run(
            KV_COSTS,
            batch=4.0 + 60.0 * (i * 0.618034 % 1.0),
            prompt_tokens_per_second=3000.0 * (i * 0.414214 % 1.0),
            kv_ratio_per_sequence=kv_ratios[i % len(kv_ratios)],
            whole_kv_seconds=WHOLE_KV_SECONDS,
        )
        for i in range(count)
    ]


def test_what_contexts_cost_is_told_apart_from_what_prompts_cost() -> None:
    times = step_times(fitted(kv_runs(count=200, kv_ratios=(0.002, 0.006, 0.013))))
    assert times is not None
    assert times.floor_seconds == pytest.approx(0.02, rel=0.01)
    assert times.prompt_seconds_per_token == pytest.approx(0.0001, rel=0.01)
    assert times.kv_ratio_per_sequence == pytest.approx(0.007, rel=0.2)  # of the last rows
    assert times.output_seconds_per_token == pytest.approx(
        0.0001 + 0.04 * times.kv_ratio_per_sequence, rel=0.01
    )


def test_a_token_costs_what_contexts_of_the_last_hour_make_it_cost() -> None:
    fit = fitted(kv_runs(count=400, kv_ratios=(0.002, 0.004, 0.006)))
    short = step_times(fitted(kv_runs(count=200, kv_ratios=(0.001,)), fit))
    long = step_times(fitted(kv_runs(count=200, kv_ratios=(0.01,)), fit))
    assert short is not None
    assert long is not None
    assert short.output_seconds_per_token == pytest.approx(0.0001 + 0.04 * 0.001, rel=0.1)
    assert long.output_seconds_per_token == pytest.approx(0.0001 + 0.04 * 0.01, rel=0.1)


def test_an_engine_that_begins_or_ends_to_tell_its_kv_cache_is_learned_anew() -> None:
    untold, told = make_step_runs(KV_COSTS, count=60), kv_runs(count=60, kv_ratios=(0.002, 0.004))
    for before, after in ((untold, told), (told, untold)):
        fit = fitted(after[:19], fitted(before))
        assert (fit.rows, fit.rejected_rows) == (fitted(before).rows, 19)
        assert fitted(after[19:20], fit).rows == 1.0


def test_a_cache_that_is_told_as_empty_is_told() -> None:
    """A look may fall between requests, and some engines round."""
    light = [
        replace(each, unsaturated_replica_seconds=60.0)
        for each in kv_runs(count=400, kv_ratios=(0.002, 0.004))
    ]
    first = replace(light[0], kv_replica_seconds=0.0)
    rounded = [
        replace(each, kv_replica_seconds=0.0) if i % 3 else each for i, each in enumerate(light)
    ]
    for runs in ([first, *light[1:]], rounded):
        fit = fitted(runs)
        assert (fit.rows > 200, fit.rejected_rows) == (True, 0)
        assert step_times(fit) is not None


def few_slots_run(batch: float, *, prompts: float) -> StepRun:
    return make_step_run(COSTS, batch=batch, prompt_tokens_per_second=prompts)


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_with_few_slots_the_floor_of_a_step_counts_as_work(slots: int) -> None:
    runs = [few_slots_run(float(slots), prompts=100.0 * (i % 30)) for i in range(60)]
    times = step_times(fitted(runs, slots=slots))
    assert times is not None
    assert times.floor_seconds == 0.0
    assert times.output_seconds_per_token == pytest.approx(0.02 / slots + 0.0005)
    assert times.prompt_seconds_per_token == pytest.approx(0.0001)


def test_with_few_slots_only_busy_stretches_say_something() -> None:
    runs = [resting(few_slots_run(1.0, prompts=100.0 * (i % 30))) for i in range(60)]
    assert fitted(runs, slots=1).rows == 0
