"""Engines of roles become units: whole ones, as ready as their least ready engine, nothing counted twice."""

import pytest

from collector.model.reading import Missing, MissingReason, Stale
from collector.model.replica import EngineKind, ReplicaState
from collector.model.roles import EngineRole
from collector.model.units import in_units, own_part
from support.builders import (
    CHAT,
    GIB,
    NOW,
    UNREAD,
    make_catalogue,
    make_replica_view,
    make_service,
    make_snapshot,
    make_variant,
    stale,
)
from support.units import (
    SPLIT,
    make_engine_view,
    make_engine_views,
    make_split_service,
    make_split_variant,
    with_role,
)

P, D = EngineRole.PREFILL, EngineRole.DECODE
SERVING, LOADING, PENDING = ReplicaState.SERVING, ReplicaState.LOADING, ReplicaState.PENDING


def units(*views, **fields):
    catalogue = make_catalogue(make_split_service(**fields))
    return in_units(make_snapshot(replicas=views), catalogue=catalogue).snapshot.replicas


@pytest.mark.parametrize(
    ("prefill", "decode", "count"),
    [
        (0, 0, 0),
        (1, 0, 0),
        (0, 2, 0),
        (1, 1, 0),
        (1, 2, 1),
        (2, 2, 1),
        (1, 5, 1),
        (2, 4, 2),
        (3, 7, 3),
    ],
)
def test_units_are_whole(prefill, decode, count):
    """One prefill and two decode engines each."""
    assert len(units(*make_engine_views(prefill=prefill, decode=decode))) == count


@pytest.mark.parametrize(
    ("states", "found"),
    [
        pytest.param([(P, SERVING), (D, SERVING), (D, SERVING)], [SERVING], id="all-serve"),
        pytest.param([(P, LOADING), (D, SERVING), (D, SERVING)], [LOADING], id="prefill-loads"),
        pytest.param([(P, SERVING), (D, SERVING), (D, LOADING)], [LOADING], id="one-decode-loads"),
        pytest.param([(P, LOADING), (D, PENDING), (D, SERVING)], [PENDING], id="the-least-ready"),
        pytest.param(
            [(P, LOADING), (P, SERVING), (D, LOADING), (D, SERVING), (D, SERVING), (D, SERVING)],
            [SERVING, LOADING],
            id="the-ready-ones-together",
        ),
        pytest.param(
            [(P, SERVING), (D, SERVING), (D, ReplicaState.FAILED)], [], id="a-failed-one-is-none"
        ),
    ],
)
def test_a_unit_is_as_ready_as_its_least_ready_engine(states, found):
    views = [make_engine_view(role, n, state=state) for n, (role, state) in enumerate(states)]
    assert [each.replica.state for each in units(*views)] == found


def test_engines_that_cannot_be_read_stand_behind_those_that_can():
    """Else each of them would make another unit unknown."""
    views = [make_engine_view(P, 0), make_engine_view(P, 1)]
    views += [make_engine_view(D, n, running_requests=UNREAD) for n in (0, 1)]
    views += [make_engine_view(D, n) for n in (2, 3)]
    first, second = units(*views)
    assert not isinstance(first.running_requests, Missing)
    assert isinstance(second.running_requests, Missing)


def test_an_engine_that_starts_beyond_the_last_whole_unit_is_not_asked():
    whole = make_engine_views(prefill=1, decode=2)
    (alone,) = units(*whole)
    (beside,) = units(*whole, make_engine_view(D, 2, state=LOADING, running_requests=UNREAD))
    assert beside.running_requests == alone.running_requests


def test_a_unit_adds_up_what_each_role_tells_of_its_part():
    prefill = make_engine_view(
        P, prompt_tokens_total=700, output_tokens_total=7, running_requests=1, waiting_requests=3,
        in_flight_requests=4, memory_bytes=GIB,
    )  # fmt: skip
    decode = [
        make_engine_view(
            D, n, prompt_tokens_total=350, output_tokens_total=500, running_requests=5,
            waiting_requests=1, in_flight_requests=6, memory_bytes=2 * GIB,
        )
        for n in range(2)
    ]  # fmt: skip
    (unit,) = units(prefill, *decode)
    assert unit.replica.replica_id == "chat/split/unit/0"
    assert unit.prompt_tokens_total.value == 700  # decode's page counts what came with the cache
    assert unit.output_tokens_total.value == 1000  # prefill gives one token of each answer
    assert unit.running_requests.value == 10
    assert unit.waiting_requests.value == 5
    assert unit.in_flight_requests.value == 16  # each request is at one of the engines
    assert unit.memory_bytes.value == 5 * GIB


def test_a_request_that_both_roles_have_at_once_is_in_flight_once():
    views = [
        make_engine_view(P, in_flight_requests=4, waiting_requests=4),
        make_engine_view(D, in_flight_requests=4, waiting_requests=3),
    ]
    (unit,) = units(*views, prefill=1, decode=1, engine=EngineKind.SGLANG)
    assert unit.in_flight_requests.value == 4
    assert unit.waiting_requests.value == 3


def test_engines_beyond_the_last_unit_work_with_the_first():
    views = make_engine_views(prefill=2, decode=5, waiting_requests=1, memory_bytes=GIB)
    first, second = units(*views)
    assert first.waiting_requests.value == 4  # 1 + 2, and the fifth decode engine
    assert second.waiting_requests.value == 3
    assert (first.memory_bytes.value, second.memory_bytes.value) == (4 * GIB, 3 * GIB)


@pytest.mark.parametrize("role", [P, D])
@pytest.mark.parametrize(
    ("reading", "kind"), [pytest.param(UNREAD, Missing, id="missing"), pytest.param(stale(1), Stale, id="stale")]
)  # fmt: skip
def test_what_one_engine_does_not_tell_the_unit_does_not_tell(role, reading, kind):
    views = [
        make_engine_view(P, waiting_requests=reading if role is P else 0),
        make_engine_view(D, 0, waiting_requests=reading if role is D else 0),
        make_engine_view(D, 1),
    ]
    (unit,) = units(*views)
    assert isinstance(unit.waiting_requests, kind)


def test_a_unit_serves_since_its_last_engine_does():
    views = [
        make_engine_view(P, served_at=NOW - 100),
        make_engine_view(D, 0, served_at=NOW - 500),
        make_engine_view(D, 1, served_at=NOW - 20),
    ]
    assert units(*views)[0].replica.serving_timestamp_seconds == NOW - 20


def test_a_catalogue_without_roles_gives_the_same_snapshot_back():
    snapshot = make_snapshot(replicas=[make_replica_view()])
    found = in_units(snapshot, catalogue=make_catalogue())
    assert found.snapshot is snapshot
    assert found.engines == {}


def test_replicas_of_other_variants_stay_as_they_are():
    whole = make_replica_view("w1", variant="whole")
    service = make_service(variants=(make_split_variant(), make_variant("whole")))
    snapshot = make_snapshot(replicas=[*make_engine_views(prefill=1, decode=2), whole])
    found = in_units(snapshot, catalogue=make_catalogue(service))
    assert [each.replica.variant for each in found.snapshot.replicas] == ["whole", SPLIT]
    assert len(found.engines[CHAT]) == 3


def test_an_engine_is_known_by_its_own_part_of_the_tokens():
    told = make_replica_view(prompt_tokens_total=700, output_tokens_total=7)
    assert own_part(with_role(told, P)).output_tokens_total.value == 0
    assert own_part(with_role(told, P)).prompt_tokens_total.value == 700
    assert own_part(with_role(told, D)).prompt_tokens_total.value == 0
    assert own_part(with_role(told, D)).output_tokens_total.value == 7
    assert own_part(told) is told


def test_a_part_that_is_not_told_is_not_known_to_be_none():
    unread = make_replica_view(output_tokens_total=UNREAD)
    assert own_part(with_role(unread, D)).prompt_tokens_total == Missing(
        reason=MissingReason.SOURCE_UNREACHABLE, source="test"
    )
