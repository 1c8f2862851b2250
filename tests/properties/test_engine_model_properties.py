"""The engine model under any load: exact, bounded, conserving, and the same every time."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.engine_model.costs import EngineLimits, StepCosts
from autoscaler.engine_model.engine import EngineModel
from autoscaler.engine_model.request import Request
from support.naive_engine import naive_completions

COSTS = st.builds(
    StepCosts,
    floor_picoseconds=st.integers(1, 500),
    prefill_base_picoseconds=st.integers(0, 300),
    prefill_token_picoseconds=st.integers(0, 60),
    prefill_square_picoseconds=st.integers(0, 3),
    sequence_picoseconds=st.integers(0, 40),
    context_token_picoseconds=st.integers(0, 5),
)
LIMITS = st.builds(
    EngineLimits,
    kv_capacity_tokens=st.integers(40, 160),  # tight: preemptions are common
    max_sequence_count=st.integers(1, 6),
    max_step_tokens=st.integers(6, 50),
)
WORK = st.lists(
    st.tuples(st.integers(0, 4000), st.integers(1, 25), st.integers(1, 16)), min_size=1, max_size=25
)


def arrivals_of(work):
    ordered = sorted(work, key=lambda each: each[0])
    return [(at, Request(n, prompt, out)) for n, (at, prompt, out) in enumerate(ordered)]


def run(arrivals, *, costs, limits, looks=()):
    """Completions of a model that is looked at in between, and what the looks saw."""
    model = EngineModel(costs=costs, limits=limits, keeps_runs=True)
    events = sorted(
        [(at, 1, request) for at, request in arrivals] + [(at, 0, None) for at in looks]
    )
    seen = []
    for at, _, request in events:
        if request is None:
            model.advance(at)
        else:
            model.submit(request, at=at)
        seen.append(model.load())
    while (boundary := model.next_boundary()) is not None:
        model.advance(boundary + 1)
        seen.append(model.load())
    return model.take_completions(), seen, model


def by_number(completions):
    return sorted(completions, key=lambda each: each.number)


@given(work=WORK, costs=COSTS, limits=LIMITS)
@settings(max_examples=150, deadline=None)
def test_runs_of_steps_counted_at_once_are_exactly_the_single_steps(work, costs, limits):
    arrivals = arrivals_of(work)
    model = EngineModel(costs=costs, limits=limits)
    for at, request in arrivals:
        model.submit(request, at=at)
    model.advance(10**12)
    expected = naive_completions(arrivals, costs=costs, limits=limits)
    found = model.take_completions()
    assert by_number(found) == by_number(expected)
    assert [each.finished_picoseconds for each in found] == sorted(
        each.finished_picoseconds for each in expected
    )


@given(work=WORK, costs=COSTS, limits=LIMITS, looks=st.lists(st.integers(0, 20_000), max_size=30))
@settings(max_examples=60, deadline=None)
def test_looking_changes_nothing_and_twice_is_the_same(work, costs, limits, looks):
    arrivals = arrivals_of(work)
    plain, _, _ = run(arrivals, costs=costs, limits=limits)
    watched, _, _ = run(arrivals, costs=costs, limits=limits, looks=looks)
    again, _, _ = run(arrivals, costs=costs, limits=limits, looks=looks)
    assert plain == watched == again


@given(work=WORK, costs=COSTS, limits=LIMITS, looks=st.lists(st.integers(0, 20_000), max_size=30))
@settings(max_examples=60, deadline=None)
def test_limits_hold_at_every_look_and_every_token_is_accounted_for(work, costs, limits, looks):
    arrivals = arrivals_of(work)
    completions, seen, model = run(arrivals, costs=costs, limits=limits, looks=looks)
    assert all(load.kv_used_tokens <= limits.kv_capacity_tokens for load in seen)
    assert all(load.running_count <= limits.max_sequence_count for load in seen)
    assert Counter(each.number for each in completions) == Counter(range(len(arrivals)))
    assert [each.output_tokens for each in by_number(completions)] == [
        request.output_tokens for _, request in arrivals
    ]
    runs = model.take_runs()
    later_tokens = sum(each.step_count * each.decoding_count for each in runs)
    # Each request's first token, and the first after each preemption, come out of a prompt step.
    gaps = len(model.take_gaps())
    assert later_tokens + gaps + len(arrivals) == sum(r.output_tokens for _, r in arrivals)
    assert sum(each.prefill_tokens for each in runs) >= sum(r.prompt_tokens for _, r in arrivals)
    end = model.load()
    assert (end.running_count, end.waiting_count, end.kv_used_tokens) == (0, 0, 0)


@given(work=WORK, costs=COSTS, limits=LIMITS)
@settings(max_examples=60, deadline=None)
def test_requests_behind_it_in_the_queue_delay_no_first_admission(work, costs, limits):
    # Served first come first served: who came later cannot be admitted earlier.
    completions, _, _ = run(arrivals_of(work), costs=costs, limits=limits)
    admitted = [each.admitted_picoseconds for each in by_number(completions)]
    assert admitted == sorted(admitted)


@given(work=WORK, costs=COSTS)
@settings(max_examples=60, deadline=None)
def test_later_requests_never_let_earlier_ones_finish_sooner(work, costs):
    roomy = EngineLimits(kv_capacity_tokens=10**6, max_sequence_count=50, max_step_tokens=10**5)
    arrivals = arrivals_of(work)
    more, _, _ = run(arrivals, costs=costs, limits=roomy)
    less, _, _ = run(arrivals[: len(arrivals) // 2], costs=costs, limits=roomy)
    assert all(
        alone.finished_picoseconds <= among.finished_picoseconds
        for alone, among in zip(by_number(less), by_number(more), strict=False)
    )


@given(
    work=WORK,
    costs=COSTS,
    limits=LIMITS,
    cancels=st.lists(st.tuples(st.integers(0, 8000), st.integers(0, 24)), max_size=20),
)
@settings(max_examples=80, deadline=None)
def test_cancelled_requests_give_back_all_they_held(work, costs, limits, cancels):
    arrivals = arrivals_of(work)
    model = EngineModel(costs=costs, limits=limits)
    events = sorted([(at, 1, r) for at, r in arrivals] + [(at, 2, n) for at, n in cancels])
    taken_back = []
    for at, kind, what in events:
        if kind == 1:
            model.submit(what, at=at)
        elif (gone := model.cancel(what, at=at)) is not None:
            taken_back.append(gone)
            assert gone.output_tokens < arrivals[what][1].output_tokens
    model.advance(10**12)
    numbers = [each.number for each in (*taken_back, *model.take_completions())]
    assert sorted(numbers) == list(range(len(arrivals)))
    assert model.load().kv_used_tokens == 0
