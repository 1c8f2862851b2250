"""Whatever is ordered and whatever goes wrong: every request has one fate, and every hour is paid once."""

from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.replay.faults import Faults, SlowStarts, Span
from autoscaler.replay.fleet import Provisioning
from autoscaler.replay.run import Conditions, Outcome, replay
from support.replays import Script, is_conserved, make_setting, make_workload

END_SECONDS = 200.0
moments = st.floats(0.0, 199.0)


@st.composite
def spans(draw: st.DrawFn) -> Span:
    start = draw(moments)
    return Span(start_seconds=start, end_seconds=start + draw(st.floats(1.0, 90.0)))


@st.composite
def faults(draw: st.DrawFn) -> Faults:
    return Faults(
        metric_outages=tuple(draw(st.lists(spans(), max_size=2))),
        stuck_starts=tuple(draw(st.lists(spans(), max_size=2))),
        slow_starts=tuple(
            SlowStarts(span=span, factor=3.0) for span in draw(st.lists(spans(), max_size=1))
        ),
        deaths_seconds=tuple(draw(st.lists(moments, max_size=4))),
    )


@st.composite
def outcomes(draw: st.DrawFn) -> tuple[Outcome, Script]:
    sizes = st.tuples(moments, st.integers(1, 70), st.integers(1, 40))
    workload = make_workload(*sorted(draw(st.lists(sizes, max_size=30))))
    orders = sorted(draw(st.lists(st.tuples(moments, st.integers(-1, 9)), max_size=8)))
    policy = Script(*orders)
    conditions = Conditions(
        seed=draw(st.integers(0, 3)),
        initial_replicas=draw(st.integers(0, 3)),
        provisioning=Provisioning(start_timeout_seconds=draw(st.sampled_from([20.0, 60.0]))),
        max_held_requests=draw(st.sampled_from([None, 0, 3])),
        hold_timeout_seconds=draw(st.sampled_from([None, 15.0])),
        faults=draw(faults()),
    )
    setting = make_setting(min_replicas=0, max_replicas=5)
    outcome = replay(
        workload, setting=setting, policy=policy, conditions=conditions, end_seconds=END_SECONDS
    )
    return outcome, policy


@settings(max_examples=60, deadline=None)
@given(outcomes(), moments)
def test_windows_add_up_to_the_whole(given_: tuple[Outcome, Script], cut: float) -> None:
    outcome, _ = given_
    whole, left, right = outcome.score(), outcome.score(0.0, cut), outcome.score(cut)
    assert is_conserved(whole)
    assert is_conserved(left)
    assert is_conserved(right)
    assert left.offered_requests + right.offered_requests == whole.offered_requests
    assert left.changes + right.changes == whole.changes
    assert abs(left.gpu_hours + right.gpu_hours - whole.gpu_hours) < 1e-9
    assert 0.0 <= whole.attainment_ratio <= 1.0


@settings(max_examples=60, deadline=None)
@given(outcomes())
def test_lives_and_views_tell_the_same_story(given_: tuple[Outcome, Script]) -> None:
    outcome, policy = given_
    for life in outcome.lives:
        if life.ended_seconds is not None:
            assert life.ordered_seconds <= life.ended_seconds
        if life.drained_seconds is not None and life.ended_seconds is not None:
            assert life.ready_seconds <= life.drained_seconds <= life.ended_seconds
    for view in policy.views:
        assert 0 <= view.pending_replicas == len(view.pending_ordered_seconds)
        assert view.ordered_replicas <= 5
    started = sum(len(view.lead_times_seconds) for view in policy.views)
    failed = sum(len(view.failed_starts_seconds) for view in policy.views)
    lost = sum(len(view.lives_lost_seconds) for view in policy.views)
    assert started + failed <= len(outcome.lives)
    assert lost <= 4
