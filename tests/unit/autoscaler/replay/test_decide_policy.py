"""What `decide` is given in a replay: events of the executor, and readings as the faults leave them."""

from dataclasses import fields, replace

import pytest

from autoscaler.model.action import Reason
from autoscaler.replay.catalogue import SERVICE, VARIANT
from autoscaler.replay.decide_policy import DecidePolicy
from autoscaler.replay.faults import ClockJump, Faults, RepeatedSeries, SeriesFault, Span
from autoscaler.replay.faulty_snapshot import repeated, unanswered
from autoscaler.replay.fleet import Provisioning
from autoscaler.replay.run import Conditions, Outcome, replay
from autoscaler.replay.seen_service import Names, SeenService
from collector.increments import increments
from collector.model.reading import Fresh, Missing, MissingReason, Stale, fresh_value
from collector.model.replica import ReplicaState
from collector.model.snapshot import Snapshot
from support.builders import (
    NOW,
    make_catalogue,
    make_replica_view,
    make_replica_views,
    make_snapshot,
    make_view,
)
from support.replays import TABLED, Script, make_setting, make_workload, rising_and_falling

DARK_SECONDS = 300.0


def make_seen(arrived: float = 0.0, *, at: float = NOW) -> Snapshot:
    return make_snapshot(
        services=[make_view(arrived_requests_total=100.0 + arrived, at=at)],
        replicas=make_replica_views(2, at=at, memory_bytes=5.0),
        taken_at=at,
    )


def played(faults: Faults, *, minutes: float = 20.0) -> tuple[DecidePolicy, Outcome]:
    setting = make_setting(costs=TABLED, provision_seconds=60.0)
    policy = DecidePolicy(setting)
    outcome = replay(
        rising_and_falling(hours=1.0, seed=3),
        setting=setting,
        policy=policy,
        conditions=Conditions(
            initial_replicas=2,
            faults=faults,
            provisioning=Provisioning(sigma=0.0, start_timeout_seconds=120.0),
        ),
        end_seconds=minutes * 60.0,
    )
    return policy, outcome


# --- readings ------------------------------------------------------------------------------------


def test_unanswered_metrics_are_stale_since_they_were_read_and_memory_is_not() -> None:
    dark = unanswered(make_seen(), read_timestamp_seconds=NOW - 90.0)
    traffic = dark.services[0].traffic
    for each in fields(traffic):
        reading = getattr(traffic, each.name)
        if each.name.startswith("overflow_"):  # nothing overflows in a replay
            continue
        assert isinstance(reading, Stale)
        assert reading.observed_timestamp_seconds == NOW - 90.0
    assert isinstance(dark.services[0].latency.end_to_end_latency, Missing)
    replica = dark.replicas[0]
    assert isinstance(replica.running_requests, Stale)
    assert isinstance(replica.memory_bytes, Fresh)


def test_the_dark_gives_no_increments_and_the_next_reading_all_of_them() -> None:
    before = make_seen(at=NOW)
    dark = unanswered(make_seen(at=NOW + DARK_SECONDS), read_timestamp_seconds=NOW)
    after = make_seen(60.0, at=NOW + DARK_SECONDS + 15.0)
    catalogue = make_catalogue()
    nothing = increments(before, dark, catalogue=catalogue)
    assert (nothing.increases, nothing.levels) == ({}, {})
    assert nothing.start_timestamp_seconds == nothing.end_timestamp_seconds
    everything = increments(dark, after, catalogue=catalogue)
    assert everything.end_timestamp_seconds - everything.start_timestamp_seconds == 315.0
    assert 60.0 in everything.increases.values()
    assert everything.levels == {}


def test_contradicting_series_are_refused_and_the_others_repeated_in_their_order() -> None:
    seen = make_seen()
    assert repeated(seen, fault=SeriesFault.NONE) is seen
    twice = repeated(seen, fault=SeriesFault.TWICE)
    assert twice.services == seen.services * 2
    assert twice.replicas == seen.replicas * 2
    refused = repeated(seen, fault=SeriesFault.CONTRADICTING)
    reading = refused.services[0].traffic.arrived_requests_total
    assert isinstance(reading, Missing)
    assert reading.reason is MissingReason.CONTRADICTED
    assert isinstance(refused.replicas[0].waiting_requests, Missing)


def test_of_what_is_refused_the_last_value_stays_as_in_the_collector() -> None:
    before, seen = make_seen(at=NOW), make_seen(60.0, at=NOW + DARK_SECONDS)
    for _ in range(2):  # as stale as before at the second look
        before = repeated(seen, fault=SeriesFault.CONTRADICTING, before=before)
    reading = before.services[0].traffic.arrived_requests_total
    assert isinstance(reading, Stale)
    assert (reading.value, reading.observed_timestamp_seconds) == (100.0, NOW)
    assert isinstance(before.replicas[0].waiting_requests, Stale)
    assert isinstance(before.replicas[0].memory_bytes, Fresh)


def test_a_reading_that_is_missing_already_stays_as_it_is() -> None:
    unread = Missing(reason=MissingReason.ASLEEP, source="engine")
    view = replace(make_replica_view(), running_requests=unread)
    dark = unanswered(make_snapshot(replicas=[view]), read_timestamp_seconds=NOW)
    assert dark.replicas[0].running_requests == unread


# --- what decide makes of it -----------------------------------------------------------------


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param(
            Faults(metric_outages=(Span(start_seconds=900.0, end_seconds=1300.0),)), id="outage"
        ),
        pytest.param(
            Faults(
                repeated_series=(
                    RepeatedSeries(
                        span=Span(start_seconds=900.0, end_seconds=1300.0),
                        kind=SeriesFault.CONTRADICTING,
                    ),
                )
            ),
            id="contradicting",
        ),
    ],
)
def test_decide_says_that_it_sees_nothing(faults: Faults) -> None:
    policy, _ = played(faults)
    decision = policy.decision
    assert decision is not None
    assert decision.reason is Reason.NO_FRESH_DATA
    assert decision.evidence.demand_requests_per_second is None
    assert any("arrived_requests_total" in line for line in decision.evidence.quality)


def test_a_replica_that_became_ready_in_the_dark_is_a_doubt_and_serves() -> None:
    dark = Span(start_seconds=620.0, end_seconds=1300.0)
    policy, outcome = played(Faults(metric_outages=(dark,), deaths_seconds=(610.0,)))
    decision = policy.decision
    assert decision is not None
    replaced = [life.number for life in outcome.lives if life.ordered_seconds >= 600.0]
    assert replaced
    assert any(
        f"replica-{replaced[0]} is source_unreachable" in each for each in decision.evidence.quality
    )
    assert decision.evidence.serving_replicas == decision.evidence.supply_replicas


def test_starts_that_are_given_up_are_told_as_failures() -> None:
    stuck = Faults(
        stuck_starts=(Span(start_seconds=600.0, end_seconds=1300.0),), deaths_seconds=(610.0,)
    )
    policy, outcome = played(stuck)
    variant = policy.state.variant(SERVICE, VARIANT)
    assert variant.consecutive_start_failures >= 1
    given_up = [life.ended_seconds for life in outcome.lives if life.ready_seconds == float("inf")]
    assert given_up[0] == 735.0
    assert (variant.last_start_failure_timestamp_seconds or 0.0) % 86_400.0 >= 735.0


def test_a_start_across_a_jump_of_the_clock_is_told_as_the_host_saw_it() -> None:
    jump = Faults(
        clock_jumps=(ClockJump(at_seconds=640.0, by_seconds=3600.0),), deaths_seconds=(610.0,)
    )
    policy, _ = played(jump)
    leads = policy.state.variant(SERVICE, VARIANT).lead_time_seconds
    assert 3660.0 in leads


def test_replicas_that_drain_are_shown_and_hold_their_memory() -> None:
    seen = SeenService(
        Names(service=SERVICE, variant=VARIANT),
        setting=make_setting(),
        memory_bytes=7,
        is_probed=False,
    )
    policy = Script((10.0, 1))
    late = make_workload((9.0, 5, 40), (9.5, 5, 40))
    replay(
        late,
        setting=make_setting(),
        policy=policy,
        conditions=Conditions(initial_replicas=2),
        end_seconds=30.0,
    )
    views = seen.replica_views(policy.views[-1], now=NOW)
    assert [each.replica.state for each in views] == [ReplicaState.SERVING, ReplicaState.DRAINING]
    assert [fresh_value(each.memory_bytes) for each in views] == [7, 7]
