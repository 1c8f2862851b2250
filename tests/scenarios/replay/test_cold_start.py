"""The first hour of a service of which nothing is known, against a rule that was told the truth."""

import pytest

from autoscaler.replay.baselines.known import WorkRule
from autoscaler.replay.decide_policy import DecidePolicy
from autoscaler.replay.run import Conditions, Outcome, replay
from autoscaler.replay.view import Policy
from autoscaler.replay.work import mean_lengths, work_costs
from autoscaler.replay.workload import Workload
from support.replays import TABLED, make_setting, rising_and_falling

HOUR_SECONDS = 3600.0
SETTING = make_setting(costs=TABLED, provision_seconds=120.0, max_replicas=32)
UTILISATIONS = (0.7, 0.6, 0.5)
"""Of the rule; below them it buys attainment with twice the replicas."""


def first_hour(policy: Policy, *, workload: Workload) -> Outcome:
    return replay(
        workload,
        setting=SETTING,
        policy=policy,
        conditions=Conditions(initial_replicas=1),
        end_seconds=HOUR_SECONDS,
    )


def lost_requests(outcome: Outcome) -> float:
    score = outcome.score(0.0, HOUR_SECONDS)
    return score.offered_requests * (1.0 - score.attainment_ratio)


@pytest.mark.parametrize(
    ("low", "high"),
    [
        pytest.param(6.0, 12.0, id="two-replicas-too-few"),
        pytest.param(15.0, 30.0, id="seven-replicas-too-few"),
    ],
)
def test_the_first_hour_loses_at_most_twice_what_the_best_rule_does(
    low: float, high: float
) -> None:
    workload = rising_and_falling(hours=1.0, seed=4, low=low, high=high)
    prompt, output = mean_lengths(workload)
    work = work_costs(SETTING, prompt_tokens=prompt, output_tokens=output)
    rules = [
        first_hour(WorkRule(work=work, utilisation=each), workload=workload)
        for each in UTILISATIONS
    ]
    policy = DecidePolicy(SETTING, is_probed=False)
    cold = first_hour(policy, workload=workload)
    assert lost_requests(cold) <= 2.0 * min(map(lost_requests, rules))
    hours = max(each.score(0.0, HOUR_SECONDS).gpu_hours for each in rules)
    assert cold.score(0.0, HOUR_SECONDS).gpu_hours <= 1.5 * hours


def test_it_says_that_it_is_learning() -> None:
    policy = DecidePolicy(SETTING, is_probed=False)
    replay(
        rising_and_falling(hours=1.0, seed=4, low=15.0, high=30.0),
        setting=SETTING,
        policy=policy,
        conditions=Conditions(initial_replicas=1),
        end_seconds=300.0,
    )
    assert policy.decision is not None
    assert any("what a replica sustains" in each for each in policy.decision.evidence.learning)
    assert "Still learning: " in policy.decision.explanation
    assert "of 30 busy stretches measured" in policy.decision.explanation
    assert policy.decision.evidence.capacity_low_ratio is not None  # a first estimate is there
