"""A replay counted by hand: orders, starts, drains, hours, changes and what became of requests."""

import numpy as np
import pytest

from autoscaler.replay.faults import Faults, SlowReplica, Span
from autoscaler.replay.fleet import Provisioning
from autoscaler.replay.run import GRACE_SECONDS, Change, Conditions, Outcome, replay
from autoscaler.replay.score import Score
from autoscaler.replay.workload import Workload
from support.replays import Script, is_conserved, make_setting, make_workload

PUNCTUAL = Provisioning(sigma=0.0)  # starts take 30 s, neither more nor less
HOUR = 3600.0
QUIET = make_workload((0.0, 5, 1))


def played(
    workload: Workload,
    *orders: tuple[float, int],
    initial: int = 1,
    end: float = 200.0,
    gpus: int = 1,
    **conditions: object,
) -> tuple[Outcome, Script]:
    policy = Script(*orders)
    given = {"provisioning": PUNCTUAL, "initial_replicas": initial, **conditions}
    outcome = replay(
        workload,
        setting=make_setting(min_replicas=0, gpus_per_replica=gpus),
        policy=policy,
        conditions=Conditions(**given),
        end_seconds=end,
    )
    return outcome, policy


def fates(score: Score) -> tuple[int, int, int, int]:
    assert is_conserved(score)
    return (
        score.served_requests,
        score.shed_requests,
        score.failed_requests,
        score.unfinished_requests,
    )


def test_hours_run_from_the_order_to_the_end_of_the_drain() -> None:
    late = make_workload((98.0, 5, 8))  # first token at 99 s, the last of eight at 106 s
    outcome, _ = played(late, (10.0, 1), (100.0, 0), initial=0, gpus=4)
    (life,) = outcome.lives
    assert (life.ordered_seconds, life.ready_seconds) == (10.0, 40.0)
    assert (life.drained_seconds, life.ended_seconds) == (100.0, 106.0)
    assert outcome.score().gpu_hours == pytest.approx(4 * 96 / HOUR)


def test_a_replica_without_requests_ends_when_it_is_told_to() -> None:
    outcome, _ = played(QUIET, (100.0, 0))
    assert outcome.lives[0].ended_seconds == 100.0
    assert outcome.score().gpu_hours == pytest.approx(100 / HOUR)


def test_what_still_runs_at_the_end_costs_until_the_end_only() -> None:
    outcome, _ = played(QUIET)
    assert outcome.lives[0].ended_seconds is None
    assert outcome.score().gpu_hours == pytest.approx(200 / HOUR)


def test_pending_replicas_that_are_taken_back_cost_what_they_pended() -> None:
    outcome, policy = played(QUIET, (10.0, 3), (20.0, 1))
    assert [life.ended_seconds for life in outcome.lives] == [None, 20.0, 20.0]
    assert outcome.score().gpu_hours == pytest.approx((200 + 10 + 10) / HOUR)
    assert outcome.change_seconds == (10.0, 10.0, 20.0, 20.0)
    assert max(view.ready_replicas for view in policy.views) == 1


def test_pending_ones_go_before_ready_ones_and_the_newest_first() -> None:
    outcome, _ = played(QUIET, (10.0, 2), (20.0, 3), (30.0, 2))
    assert [life.number for life in outcome.lives if life.ended_seconds == 30.0] == [3]


def test_the_schedule_has_a_line_per_change_of_ordered_or_ready() -> None:
    outcome, _ = played(QUIET, (20.0, 2), (100.0, 1))
    assert outcome.schedule == (
        Change(time_seconds=10.0, ordered_replicas=1, ready_replicas=1),
        Change(time_seconds=20.0, ordered_replicas=2, ready_replicas=1),
        Change(time_seconds=50.0, ordered_replicas=2, ready_replicas=2),
        Change(time_seconds=100.0, ordered_replicas=1, ready_replicas=2),
        Change(time_seconds=110.0, ordered_replicas=1, ready_replicas=1),
    )


def test_wishes_are_kept_inside_the_limits() -> None:
    outcome, policy = played(QUIET, (10.0, 99), (20.0, -5))
    assert policy.views[1].ordered_replicas == 8
    assert policy.views[2].ordered_replicas == 0
    assert outcome.score().changes == 7 + 8


def test_the_policy_is_asked_at_every_interval_and_not_in_the_grace() -> None:
    _, policy = played(QUIET, end=55.0)
    assert [view.now_seconds for view in policy.views] == [10.0, 20.0, 30.0, 40.0, 50.0]


def test_what_ends_within_the_grace_is_served_and_what_does_not_is_unfinished() -> None:
    workload = make_workload((199.0, 5, 50), (199.5, 5, 50))
    outcome, _ = played(workload, initial=1)
    assert fates(outcome.score()) == (2, 0, 0, 0)
    assert fates(played(workload, initial=0)[0].score()) == (0, 0, 0, 2)
    assert GRACE_SECONDS == 600.0


def test_every_request_has_one_fate() -> None:
    workload = make_workload((1.0, 5, 2), (2.0, 5, 2), (11.0, 5, 40), (60.0, 5, 2), (61.0, 5, 2))
    outcome, _ = played(
        workload,
        (40.0, 1),
        initial=1,
        end=100.0,
        faults=Faults(deaths_seconds=(20.0,)),
        max_held_requests=0,
    )
    # Two are served, one dies with the replica; then nothing is held, and nothing is ready until 70 s.
    assert fates(outcome.score()) == (2, 2, 1, 0)


def test_requests_that_can_never_fit_count_as_failed() -> None:
    outcome, _ = played(make_workload((1.0, 90, 20), (2.0, 5, 2)))
    assert fates(outcome.score()) == (1, 0, 1, 0)


def test_held_requests_are_shed_at_their_timeout() -> None:
    outcome, policy = played(
        make_workload((1.0, 5, 2), (45.0, 5, 2)), (20.0, 1), initial=0, hold_timeout_seconds=30.0
    )
    assert (policy.views[0].held_requests, policy.views[0].oldest_held_seconds) == (1, 9.0)
    assert fates(outcome.score()) == (1, 1, 0, 0)


def test_a_window_has_its_own_requests_hours_and_changes() -> None:
    workload = make_workload((5.0, 5, 2), (15.0, 5, 2), (20.0, 5, 2), (25.0, 5, 2))
    outcome, _ = played(workload, (10.0, 2), (20.0, 3))
    window = outcome.score(10.0, 20.0)
    assert (window.offered_requests, window.changes) == (1, 1)
    assert window.gpu_hours == pytest.approx((10 + 10) / HOUR)
    assert outcome.score(20.0, 30.0).offered_requests == 2
    assert outcome.score(20.0, 30.0).changes == 1
    assert outcome.score(150.0, 160.0).attainment_ratio == 1.0


def test_attainment_counts_both_objectives_and_all_that_was_offered() -> None:
    # Within 5 s to the first token and 2 s per token; four sequences at once, a step is 1 s.
    workload = make_workload(*[(0.0, 5, 8)] * 5, (100.0, 90, 20))
    outcome, _ = played(workload)
    score = outcome.score()
    # The fifth waits for a slot until 8 s; the last never fits.
    assert score.time_to_first_token_good_ratio == pytest.approx(4 / 6)
    assert score.output_token_good_ratio == pytest.approx(5 / 6)
    assert score.attainment_ratio == pytest.approx(4 / 6)


# --- starts ------------------------------------------------------------------------------------


def leads(seed: int, **provisioning: float) -> list[float]:
    outcome, _ = played(
        QUIET, (10.0, 8), initial=0, seed=seed, provisioning=Provisioning(**provisioning)
    )
    return [life.ready_seconds - life.ordered_seconds for life in outcome.lives]


def test_starts_vary_by_seed_and_by_nothing_else() -> None:
    assert leads(1) == leads(1)
    assert leads(1) != leads(2)
    assert len(set(leads(1))) == 8
    assert leads(3, sigma=0.0) == [30.0] * 8


def test_the_median_start_is_the_settings() -> None:
    every = [lead for seed in range(60) for lead in leads(seed)]
    assert np.median(every) == pytest.approx(30.0, rel=0.05)
    assert np.std(np.log(every)) == pytest.approx(0.25, rel=0.1)


def test_the_same_seed_gives_the_same_bytes() -> None:
    random = np.random.default_rng(5)
    arrivals = np.sort(random.uniform(0, 190, 60))
    workload = make_workload(*[(float(at), 9, int(random.integers(1, 30))) for at in arrivals])

    def told() -> tuple[bytes, ...]:
        faults = Faults(deaths_seconds=(60.0,))
        outcome, _ = played(
            workload, (10.0, 3), (120.0, 1), seed=9, faults=faults, provisioning=Provisioning()
        )
        served = outcome.served
        return (
            served.status.tobytes(),
            served.first_token_seconds.tobytes(),
            served.output_token_seconds.tobytes(),
            repr((outcome.lives, outcome.schedule, outcome.score())).encode(),
        )

    assert told() == told()


def test_a_start_that_takes_too_long_is_given_up_and_told_once() -> None:
    stuck = Faults(stuck_starts=(Span(start_seconds=0.0, end_seconds=15.0),))
    outcome, policy = played(
        QUIET,
        (10.0, 2),
        faults=stuck,
        provisioning=Provisioning(sigma=0.0, start_timeout_seconds=60.0),
    )
    assert outcome.lives[1].ended_seconds == 70.0
    told = {view.now_seconds: view.failed_starts_seconds for view in policy.views}
    assert [(at, when) for at, when in told.items() if when] == [(70.0, (70.0,))]
    # Script orders another one, as it wants two; that one is not stuck.
    assert outcome.lives[2].ready_seconds == 100.0
    assert outcome.score().gpu_hours == pytest.approx((200 + 60 + 130) / HOUR)


def test_a_stuck_start_can_be_taken_back_before_it_is_given_up() -> None:
    stuck = Faults(stuck_starts=(Span(start_seconds=0.0, end_seconds=15.0),))
    outcome, policy = played(QUIET, (10.0, 2), (40.0, 1), faults=stuck)
    assert outcome.lives[1].ended_seconds == 40.0
    assert not any(view.failed_starts_seconds for view in policy.views)


def test_a_death_is_told_with_the_life_that_was_lost() -> None:
    _, policy = played(QUIET, (10.0, 2), faults=Faults(deaths_seconds=(65.0, 66.0, 67.0)))
    lost = [view.lives_lost_seconds for view in policy.views]
    assert lost[6] == (65.0, 26.0)  # nobody is left to die at 67 s
    assert sum(map(len, lost)) == 2


def test_the_last_request_of_a_trace_counts() -> None:
    outcome, _ = played(make_workload((1.0, 5, 2), (20.0, 5, 2)), end=None)
    assert outcome.end_seconds == 20.0
    assert outcome.score().offered_requests == 2
    assert outcome.score(0.0, 20.0).offered_requests == 2
    assert outcome.score(0.0, 19.0).offered_requests == 1
    assert outcome.score(20.0, 20.0).offered_requests == 0


def test_requests_that_can_never_fit_are_seen_as_failed() -> None:
    _, policy = played(make_workload((1.0, 90, 20), (2.0, 5, 2)))
    assert policy.views[-1].failed_requests_total == 1


def test_a_slow_replica_is_slow_from_its_time_on() -> None:
    workload = make_workload((1.0, 5, 2), (21.0, 5, 2))
    slow = Faults(slow_replicas=(SlowReplica(at_seconds=15.0, factor=3.0),))
    outcome, _ = played(workload, faults=slow)
    assert outcome.served.first_token_seconds.tolist() == pytest.approx([1.0, 3.0], abs=1e-6)
    assert outcome.served.output_token_seconds.tolist() == pytest.approx([1.0, 3.0], abs=1e-6)


def test_a_slow_replica_that_is_not_there_is_none() -> None:
    slow = Faults(slow_replicas=(SlowReplica(at_seconds=15.0, factor=3.0),))
    assert fates(played(QUIET, initial=0, faults=slow)[0].score())[2] == 0
