"""Output tokens that a service's engines produced between two snapshots: whole, or not told."""

import pytest

from collector.engine_output import engine_output_increases
from collector.model.replica import ReplicaState
from support.builders import NOW, UNREAD, fresh, make_replica_view, make_snapshot, stale

LOOK = 5.0  # seconds between two looks


def seen(*replicas, at=NOW):
    """A snapshot of replicas given as (name, tokens) or (name, tokens, state)."""
    return make_snapshot(
        replicas=[
            make_replica_view(
                name,
                output_tokens_total=tokens,
                state=state[0] if state else ReplicaState.SERVING,
                at=at,
            )
            for name, tokens, *state in replicas
        ]
    )


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        pytest.param([("a", 100), ("b", 5)], [("a", 130), ("b", 5)], {"chat": 30.0}, id="all-told"),
        pytest.param(
            [("a", 100), ("b", 5)],
            [("a", 130), ("b", 25, ReplicaState.DRAINING)],
            {"chat": 50.0},
            id="one-that-drains-still-works",
        ),
        pytest.param([("a", 100)], [("a", 130), ("b", 5)], {}, id="one-that-began"),
        pytest.param([("a", 100), ("b", 5)], [("a", 130)], {}, id="one-that-ended"),
        pytest.param([("a", 100)], [("a", 3)], {}, id="one-that-restarted"),
        pytest.param([("a", 100), ("b", 5)], [("a", 130), ("b", UNREAD)], {}, id="one-unread"),
        pytest.param([("a", UNREAD)], [("a", 130)], {}, id="first-reading"),
        pytest.param([("a", 100)], [("a", stale(130))], {}, id="no-news"),
        pytest.param(
            [("a", stale(100, at=NOW - 60))], [("a", 130)], {}, id="of-a-longer-time-than-one-look"
        ),
        pytest.param([("a", fresh(100, at=NOW))], [("a", 100)], {}, id="the-same-answer-twice"),
        pytest.param(
            [("a", 100)],
            [("a", 130), ("b", UNREAD, ReplicaState.LOADING)],
            {"chat": 30.0},
            id="one-that-starts-does-not-work-yet",
        ),
        pytest.param([], [], {}, id="nobody-there"),
    ],
)
def test_a_service_is_told_whole_or_not_at_all(before, after, found):
    previous, current = seen(*before, at=NOW - LOOK), seen(*after)
    assert engine_output_increases(previous, current, seconds=LOOK) == found


@pytest.mark.parametrize(
    ("seconds", "found"),
    [
        pytest.param(65.0, {"chat": 30.0}, id="all-were-unread-as-long"),
        pytest.param(5.0, {}, id="the-gateway-was-read-meanwhile"),
    ],
)
def test_what_was_produced_while_nobody_looked_is_laid_on_all_of_that_time(seconds, found):
    before, after = seen(("a", stale(100)), at=NOW - LOOK), seen(("a", 130), at=NOW + LOOK)
    assert engine_output_increases(before, after, seconds=seconds) == found


def test_a_gap_in_one_service_leaves_the_others_told():
    before = make_snapshot(
        replicas=[
            make_replica_view("a", output_tokens_total=1, at=NOW - LOOK),
            make_replica_view("b", service="code", output_tokens_total=UNREAD),
        ]
    )
    after = make_snapshot(
        replicas=[
            make_replica_view("a", output_tokens_total=4),
            make_replica_view("b", service="code", output_tokens_total=9),
        ]
    )
    assert engine_output_increases(before, after, seconds=LOOK) == {"chat": 3.0}
