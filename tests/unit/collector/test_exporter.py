"""The `foresail_*` page made from an observation: what is not known is absent."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from collector import series
from collector.exporter import ObservationCollector
from collector.model.contract import SeriesKind
from collector.model.observation import Observation, ObserveStep
from collector.model.replica import EngineKind, ReplicaState
from support.collector_worlds import (
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


def page_of(observation):
    registry = CollectorRegistry()
    registry.register(ObservationCollector(lambda: observation))
    return {
        (name, *sorted(labels.values())): value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for name, labels, value, *_ in family.samples
    }


def observed(snapshot, **errors):
    return Observation(
        snapshot=snapshot,
        catalogue=make_catalogue(),
        step_seconds={ObserveStep.READ: 0.25},
        source_errors_total=errors,
    )


@pytest.fixture(name="page")
def _page():
    before = snapshot_of(
        answered("gateway", gateway_page(arrived=1, replicas=[("r1", 1)]), at=100.0),
        answered("r1", capture(LLAMA, "metrics_load_c8"), at=100.0),
        answered("r2", capture(LLAMA, "metrics_load_c8"), at=100.0),
        at=100.0,
        replicas=(make_replica(), make_replica("r2")),
        memory={"r1": 4096},
        available=5000,
    )
    after = snapshot_of(
        answered("gateway", gateway_page(arrived=1, replicas=[("r1", 1)]), at=105.0),
        answered("r1", capture(LLAMA, "metrics_load_c8"), at=105.0),
        failed("r2", at=105.0),
        at=106.0,
        replicas=(
            make_replica(),
            make_replica("r2"),
            make_replica("r3", state=ReplicaState.LOADING),
        ),
        memory={"r1": 4096},
        available=5000,
        previous=before,
    )
    return page_of(observed(after, gateway=2))


def test_replicas_are_counted_in_every_state(page):
    states = {
        key[3] if key[2] == "small" else key[2]: value
        for key, value in page.items()
        if key[0] == "foresail_replicas"
    }
    assert sum(states.values()) == 3
    assert page["foresail_replicas", "chat", "serving", "small"] == 2
    assert page["foresail_replicas", "chat", "loading", "small"] == 1
    assert page["foresail_replicas", "chat", "failed", "small"] == 0


def test_only_fresh_values_are_published(page):
    assert page["foresail_replica_waiting_requests", "chat", "r1", "small"] == 6
    assert page["foresail_replica_memory_bytes", "chat", "r1", "small"] == 4096
    for replica in ("r2", "r3"):
        assert ("foresail_replica_waiting_requests", "chat", replica, "small") not in page
        assert ("foresail_replica_memory_bytes", "chat", replica, "small") not in page


def test_doubt_is_counted(page):
    # r2's engine has 5 stale readings; its memory and all of r3, its engine included, are missing.
    assert page["foresail_readings", "stale"] == 5
    assert page["foresail_missing_readings", "not_read_yet"] == 23
    assert page["foresail_missing_readings", "asleep"] == 0
    missing = sum(value for key, value in page.items() if key[0] == "foresail_missing_readings")
    assert page["foresail_readings", "missing"] == missing


def test_ages_problems_errors_and_times(page):
    assert page["foresail_reading_age_seconds", "engine:llama_cpp"] == 6
    assert page["foresail_reading_age_seconds", "gateway"] == 1
    assert page["foresail_snapshot_problems", "replica"] == 1
    assert page["foresail_snapshot_problems", "gateway"] == 0
    assert page["foresail_source_errors_total", "gateway"] == 2
    assert page["foresail_observe_step_seconds", "read"] == 0.25
    assert page[("foresail_snapshot_timestamp_seconds",)] == 106
    assert page["foresail_pool_available_bytes", "box"] == 5000
    assert page["foresail_pool_budget_bytes", "box"] == 9000


def test_before_the_first_observation_nothing_is_published():
    assert page_of(None) == {}


def test_the_gateways_series_are_not_published_again(page):
    assert not {key[0] for key in page} & {
        "foresail_requests_arrived_total",
        "foresail_time_to_first_token_seconds_bucket",
    }
    assert {key[0] for key in page} <= {each.name for each in series.SERIES}


def test_what_an_engine_tells_of_itself_is_published():
    page = page_of(
        observed(
            snapshot_of(
                answered("r1", capture(VLLM, "metrics_load_c64"), at=100.0),
                answered("r2", capture(VLLM, "metrics_asleep_l1"), at=100.0),
                at=100.0,
                catalogue=make_catalogue(make_service(engine=EngineKind.VLLM)),
                replicas=(make_replica(), make_replica("r2")),
                versions={"r1": "0.32.0"},
            )
        )
    )
    awake, asleep = ("chat", "r1", "small"), ("chat", "r2", "small")
    assert page["foresail_replica_is_asleep", *awake] == 0
    assert page["foresail_replica_is_asleep", *asleep] == 1
    assert page["foresail_replica_kv_capacity_tokens", *awake] == 2_097_152
    assert ("foresail_replica_kv_use_ratio", *awake) in page
    assert ("foresail_replica_kv_use_ratio", *asleep) not in page
    assert page["foresail_replica_preemptions_total", *awake] == 0
    infos = [set(key) for key in page if key[0] == "foresail_replica_engine_info"]
    assert [("0.32.0" in info, "r1" in info) for info in infos] == [(True, True), (False, False)]


def test_names_follow_the_rules():
    names = [each.name for each in series.SERIES]
    assert len(set(names)) == len(names)
    for each in series.SERIES:
        assert each.name.startswith("foresail_")
        assert each.name.endswith("_total") is (each.kind is SeriesKind.COUNTER)
        assert each.text.endswith(".")
        if each.unit in ("bytes", "seconds"):
            assert each.name.endswith(each.unit)
