"""Rules of the plant, one by one: routing, holding, draining, killing, and what it tells."""

import subprocess
import sys

import numpy as np
import pytest

from autoscaler.engine_model.costs import EngineLimits, StepCosts
from autoscaler.errors import ReplayError
from autoscaler.replay.service_plant import MAX_REPLICAS, RequestStatus, ServicePlant
from autoscaler.replay.workload import Workload

STEP = 10**12  # every step takes one second, whatever is in it
COSTS = StepCosts(
    floor_picoseconds=STEP,
    prefill_base_picoseconds=0,
    prefill_token_picoseconds=0,
    prefill_square_picoseconds=0,
    sequence_picoseconds=0,
    context_token_picoseconds=0,
)
LIMITS = EngineLimits(kv_capacity_tokens=100, max_sequence_count=4, max_step_tokens=50)


def make_workload(*requests):
    """Requests as (arrival seconds, prompt tokens, output tokens)."""
    columns = list(zip(*requests, strict=True)) or [(), (), ()]
    return Workload(
        arrival_seconds=np.array(columns[0], np.float64),
        prompt_tokens=np.array(columns[1], np.int64),
        output_tokens=np.array(columns[2], np.int64),
    )


def make_plant(*requests, opened=0, **options):
    plant = ServicePlant(workload=make_workload(*requests), costs=COSTS, limits=LIMITS, **options)
    for _ in range(opened):
        plant.open_replica(plant.add_replica())
    return plant


def loads(plant):
    return [each.running_requests + each.waiting_requests for each in plant.samples()]


def test_a_request_is_served_in_steps_and_told_once():
    plant = make_plant((1.0, 10, 3), opened=1)
    plant.advance(10.0)
    assert plant.first_token_seconds.tolist() == [2.0]
    assert plant.finished_seconds.tolist() == [4.0]
    assert plant.take_first_tokens().tolist() == [1.0]
    assert [part.tolist() for part in plant.take_finished()] == [[1.0], [3.0]]
    assert plant.take_first_tokens().tolist() == []
    assert [part.tolist() for part in plant.take_finished()] == [[], []]


def test_an_answer_of_one_token_has_no_time_per_later_token():
    plant = make_plant((0.0, 10, 1), opened=1)
    plant.advance(5.0)
    assert [part.tolist() for part in plant.take_finished()] == [[0.0], [1.0]]


def test_an_arrival_goes_to_the_fewest_requests_and_the_oldest_among_equals():
    plant = make_plant(*[(0.1 * n, 5, 9) for n in range(5)], opened=3)
    plant.advance(0.45)
    assert loads(plant) == [2, 2, 1]
    assert [each.number for each in plant.samples()] == [1, 2, 3]


def test_all_until_then_includes_an_arrival_at_that_very_time():
    plant = make_plant((1.0, 5, 2), (1.0, 5, 2), (1.5, 5, 2), opened=1)
    plant.advance(1.0)
    assert (plant.arrived_requests, plant.arrived_prompt_tokens) == (2, 10)
    assert plant.in_flight_requests() == 2


def test_a_replica_that_is_not_open_gets_nothing_and_requests_are_held():
    plant = make_plant((1.0, 5, 2), (2.0, 5, 2))
    number = plant.add_replica()
    plant.advance(4.0)
    assert plant.held_requests == 2
    assert plant.oldest_held_seconds == 3.0
    assert plant.samples() == ()
    assert plant.is_empty(number)


def test_held_requests_go_to_the_one_that_opens_and_their_wait_counts():
    plant = make_plant((1.0, 5, 2), (2.0, 5, 2))
    plant.advance(4.0)
    plant.open_replica(plant.add_replica())
    assert (plant.held_requests, plant.oldest_held_seconds) == (0, 0.0)
    assert loads(plant) == [2]
    plant.advance(5.0)
    assert plant.take_first_tokens().tolist() == [4.0, 3.0]  # first tokens of both at 5 s


def test_a_request_held_too_long_is_shed_at_its_deadline():
    plant = make_plant((1.0, 5, 2), (2.0, 5, 2), hold_timeout_seconds=3.0)
    plant.advance(3.999)
    assert (plant.held_requests, plant.shed_requests) == (2, 0)
    plant.advance(4.0)
    assert (plant.held_requests, plant.shed_requests) == (1, 1)
    plant.open_replica(plant.add_replica())
    plant.advance(9.0)
    assert plant.status.tolist() == [RequestStatus.SHED, RequestStatus.DONE]


def test_one_request_too_many_is_shed_and_those_held_keep_their_place():
    plant = make_plant((1.0, 5, 2), (1.1, 5, 2), (1.2, 5, 2), max_held_requests=2)
    plant.advance(1.2)
    assert plant.held_requests == 2
    assert plant.status.tolist() == [0, 0, RequestStatus.SHED]


def test_a_place_of_a_request_held_too_long_is_free_again():
    plant = make_plant((1.0, 5, 2), (2.0, 5, 2), max_held_requests=1, hold_timeout_seconds=1.0)
    plant.advance(2.0)
    assert plant.status.tolist() == [RequestStatus.SHED, RequestStatus.PENDING]
    assert plant.oldest_held_seconds == 0.0


@pytest.mark.parametrize(
    ("prompt", "output", "status"),
    [
        pytest.param(80, 21, RequestStatus.DONE, id="fills-the-cache"),
        pytest.param(80, 22, RequestStatus.REJECTED, id="one-token-too-many"),
    ],
)
def test_what_can_never_fit_is_rejected_on_arrival(prompt, output, status):
    plant = make_plant((0.0, prompt, output), opened=1)
    plant.advance(60.0)
    assert plant.status.tolist() == [status]
    assert plant.rejected_requests == (status is RequestStatus.REJECTED)


def test_what_can_never_fit_is_rejected_even_while_requests_are_held():
    plant = make_plant((0.0, 500, 1))
    plant.advance(0.0)
    assert (plant.held_requests, plant.rejected_requests) == (0, 1)


def test_a_draining_replica_ends_what_it_has_and_its_queue():
    plant = make_plant(*[(0.0, 5, 3) for _ in range(6)], (1.0, 5, 1), opened=1)
    plant.advance(0.5)  # four slots, so two of the six wait
    plant.drain_replica(1)
    plant.advance(3.5)
    assert plant.samples() == ()
    assert plant.emptied_seconds(1) is None
    plant.advance(20.0)
    assert plant.is_empty(1)
    assert plant.emptied_seconds(1) == 6.0
    assert plant.completed_requests == 6
    assert plant.held_requests == 1


def test_a_replica_that_drains_without_work_was_empty_when_told_so():
    plant = make_plant((0.0, 5, 1), opened=1)
    plant.advance(8.0)
    assert plant.emptied_seconds(1) is None  # it does not drain
    plant.drain_replica(1)
    plant.advance(9.0)
    assert plant.emptied_seconds(1) == 8.0


def test_a_killed_replica_loses_all_it_has_and_nothing_else():
    plant = make_plant(*[(0.0, 5, 9) for _ in range(12)], opened=2)
    plant.advance(1.5)
    assert plant.kill_replica(1) == 6
    assert (plant.failed_requests, plant.in_flight_requests()) == (6, 6)
    plant.advance(60.0)
    assert np.bincount(plant.status).tolist() == [0, 6, 6]
    with pytest.raises(ValueError, match="no replica 1; it was removed or killed"):
        plant.is_empty(1)


def test_a_place_used_again_remembers_nothing_of_the_one_before():
    plant = make_plant((0.0, 5, 9), (3.0, 5, 2), opened=1)
    plant.advance(1.5)
    plant.slow_replica(1, 5.0)
    plant.kill_replica(1)
    assert plant.add_replica() == 2
    plant.open_replica(2)
    assert plant.samples()[0].output_tokens_total == 0
    plant.advance(5.0)
    assert plant.finished_seconds[1] == 5.0


def test_of_equally_loaded_replicas_the_one_chosen_longest_ago_is_next():
    """As the gateway routes: an idle fleet takes turns, and a new replica is first."""
    plant = make_plant(*[(10.0 * n, 5, 2) for n in range(6)], opened=2)
    served = []
    for n in range(6):
        if n == 4:
            plant.open_replica(plant.add_replica())
        plant.advance(10.0 * n + 5.0)
        served.append([each.prompt_tokens_total // 5 for each in plant.samples()])
    assert served == [[1, 0], [1, 1], [2, 1], [2, 2], [2, 2, 1], [3, 2, 1]]


def test_a_slow_replica_is_slow_from_its_next_step_on():
    plant = make_plant((0.0, 5, 5), opened=1)
    plant.advance(1.5)
    plant.slow_replica(1, 10.0)
    plant.advance(100.0)
    assert plant.first_token_seconds.tolist() == [1.0]
    assert plant.finished_seconds.tolist() == [32.0]  # 2 s, then three steps of 10 s


def test_a_second_factor_replaces_the_first():
    plant = make_plant((0.0, 5, 3), opened=1)
    plant.slow_replica(1, 10.0)
    plant.slow_replica(1, 2.0)
    plant.advance(100.0)
    assert plant.finished_seconds.tolist() == [6.0]


def test_samples_tell_of_now_also_in_the_middle_of_a_long_run():
    plant = make_plant((0.0, 10, 50), opened=1)
    plant.advance(20.5)
    (sample,) = plant.samples()
    assert (sample.running_requests, sample.waiting_requests) == (1, 0)
    assert (sample.prompt_tokens_total, sample.output_tokens_total) == (10, 20)
    assert sample.kv_used_tokens == 30  # prompt, 19 tokens later than the first, one in the making


def test_outcomes_are_nan_where_nothing_happened():
    plant = make_plant((0.0, 5, 5), (50.0, 5, 5), opened=1)
    plant.advance(2.0)
    np.testing.assert_array_equal(plant.first_token_seconds, [1.0, np.nan])
    np.testing.assert_array_equal(plant.finished_seconds, [np.nan, np.nan])
    assert plant.status.dtype == np.int8


def test_counters_of_tokens_are_those_of_done_requests():
    plant = make_plant((0.0, 10, 3), (0.0, 20, 40), opened=1)
    plant.advance(10.0)
    assert plant.completed_requests == 1
    assert (plant.completed_prompt_tokens, plant.completed_output_tokens) == (10, 3)


def test_a_trace_without_requests_has_nothing_to_tell():
    plant = make_plant(opened=1)
    plant.advance(1000.0)
    assert plant.arrived_requests == plant.in_flight_requests() == 0
    assert plant.take_first_tokens().tolist() == []


def test_hundreds_of_replicas_fit_and_one_too_many_is_refused_in_words():
    plant = make_plant(*[(0.0, 5, 2) for _ in range(300)], opened=300)
    plant.advance(0.0)
    assert loads(plant) == [1] * 300
    for _ in range(MAX_REPLICAS - 300):
        plant.add_replica()
    with pytest.raises(ReplayError, match="1024 replicas at most"):
        plant.add_replica()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        pytest.param(lambda plant: plant.advance(1.0), "it is 2.0 s already", id="back-in-time"),
        pytest.param(lambda plant: plant.advance(float("nan")), "cannot advance", id="no-time"),
        pytest.param(lambda plant: plant.advance(1e9), "below 4611686 s", id="beyond-int64"),
        pytest.param(lambda plant: plant.open_replica(1), "opened before", id="open-twice"),
        pytest.param(lambda plant: plant.drain_replica(2), "not open", id="drain-pending"),
        pytest.param(lambda plant: plant.remove_replica(1), "has 1 requests", id="remove-busy"),
        pytest.param(lambda plant: plant.remove_replica(9), "no replica 9", id="unknown"),
        pytest.param(lambda plant: plant.slow_replica(1, 0.0), "factor is 0.0", id="factor"),
        pytest.param(lambda plant: plant.slow_replica(1, 1e9), "lower the costs", id="too-slow"),
    ],
)
def test_a_wrong_order_is_refused_in_one_line(wrong, message):
    plant = make_plant((0.0, 5, 9), opened=1)
    plant.add_replica()
    plant.advance(2.0)
    with pytest.raises(ValueError, match=message):
        wrong(plant)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param({"max_held_requests": -1}, "max_held_requests is -1", id="held"),
        pytest.param({"hold_timeout_seconds": -0.5}, "hold_timeout_seconds is -0.5", id="hold"),
    ],
)
def test_a_negative_limit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make_plant((0.0, 5, 9), **options)


def test_a_trace_longer_than_can_be_counted_is_refused():
    with pytest.raises(ValueError, match="the trace lasts 6000000 s"):
        make_plant((6e6, 5, 9))


def test_importing_the_plant_does_not_import_numba():
    code = "import sys, autoscaler.replay.service_plant; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
