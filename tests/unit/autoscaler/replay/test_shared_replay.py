"""Several services in one replay: one alone is as before, and dear requests get room before cheap ones."""

import pytest

from autoscaler.replay.baselines.known import Static
from autoscaler.replay.decide_policy import DecidePolicy
from autoscaler.replay.run import Conditions, replay
from autoscaler.replay.shared_fleet import SharedService
from autoscaler.replay.shared_policy import DecideShared, PeerPolicies, shared_catalogue
from autoscaler.replay.shared_replay import SharedConditions, SharedReplay, replay_shared
from collector.model.catalogue import Control, Tier
from collector.model.ids import TierName
from support.replays import TABLED, Script, make_setting, make_workload, rising_and_falling
from support.shared_replays import A, B, SharedScript, make_shared


def test_one_service_alone_goes_as_in_a_replay_of_one() -> None:
    workload = rising_and_falling(hours=0.5, seed=1)
    setting = make_setting(costs=TABLED, max_replicas=6)
    alone = replay(
        workload,
        setting=setting,
        policy=DecidePolicy(setting),
        conditions=Conditions(seed=3, initial_replicas=1, hold_timeout_seconds=600.0),
    )
    services = [
        SharedService(
            name=A,
            tier=Tier(name=TierName("one"), violation_price_per_minute=10.0),
            workload=workload,
            setting=setting,
        )
    ]
    shared = replay_shared(
        services,
        policy=DecideShared(services, gpus=12),
        conditions=SharedConditions(gpus=12, end_seconds=workload.end_seconds, seed=3),
    )[A]
    assert len(alone.lives) > 1
    assert shared.lives == alone.lives
    assert shared.schedule == alone.schedule
    assert shared.change_seconds == alone.change_seconds
    assert shared.score() == alone.score()


def two_services(*, price_a: float, price_b: float) -> list[SharedService]:
    """Alike in all but their price, and too much for three GPUs together."""
    setting = make_setting(costs=TABLED, max_replicas=3, min_replicas=1)
    return [
        SharedService(
            name=name,
            tier=Tier(name=TierName(f"tier-{price:g}"), violation_price_per_minute=price),
            workload=rising_and_falling(hours=1.0, seed=seed, low=6.0, high=9.0),
            setting=setting,
            hold_timeout_seconds=60.0,
        )
        for name, price, seed in ((A, price_a, 1), (B, price_b, 2))
    ]


@pytest.mark.parametrize(
    ("price_a", "price_b"),
    [pytest.param(30.0, 1.0, id="a-is-dear"), pytest.param(1.0, 30.0, id="b-is-dear")],
)
def test_where_room_is_short_decide_gives_it_to_the_dear_service(
    price_a: float, price_b: float
) -> None:
    services = two_services(price_a=price_a, price_b=price_b)
    outcomes = replay_shared(
        services,
        policy=DecideShared(services, gpus=3),
        conditions=SharedConditions(gpus=3, end_seconds=3600.0),
    )
    hours = {name: each.score().gpu_hours for name, each in outcomes.items()}
    dear, cheap = (A, B) if price_a > price_b else (B, A)
    assert hours[dear] > 1.5 * hours[cheap]


def test_the_same_seed_gives_the_same_course() -> None:
    services = two_services(price_a=30.0, price_b=1.0)
    conditions = SharedConditions(gpus=3, end_seconds=900.0, seed=4)
    first, second = (
        replay_shared(services, policy=DecideShared(services, gpus=3), conditions=conditions)
        for _ in range(2)
    )
    for name in (A, B):
        assert first[name].lives == second[name].lives
        assert first[name].score() == second[name].score()


def test_room_is_looked_for_between_the_turns_of_a_slow_policy() -> None:
    # One GPU; its request of 40 s drains while `b` waits, and the policy is asked every 10 minutes.
    services = [
        make_shared(A, workload=make_workload((590.0, 1, 40)), initial_replicas=1),
        make_shared(B),
    ]
    run = SharedReplay(
        services,
        policy=SharedScript((600.0, {A: 0, B: 1}), interval_seconds=600.0),
        conditions=SharedConditions(gpus=1, end_seconds=1200.0),
    )
    while run.now_seconds < 600.0:
        run.step()
    assert (run.fleet.gpus_of(A), run.fleet.waiting_replicas(B)) == (1, 1)
    while run.now_seconds < 645.0:
        run.step()
    assert (run.fleet.gpus_of(A), run.fleet.gpus_of(B)) == (0, 1)
    assert run.changes == 2


def test_hours_so_far_are_those_of_the_score_at_the_end() -> None:
    services = [make_shared(A, workload=make_workload((1.0, 1, 5)), initial_replicas=2)]
    run = SharedReplay(
        services,
        policy=SharedScript((300.0, {A: 1})),
        conditions=SharedConditions(gpus=2, end_seconds=600.0),
    )
    while not run.is_over:
        run.step()
    run.finish()
    assert run.gpu_hours(A) == pytest.approx(0.25)
    assert run.outcomes()[A].score().gpu_hours == pytest.approx(0.25)


def test_peers_are_asked_one_by_one() -> None:
    services = [make_shared(A, initial_replicas=1), make_shared(B)]
    peers = PeerPolicies({A: Static(replicas=1), B: Static(replicas=2)})
    outcomes = replay_shared(
        services, policy=peers, conditions=SharedConditions(gpus=2, end_seconds=7200.0)
    )
    # The second of `b` never finds room beside the one of `a`.
    assert [len(outcomes[name].lives) for name in (A, B)] == [1, 1]


def test_peers_of_different_intervals_are_refused() -> None:
    with pytest.raises(ValueError, match="give one interval"):
        PeerPolicies({A: Static(replicas=1), B: Script((0.0, 1))})


def test_the_catalogue_has_one_pool_of_all_gpus() -> None:
    services = [make_shared(A, gpus_per_replica=2), make_shared(B, price=1.0)]
    catalogue = shared_catalogue(services, gpus=4, control=Control())
    (pool,) = catalogue.pools
    sizes = [each.variants[0].memory_bytes / pool.capacity_bytes for each in catalogue.services]
    assert sizes == [0.5, 0.25]
    assert [each.name for each in catalogue.tiers] == ["tier-10", "tier-1"]
