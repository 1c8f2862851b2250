"""Every declared thing has one view, whatever the sources did; missing is never zero."""

import pytest

from collector.model.reading import Fresh, Missing, MissingReason, Stale
from collector.model.replica import EngineKind, ReplicaState
from collector.model.snapshot import Problem
from support.collector_worlds import (
    CHAT,
    LLAMA,
    VLLM,
    answered,
    capture,
    failed,
    gateway_page,
    make_catalogue,
    make_replica,
    make_service,
    snapshot_of,
)

ENGINE_FIELDS = (
    "running_requests",
    "waiting_requests",
    "prompt_tokens_total",
    "output_tokens_total",
)


def shown(reading):
    return reading.reason if isinstance(reading, Missing) else reading.value


def gateway(at=100.0, **numbers):
    return answered("gateway", gateway_page(**numbers), at=at)


def test_the_gateway_tells_the_traffic_of_a_service():
    page = gateway(
        arrived=12,
        completed=5,
        failed=1,
        aborted=2,
        shed=1,
        prompt_tokens=90,
        output_tokens=40,
        in_flight=2,
        held=1,
        overflow=(30, 8, 1),
        completed_elsewhere=3,
        ttft=(("0.5", 3), ("1", 4), ("+Inf", 5)),
    )
    view = snapshot_of(page, at=101.0).service(CHAT)
    traffic = {name: shown(getattr(view.traffic, name)) for name in view.traffic.__slots__}
    assert traffic == {
        "arrived_requests_total": 12,
        "completed_requests_total": 5,
        "failed_requests_total": 1,
        "aborted_requests_total": 2,
        "shed_requests_total": 1,
        "admitted_prompt_tokens_total": 90,
        "output_tokens_total": 40,
        "in_flight_requests": 2,
        "held_requests": 1,
        "oldest_held_seconds": 0,
        "overflow_completed_requests_total": 3,
        "overflow_prompt_tokens_total": 30,
        "overflow_output_tokens_total": 8,
        "overflow_in_flight_requests": 1,
    }
    assert view.latency.time_to_first_token.value.counts == (3, 1, 1)
    assert shown(view.latency.inter_token_latency) is MissingReason.SERIES_ABSENT


def test_readings_have_the_time_of_the_answer_and_the_snapshot_its_own():
    snapshot = snapshot_of(gateway(at=100.0, arrived=1), at=101.0)
    assert snapshot.taken_timestamp_seconds == 101.0
    assert snapshot.service(CHAT).traffic.arrived_requests_total == Fresh(
        value=1.0, observed_timestamp_seconds=100.0, source="gateway"
    )
    assert shown(snapshot.gateway_start_timestamp_seconds) == 50.0


def test_a_service_the_gateway_does_not_know_is_missing_not_idle():
    catalogue = make_catalogue(make_service(), make_service("embed"))
    view = snapshot_of(gateway(arrived=1), at=101.0, catalogue=catalogue).service("embed")
    assert shown(view.traffic.arrived_requests_total) is MissingReason.SERIES_ABSENT
    assert shown(view.traffic.in_flight_requests) is MissingReason.SERIES_ABSENT


def test_an_engine_page_tells_the_work_of_its_replica():
    snapshot = snapshot_of(
        gateway(replicas=[("r1", 7)]),
        answered("r1", capture(LLAMA, "metrics_load_c8"), at=100.0),
        at=101.0,
        replicas=(make_replica(),),
        memory={"r1": 4096},
        available=5000,
    )
    (view,) = snapshot.replicas
    assert [shown(getattr(view, name)) for name in ENGINE_FIELDS] == [2, 6, 37801, 40064]
    assert shown(view.in_flight_requests) == 7
    assert shown(view.memory_bytes) == 4096
    assert shown(snapshot.pools[0].available_bytes) == 5000
    assert snapshot.problems == ()


def test_a_sleeping_engine_has_no_gauges():
    snapshot = snapshot_of(
        answered("r1", capture(VLLM, "metrics_asleep_3_requests_pending"), at=100.0),
        at=101.0,
        catalogue=make_catalogue(make_service(engine=EngineKind.VLLM)),
        replicas=(make_replica(),),
    )
    assert [shown(getattr(snapshot.replicas[0], name)) for name in ENGINE_FIELDS] == [
        MissingReason.ASLEEP,
        MissingReason.ASLEEP,
        46770,
        49664,
    ]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (ReplicaState.PENDING, MissingReason.NOT_READ_YET),
        (ReplicaState.LOADING, MissingReason.NOT_READ_YET),
        (ReplicaState.ASLEEP, MissingReason.ASLEEP),
        (ReplicaState.STOPPED, MissingReason.SOURCE_UNREACHABLE),
        (ReplicaState.FAILED, MissingReason.SOURCE_UNREACHABLE),
    ],
)
def test_a_replica_that_does_not_serve_says_why_nothing_is_known(state, reason):
    (view,) = snapshot_of(gateway(), at=101.0, replicas=(make_replica(state=state),)).replicas
    fields = (*ENGINE_FIELDS, "in_flight_requests", "memory_bytes")
    assert {shown(getattr(view, name)) for name in fields} == {reason}


def test_what_was_known_stays_as_stale_when_a_source_falls_silent():
    replicas = (make_replica(),)
    before = snapshot_of(
        gateway(arrived=9, replicas=[("r1", 1)]),
        answered("r1", capture(LLAMA, "metrics_load_c8"), at=100.0),
        at=100.0,
        replicas=replicas,
        memory={"r1": 4096},
        available=5000,
    )
    after = before
    for at in (105.0, 500.0):
        after = snapshot_of(
            failed("gateway", at=at), failed("r1", at=at), at=at, replicas=replicas, previous=after
        )
        arrived = after.service(CHAT).traffic.arrived_requests_total
        assert arrived == Stale(value=9.0, observed_timestamp_seconds=100.0, source="gateway")
        (view,) = after.replicas
        assert view.waiting_requests == Stale(
            value=6.0, observed_timestamp_seconds=100.0, source="engine:llama_cpp"
        )
        assert isinstance(view.in_flight_requests, Stale)
        assert isinstance(view.memory_bytes, Stale)
        assert isinstance(after.pools[0].available_bytes, Stale)
        assert isinstance(after.gateway_start_timestamp_seconds, Stale)
        assert isinstance(after.service(CHAT).latency.time_to_first_token, Stale)
    assert after.problems == (
        Problem(source="gateway", message="connection refused"),
        Problem(source="r1", message="connection refused"),
    )


def test_a_source_that_never_answered_is_unreachable():
    snapshot = snapshot_of(failed("gateway", at=1.0), at=1.0)
    arrived = snapshot.service(CHAT).traffic.arrived_requests_total
    assert shown(arrived) is MissingReason.SOURCE_UNREACHABLE


def test_a_series_that_left_the_page_is_absent_not_stale():
    before = snapshot_of(gateway(arrived=9), at=100.0)
    after = snapshot_of(answered("gateway", "\n", at=105.0), at=105.0, previous=before)
    arrived = after.service(CHAT).traffic.arrived_requests_total
    assert shown(arrived) is MissingReason.SERIES_ABSENT


def test_an_answer_that_took_too_long_ago_is_stale():
    snapshot = snapshot_of(gateway(at=100.0, arrived=9), at=121.0)
    assert isinstance(snapshot.service(CHAT).traffic.arrived_requests_total, Stale)


def test_two_replicas_of_one_id_contradict():
    snapshot = snapshot_of(
        answered("r1", capture(LLAMA, "metrics_load_c8"), at=100.0),
        at=100.0,
        replicas=(make_replica(), make_replica(state=ReplicaState.LOADING), make_replica("r2")),
    )
    assert [view.replica.replica_id for view in snapshot.replicas] == ["r1", "r2"]
    assert shown(snapshot.replicas[0].running_requests) is MissingReason.CONTRADICTED
    assert snapshot.problems[0].source == "r1"


def test_a_replica_of_an_undeclared_variant_keeps_its_view():
    (view,) = snapshot_of(
        at=1.0, replicas=(make_replica(variant="gone"),), memory={"r1": 5}
    ).replicas
    assert shown(view.running_requests) is MissingReason.CANNOT_SEE
    assert shown(view.memory_bytes) == 5


def test_a_serving_replica_nobody_asked_is_not_read_yet():
    (view,) = snapshot_of(gateway(), at=100.0, replicas=(make_replica(),)).replicas
    assert shown(view.running_requests) is MissingReason.NOT_READ_YET


def test_without_a_gateway_nothing_is_claimed_about_traffic():
    arrived = snapshot_of(at=1.0).service(CHAT).traffic.arrived_requests_total
    assert shown(arrived) is MissingReason.NOT_READ_YET
