"""The controller's series: names, labels, and what is absent because nobody knows it."""

from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from autoscaler.metrics import ControllerMetrics
from autoscaler.model.action import Reason
from autoscaler.model.decision import Verdict
from autoscaler.model.effect import Phase
from autoscaler.model.event import ReplicaDied
from autoscaler.model.state import ControllerState, VariantState
from autoscaler.series import (
    SCALE_REASONS,
    SERIES,
    TickOutcome,
    TickStep,
    decision_labels,
    legal_decision_labels,
)
from collector.model.catalogue import Mode
from collector.model.contract import SeriesKind
from collector.model.ids import ReplicaId, VariantName
from collector.series import SERIES as COLLECTOR_SERIES
from support.fake_controller import (
    CHAT,
    NOW,
    busy_effect,
    make_catalogue,
    make_decision,
    make_evidence,
    make_service,
    scale,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "controller_metrics.prom"
CATALOGUE = make_catalogue(make_service("chat"), mode=Mode.DRY_RUN)
STATE = ControllerState(
    variants={CHAT: {VariantName("only"): VariantState(lead_time_seconds=(12.0,))}}
)


def page(metrics: ControllerMetrics) -> str:
    return generate_latest(metrics.registry).decode()


def samples(metrics: ControllerMetrics, name: str) -> list[str]:
    return [line for line in page(metrics).splitlines() if line.split("{")[0].split()[0] == name]


def test_page_after_one_tick_is_as_reviewed() -> None:
    metrics = ControllerMetrics()
    metrics.record_catalogue(CATALOGUE, is_valid=True)
    decision = make_decision(
        CHAT,
        action=scale(before=1, after=2),
        reason=Reason.DEMAND_FORECAST,
        verdict=Verdict.DRY_RUN,
    )
    metrics.record_decisions([decision], catalogue=CATALOGUE, state=STATE)
    metrics.record_tick(
        outcome=TickOutcome.SUCCEEDED,
        ended_timestamp_seconds=NOW,
        step_seconds={TickStep.READ: 0.03, TickStep.DECIDE: 0.002},
    )
    metrics.record_effect(busy_effect())
    metrics.record_ledger(record_count=7)
    assert page(metrics) == GOLDEN.read_text()


def test_what_is_not_known_yet_has_no_sample() -> None:
    metrics = ControllerMetrics()
    absent = [
        "foresail_last_tick_timestamp_seconds",
        "foresail_catalogue_valid",
        "foresail_mode",
        "foresail_ledger_records_total",
        "foresail_replicas_needed",
        "foresail_burn_rate_ratio",
    ]
    assert {name: samples(metrics, name) for name in absent} == {name: [] for name in absent}


def test_unknown_evidence_is_absent_and_never_zero() -> None:
    metrics = ControllerMetrics()
    unknown = replace(
        make_evidence(demand=None, needed=None),
        burn_rate=None,
        capacity_low_ratio=None,
        capacity_high_ratio=float("nan"),
    )
    metrics.record_decisions(
        [make_decision(CHAT, evidence=unknown)], catalogue=CATALOGUE, state=STATE
    )
    for name in (
        "foresail_replicas_needed",
        "foresail_demand_requests_per_second",
        "foresail_demand_work_ratio",
        "foresail_expected_work_ratio",
        "foresail_capacity_work_ratio",
        "foresail_burn_rate_ratio",
    ):
        assert samples(metrics, name) == [], name


def test_numbers_of_a_service_that_is_gone_disappear() -> None:
    metrics = ControllerMetrics()
    metrics.record_decisions([make_decision(CHAT)], catalogue=CATALOGUE, state=STATE)
    assert samples(metrics, "foresail_replicas_needed") == [
        'foresail_replicas_needed{service="chat"} 2.0'
    ]
    metrics.record_decisions([], catalogue=make_catalogue(), state=STATE)
    assert samples(metrics, "foresail_replicas_needed") == []
    assert samples(metrics, "foresail_lead_time_seconds") == []


def test_every_counter_of_a_declared_service_starts_at_zero() -> None:
    metrics = ControllerMetrics()
    metrics.record_catalogue(CATALOGUE, is_valid=True)
    started = samples(metrics, "foresail_decisions_total")
    assert len(started) == 55
    assert all(line.endswith(" 0.0") for line in started)
    assert len(samples(metrics, "foresail_replica_events_total")) == 3
    assert len(samples(metrics, "foresail_effects_total")) == 6
    assert len(samples(metrics, "foresail_ticks_total")) == 2


def test_a_decision_uses_labels_that_had_been_started() -> None:
    decision = make_decision(
        CHAT, action=scale(before=2, after=1), reason=Reason.IDLE, verdict=Verdict.ACT
    )
    assert decision_labels(decision) == ("chat", "scale", "in", "idle", "act")
    assert decision_labels(decision) in set(legal_decision_labels("chat"))
    assert decision_labels(make_decision(CHAT)) in set(legal_decision_labels("chat"))


def test_no_reason_is_for_both_directions() -> None:
    reasons = [reason for each in SCALE_REASONS.values() for reason in each]
    assert len(reasons) == len(set(reasons))


def test_a_failed_tick_counts_and_does_not_move_the_time_of_the_last_good_one() -> None:
    metrics = ControllerMetrics()
    for outcome, ended in ((TickOutcome.SUCCEEDED, 100.0), (TickOutcome.FAILED, 200.0)):
        metrics.record_tick(outcome=outcome, ended_timestamp_seconds=ended, step_seconds={})
    assert samples(metrics, "foresail_last_tick_timestamp_seconds") == [
        "foresail_last_tick_timestamp_seconds 100.0"
    ]
    assert samples(metrics, "foresail_ticks_total") == [
        'foresail_ticks_total{outcome="succeeded"} 1.0',
        'foresail_ticks_total{outcome="failed"} 1.0',
    ]


def test_an_effect_runs_from_its_first_to_its_last_phase() -> None:
    metrics = ControllerMetrics()
    effect = busy_effect()
    for phase in (Phase.PREPARED, Phase.SPAWNING, Phase.SPAWNED):
        metrics.record_effect(replace(effect, phase=phase))
        assert samples(metrics, "foresail_effects_running") == ["foresail_effects_running 1.0"]
    metrics.record_effect(replace(effect, phase=Phase.VERIFIED))
    assert samples(metrics, "foresail_effects_running") == ["foresail_effects_running 0.0"]
    assert 'foresail_effects_total{kind="start",outcome="verified"} 1.0' in page(metrics)


def test_a_death_is_counted_by_service_and_variant_not_by_replica() -> None:
    metrics = ControllerMetrics()
    for replica in ("a", "b"):
        metrics.record_event(
            ReplicaDied(
                service=CHAT,
                variant=VariantName("only"),
                replica_id=ReplicaId(replica),
                died_timestamp_seconds=NOW,
                lived_seconds=3.0,
                message="killed",
            )
        )
    assert samples(metrics, "foresail_replica_events_total") == [
        'foresail_replica_events_total{event="replica_died",service="chat",variant="only"} 2.0'
    ]


@pytest.mark.parametrize("mode", list(Mode), ids=lambda mode: mode.value)
def test_exactly_the_mode_in_force_is_one(mode: Mode) -> None:
    metrics = ControllerMetrics()
    metrics.record_catalogue(make_catalogue(mode=mode), is_valid=False)
    shown = samples(metrics, "foresail_mode")
    assert len(shown) == 2
    assert [line for line in shown if line.endswith(" 1.0")] == [
        f'foresail_mode{{mode="{mode.value}"}} 1.0'
    ]
    assert samples(metrics, "foresail_catalogue_valid") == ["foresail_catalogue_valid 0.0"]


def test_the_table_names_every_exported_family_once() -> None:
    families = {
        line.split()[2] for line in page(ControllerMetrics()).splitlines() if line[:6] == "# TYPE"
    }
    named = [each.name for each in SERIES]
    assert families == set(named)
    assert len(named) == len(set(named))
    assert not set(named) & {each.name for each in COLLECTOR_SERIES}


def test_counters_end_in_total_and_gauges_do_not() -> None:
    for each in SERIES:
        assert each.name.endswith("_total") is (each.kind is SeriesKind.COUNTER), each.name
