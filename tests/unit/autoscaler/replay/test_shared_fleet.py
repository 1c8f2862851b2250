"""Several services on one inventory: who gets room, who waits, and in what order."""

import pytest

from support.shared_replays import A, B, C, make_shared, make_shared_fleet


def test_an_order_that_does_not_fit_waits_until_there_is_room() -> None:
    fleet = make_shared_fleet(make_shared(A, initial_replicas=2), make_shared(B), gpus=2)
    assert fleet.order({A: 2, B: 1}) == {A: 0, B: 0}
    assert (fleet.gpus_of(B), fleet.waiting_replicas(B)) == (0, 1)
    assert fleet.order({A: 1, B: 1}) == {A: 1, B: 1}
    assert (fleet.gpus_of(A), fleet.gpus_of(B), fleet.waiting_replicas(B)) == (1, 1, 0)


def test_room_goes_to_the_order_that_has_waited_longest() -> None:
    fleet = make_shared_fleet(
        make_shared(A, initial_replicas=2), make_shared(B), make_shared(C), gpus=2
    )
    fleet.order({C: 1})
    fleet.advance(15.0)
    fleet.order({B: 1})
    fleet.order({A: 1})
    assert (fleet.gpus_of(B), fleet.gpus_of(C)) == (0, 1)


def test_a_large_order_does_not_keep_a_small_one_behind_it_from_starting() -> None:
    fleet = make_shared_fleet(
        make_shared(A, initial_replicas=1),
        make_shared(B, gpus_per_replica=2),
        make_shared(C),
        gpus=2,
    )
    fleet.order({B: 1, C: 1})
    assert (fleet.gpus_of(B), fleet.gpus_of(C)) == (0, 1)
    assert fleet.waiting_replicas(B) == 1


def test_replicas_of_several_gpus_take_as_many() -> None:
    fleet = make_shared_fleet(make_shared(A, gpus_per_replica=2), gpus=5)
    fleet.order({A: 3})
    assert (fleet.gpus_in_use, fleet.waiting_replicas(A)) == (4, 1)


def test_what_only_waits_is_given_up_before_what_runs() -> None:
    fleet = make_shared_fleet(make_shared(A, initial_replicas=2), gpus=2)
    fleet.order({A: 4})
    assert fleet.order({A: 2}) == {A: 0}
    assert (fleet.gpus_of(A), fleet.waiting_replicas(A)) == (2, 0)
    assert fleet.order({A: 1}) == {A: 1}


def test_an_empty_replica_that_is_taken_back_leaves_its_room_at_once() -> None:
    fleet = make_shared_fleet(make_shared(A, initial_replicas=1), make_shared(B), gpus=1)
    fleet.order({B: 1})
    assert fleet.order({A: 0}) == {A: 1, B: 1}
    assert fleet.gpus_of(B) == 1


def test_views_show_waiting_orders_as_replicas_that_start() -> None:
    fleet = make_shared_fleet(make_shared(A, initial_replicas=1), gpus=1)
    fleet.advance(15.0)
    fleet.order({A: 3})
    view = fleet.look()[A]
    assert (view.ordered_replicas, view.ready_replicas, view.pending_replicas) == (3, 1, 2)
    assert view.pending_ordered_seconds == (15.0, 15.0)


def test_wishes_stay_within_the_limits_of_their_service() -> None:
    fleet = make_shared_fleet(
        make_shared(A, initial_replicas=1, min_replicas=1, max_replicas=2), gpus=8
    )
    fleet.order({A: 7})
    assert fleet.gpus_of(A) == 2
    fleet.order({A: 0})
    assert fleet.gpus_of(A) == 1


def test_first_replicas_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="take 3 GPUs and there are 2"):
        make_shared_fleet(make_shared(A, initial_replicas=3), gpus=2)
