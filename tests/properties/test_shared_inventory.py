"""Whatever several services wish for: GPUs in use stay within the inventory, and no request is lost."""

from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.replay.shared_replay import SharedConditions, SharedReplay
from support.replays import is_conserved, make_workload
from support.shared_replays import A, B, C, SharedScript, make_shared

END_SECONDS = 300.0
GPUS = 4
moments = st.floats(0.0, END_SECONDS - 1.0)
requests = st.lists(st.tuples(moments, st.integers(1, 70), st.integers(1, 40)), max_size=12)
wishes = st.fixed_dictionaries({name: st.integers(-1, 9) for name in (A, B, C)})


@st.composite
def runs(draw: st.DrawFn) -> SharedReplay:
    services = [
        make_shared(
            name,
            workload=make_workload(*sorted(draw(requests))),
            gpus_per_replica=gpus,
            initial_replicas=first,
            max_replicas=5,
        )
        for name, gpus, first in ((A, 1, draw(st.integers(0, 2))), (B, 2, 1), (C, 3, 0))
    ]
    script = draw(st.lists(st.tuples(moments, wishes), max_size=8))
    policy = SharedScript(
        *sorted(script, key=lambda each: each[0]),
        interval_seconds=draw(st.sampled_from([2.0, 15.0, 70.0])),
    )
    conditions = SharedConditions(gpus=GPUS, end_seconds=END_SECONDS, seed=draw(st.integers(0, 3)))
    return SharedReplay(services, policy=policy, conditions=conditions)


@settings(max_examples=60, deadline=None)
@given(runs())
def test_gpus_in_use_never_exceed_the_inventory(run: SharedReplay) -> None:
    while not run.is_over:
        run.step()
        assert 0 <= run.fleet.gpus_in_use <= GPUS
    run.finish()
    assert sum(run.gpu_hours(name) for name in (A, B, C)) <= GPUS * END_SECONDS / 3600.0 + 1e-9


@settings(max_examples=60, deadline=None)
@given(runs())
def test_every_request_has_one_fate_and_the_running_count_comes_to_the_score(
    run: SharedReplay,
) -> None:
    judged = dict.fromkeys((A, B, C), 0)
    while not run.is_over:
        run.step()
        for name, before in judged.items():
            tally = run.tally(name)
            assert before <= tally.judged_requests <= tally.offered_requests
            judged[name] = tally.judged_requests
    run.finish()
    for name, outcome in run.outcomes().items():
        score, tally = outcome.score(0.0, END_SECONDS + 1.0), run.tally(name)
        assert is_conserved(score)
        assert tally.offered_requests == score.offered_requests
        assert tally.good_requests == round(score.attainment_ratio * score.offered_requests) or (
            score.offered_requests == 0
        )
