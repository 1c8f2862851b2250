"""What `/v1/state` says: words, and null for whatever is not known."""

from dataclasses import replace

import pytest

from autoscaler.explain import BECAUSE
from autoscaler.model.action import Direction, Hold, Reason, Scale
from autoscaler.model.decision import Verdict
from collector.model.catalogue import Mode, Objective, Sli
from collector.model.history import Signal
from collector.model.ids import VariantName
from collector.model.reading import Missing, MissingReason, Number, Stale
from collector.model.replica import ReplicaState
from collector.model.snapshot import Snapshot
from foresail.http.decision_view import VERDICT_WORDS, action_words
from foresail.http.service_view import (
    MAX_DEMAND_BINS,
    attainment,
    duration_words,
    objective_words,
    percent_words,
    reading_body,
)
from foresail.http.state_view import MODE_WORDS, not_ready_reason, pool_body, state_body
from foresail.ports import TickReport
from support.fake_controller import (
    CHAT,
    CODE,
    GIB,
    NOW,
    busy_report,
    empty_report,
    first_token_objective,
    fresh,
    judged,
    make_catalogue,
    make_history,
    make_replica_view,
    make_service,
)


def snapshot_of(*replicas: tuple[ReplicaState, Number]) -> Snapshot:
    return Snapshot(
        taken_timestamp_seconds=NOW,
        services=(),
        replicas=tuple(
            make_replica_view(f"r{n}", service=CHAT, state=state, memory=memory)
            for n, (state, memory) in enumerate(replicas)
        ),
        pools=(),
    )


UNREAD = Missing(reason=MissingReason.SOURCE_UNREACHABLE, source="proc")


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        pytest.param(fresh(0.0), (0.0, "fresh", 1.0, None), id="a-fresh-zero-is-zero"),
        pytest.param(
            Stale(value=4.0, observed_timestamp_seconds=NOW - 60, source="gateway"),
            (4.0, "stale", 60.0, None),
            id="stale-keeps-its-value-and-says-its-age",
        ),
        pytest.param(
            UNREAD, (None, "missing", None, "source_unreachable"), id="missing-is-null-with-reason"
        ),
        pytest.param(fresh(1.0, age_seconds=-5), (1.0, "fresh", 0.0, None), id="from-the-future"),
    ],
)
def test_reading(*, reading: Number, expected: tuple[object, ...]) -> None:
    body = reading_body(reading, now=NOW)
    assert (body.value, body.quality, body.age_seconds, body.missing_reason) == expected


@pytest.mark.parametrize(
    ("ticks", "expected"),
    [
        pytest.param(TickReport(), "no tick has succeeded yet", id="just-started"),
        pytest.param(
            TickReport(tick_count=1, last_problem="gateway: no answer"),
            "no tick has succeeded yet: gateway: no answer",
            id="first-tick-failed",
        ),
        pytest.param(TickReport(last_success_age_seconds=45.0), None, id="at-the-limit"),
        pytest.param(
            TickReport(last_success_age_seconds=45.2, last_problem="ledger is locked"),
            "the last successful tick is 45.2 s old, the limit is 45 s: ledger is locked",
            id="too-old",
        ),
        pytest.param(
            TickReport(last_success_age_seconds=2.0, last_problem="one bad tick"),
            None,
            id="one-bad-tick-is-forgiven",
        ),
    ],
)
def test_not_ready_reason(*, ticks: TickReport, expected: str | None) -> None:
    assert not_ready_reason(replace(empty_report(), ticks=ticks)) == expected


def test_a_controller_that_knows_nothing_says_null_not_zero() -> None:
    body = state_body(empty_report())
    assert (body.mode, body.ledger, body.catalogue.version) == (None, None, None)
    assert body.gateway.url is None
    assert body.tick.last_success_age_seconds is None
    assert (body.pools, body.services, body.problems) == ([], [], [])


def test_a_declared_service_nobody_has_read_is_shown_with_nulls() -> None:
    report = replace(empty_report(), catalogue=make_catalogue(make_service("chat")))
    (service,) = state_body(report).services
    assert service.in_flight_requests.value is None
    assert service.held_requests.missing_reason is MissingReason.NOT_READ_YET
    assert service.demand.requests_per_second is None
    assert service.demand.bins_requests_per_second == []
    assert service.last_decision is None
    (objective,) = service.objectives
    assert (objective.attainment_ratio, objective.is_met, objective.judged_events) == (None,) * 3
    assert objective.measured_seconds is None


def test_busy_services_carry_their_numbers() -> None:
    chat, code, embed = state_body(busy_report()).services
    assert chat.demand.requests_per_second == 3.25
    assert chat.in_flight_requests.value == 5
    assert chat.objectives[0].is_met is True
    assert code.objectives[0].is_met is False
    assert code.in_flight_requests.quality == "stale"
    assert embed.demand.requests_per_second is None
    assert embed.held_requests.value == 1
    assert [replica.state for replica in embed.replicas] == ["failed", "pending"]
    assert embed.last_decision is not None
    assert embed.last_decision.reason_words == "a request is held and no replica serves"


def test_an_unmeasured_bin_is_null_and_a_quiet_one_zero() -> None:
    history = make_history({CHAT: {Signal.ARRIVED_REQUESTS: [30.0, None, 0.0]}})
    report = replace(
        empty_report(), catalogue=make_catalogue(make_service("chat")), history=history
    )
    (service,) = state_body(report).services
    assert service.demand.bins_requests_per_second == [2.0, None, 0.0]
    assert service.demand.bin_seconds == 15.0


def test_the_curve_is_bounded() -> None:
    bins: list[float | None] = [1.0] * 500
    report = replace(
        empty_report(),
        catalogue=make_catalogue(make_service("chat")),
        history=make_history({CHAT: {Signal.ARRIVED_REQUESTS: bins}}),
    )
    assert len(state_body(report).services[0].demand.bins_requests_per_second) == MAX_DEMAND_BINS


@pytest.mark.parametrize(
    ("arrived", "good_ratio", "expected"),
    [
        pytest.param([10.0, 10.0], 0.75, (0.75, 20.0, 30.0), id="share-of-all-judged"),
        pytest.param([10.0, None], 0.5, (0.5, 10.0, 15.0), id="unmeasured-bins-do-not-count"),
        pytest.param([0.0, 0.0], 1.0, (None, 0.0, 30.0), id="nothing-to-judge-is-not-100-percent"),
        pytest.param([None, None], 1.0, (None, None, 0.0), id="nothing-measured"),
    ],
)
def test_attainment(
    *, arrived: list[float | None], good_ratio: float, expected: tuple[float | None, ...]
) -> None:
    history = make_history({CHAT: judged(arrived=arrived, good_ratio=good_ratio)})
    assert attainment(first_token_objective(), service=CHAT, history=history) == expected


def test_attainment_of_a_service_the_history_does_not_know_is_unknown() -> None:
    history = make_history({CHAT: judged(arrived=[1.0], good_ratio=1.0)})
    found = attainment(first_token_objective(), service=CODE, history=history)
    assert found == (None, None, 0.0)


@pytest.mark.parametrize(
    ("replicas", "held", "free"),
    [
        pytest.param((), 0, 40 * GIB, id="empty-pool-has-all-but-the-reserve"),
        pytest.param(
            ((ReplicaState.SERVING, fresh(5 * GIB)),), 5 * GIB, 35 * GIB, id="serving-as-measured"
        ),
        pytest.param(((ReplicaState.SERVING, UNREAD),), 6 * GIB, 34 * GIB, id="unread-as-declared"),
        pytest.param(
            ((ReplicaState.LOADING, fresh(1 * GIB)),),
            6 * GIB,
            34 * GIB,
            id="loading-with-what-it-will-grow-to",
        ),
        pytest.param(
            ((ReplicaState.STOPPED, UNREAD), (ReplicaState.FAILED, UNREAD)),
            0,
            40 * GIB,
            id="stopped-and-failed-hold-nothing",
        ),
        pytest.param(
            ((ReplicaState.DRAINING, fresh(41 * GIB)),), 41 * GIB, -1 * GIB, id="over-is-negative"
        ),
    ],
)
def test_pool(
    *, replicas: tuple[tuple[ReplicaState, Number], ...], held: float, free: float
) -> None:
    catalogue = make_catalogue(make_service("chat"))
    body = pool_body(
        catalogue.pools[0], catalogue=catalogue, snapshot=snapshot_of(*replicas), now=NOW
    )
    assert (body.held_bytes, body.free_bytes) == (held, free)
    assert body.available_bytes.value is None


def test_a_replica_of_a_service_that_left_the_catalogue_is_not_in_a_pool() -> None:
    catalogue = make_catalogue(make_service("code"))
    snapshot = snapshot_of((ReplicaState.SERVING, fresh(5 * GIB)))
    body = pool_body(catalogue.pools[0], catalogue=catalogue, snapshot=snapshot, now=NOW)
    assert body.holders == []


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.25, "250 ms"),
        (1.5, "1.5 s"),
        (60, "1 min"),
        (90, "90 s"),
        (7200, "2 h"),
        (2419200, "28 d"),
    ],
)
def test_duration_words(*, seconds: float, words: str) -> None:
    assert duration_words(seconds) == words


@pytest.mark.parametrize(
    ("ratio", "words"), [(0.99, "99 %"), (0.999, "99.9 %"), (0.99999, "99.999 %"), (0.5, "50 %")]
)
def test_percent_words(*, ratio: float, words: str) -> None:
    assert percent_words(ratio) == words


def test_objective_words() -> None:
    assert objective_words(first_token_objective()) == "first token within 1 s for 99 % over 28 d"
    answered = Objective(
        sli=Sli.AVAILABILITY, threshold_seconds=None, target_ratio=0.999, window_seconds=86400.0
    )
    assert objective_words(answered) == "answered for 99.9 % over 1 d"


def test_action_words() -> None:
    out = Scale(variant=VariantName("v"), direction=Direction.OUT, from_replicas=0, to_replicas=2)
    assert action_words(out) == "scale out 0 → 2"
    assert action_words(Hold()) == "hold"


def test_every_mode_verdict_and_reason_has_words() -> None:
    assert set(MODE_WORDS) == {*Mode, None}
    assert set(VERDICT_WORDS) == set(Verdict)
    assert set(BECAUSE) == set(Reason)
