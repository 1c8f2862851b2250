"""Counts of a replay that still runs: requests are judged once their fate is known."""

from autoscaler.replay.tally import Counter, Tally
from support.replays import make_workload
from support.shared_replays import A, make_shared, make_shared_fleet


def counter_of(*requests: tuple[float, int, int], replicas: int):
    """Its fleet and a counter; a first token is good within 5 s, a step takes 1 s."""
    service = make_shared(A, workload=make_workload(*requests), initial_replicas=replicas)
    fleet = make_shared_fleet(service, gpus=4)
    counter = Counter(
        fleet.fleets[A].plant,
        workload=service.workload,
        objectives=service.setting.objectives,
    )
    return fleet, counter


def test_nothing_is_judged_before_it_ended() -> None:
    fleet, counter = counter_of((0.0, 1, 8), replicas=1)
    fleet.advance(4.0)
    tally = counter.count(4.0)
    assert tally == Tally(offered_requests=1, judged_requests=0, good_requests=0)
    assert tally.attainment_ratio is None


def test_what_ended_within_the_objectives_is_good() -> None:
    fleet, counter = counter_of((0.0, 1, 8), (20.0, 1, 8), replicas=1)
    fleet.advance(15.0)
    assert counter.count(15.0).attainment_ratio == 1.0
    fleet.advance(40.0)
    assert counter.count(40.0) == Tally(offered_requests=2, judged_requests=2, good_requests=2)


def test_a_first_token_that_can_only_be_late_is_judged_at_once_and_only_once() -> None:
    fleet, counter = counter_of((0.0, 1, 2), replicas=0)
    fleet.advance(5.5)
    assert counter.count(5.5) == Tally(offered_requests=1, judged_requests=1, good_requests=0)
    fleet.advance(90.0)  # shed after a minute
    assert counter.count(90.0) == Tally(offered_requests=1, judged_requests=1, good_requests=0)
