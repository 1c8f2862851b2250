"""What snapshots and events leave in the state."""

from typing import Any

import pytest

from autoscaler.learn import apply_event, observe
from autoscaler.model.event import Event, ReplicaDied, ReplicaReady, ReplicaStartFailed
from autoscaler.model.inputs import Inputs
from autoscaler.model.state import MAX_SAMPLES, ControllerState, ServiceState, VariantState
from collector.model.catalogue import CapacityPrior
from collector.model.replica import ReplicaState
from collector.model.snapshot import ReplicaView, ServiceView
from support.builders import (
    CHAT,
    GIB,
    NOW,
    PRIOR,
    Bins,
    make_catalogue,
    make_history,
    make_replica_view,
    make_service_state,
    make_snapshot,
    make_view,
    stale,
    steady,
)

SMALL = "small"


def observed(
    *,
    view: ServiceView | None = None,
    replicas: tuple[ReplicaView, ...] = (),
    bins: Bins | None = None,
    uncovered_bins: tuple[int, ...] = (),
    state: ControllerState | None = None,
) -> ControllerState:
    history = make_history(
        {CHAT: steady(0.0) if bins is None else bins}, uncovered_bins=uncovered_bins
    )
    return observe(
        Inputs(
            snapshot=make_snapshot(services=[view or make_view()], replicas=replicas),
            history=history,
            catalogue=make_catalogue(),
            state=state or ControllerState(),
            now=NOW,
        )
    )


def known(**fields: Any) -> ControllerState:
    return ControllerState(services={CHAT: make_service_state(**fields)})


LONG_AGO = known(last_demand_timestamp_seconds=NOW - 5000.0)


@pytest.mark.parametrize(
    ("given", "idle_seconds"),
    [
        pytest.param({}, 5000.0, id="nothing-came"),
        pytest.param({"view": make_view(held=1.0)}, 0.0, id="one-is-held"),
        pytest.param({"view": make_view(in_flight=1.0)}, 0.0, id="one-is-worked-on"),
        pytest.param({"bins": steady(0.1)}, 0.0, id="some-came"),
        pytest.param({"view": make_view(held=stale(0.0))}, 0.0, id="unknown-is-not-idle"),
        pytest.param({"bins": {}}, 0.0, id="no-history-is-not-idle"),
        pytest.param({"uncovered_bins": (-1,)}, 5000.0, id="the-open-bin-has-just-begun"),
        pytest.param(
            {"bins": {k: [*[0.0] * 38, 1.0, 0.0] for k in steady(1.0)}, "uncovered_bins": (-1,)},
            0.0,
            id="it-came-just-before-the-open-bin",
        ),
    ],
)
def test_idle_time_counts_from_the_last_demand(given: dict[str, Any], idle_seconds: float) -> None:
    state = observed(state=LONG_AGO, **given).service(CHAT)
    assert state.last_demand_timestamp_seconds == NOW - idle_seconds


def test_a_new_service_counts_as_just_wanted() -> None:
    assert observed().service(CHAT).last_demand_timestamp_seconds == NOW


def test_idle_time_does_not_run_ahead_of_a_clock_that_went_back() -> None:
    ahead = known(last_demand_timestamp_seconds=NOW + 3600.0)
    assert observed(state=ahead).service(CHAT).last_demand_timestamp_seconds == NOW


def test_lengths_are_learned_from_history() -> None:
    state = observed(bins=steady(1.0)).service(CHAT)
    assert state.prompt_tokens_per_request == pytest.approx(100.0)
    assert state.output_tokens_per_request == pytest.approx(90.0)


def test_what_is_no_longer_declared_is_forgotten() -> None:
    junk = ControllerState(
        services={"gone": ServiceState(), CHAT: ServiceState()},
        variants={"gone": {"v": VariantState()}, CHAT: {"old": VariantState(), SMALL: FAILED}},
        replicas={},
    )
    state = observed(state=junk)
    assert set(state.services) == {CHAT}
    assert {name: set(variants) for name, variants in state.variants.items()} == {CHAT: {SMALL}}
    assert state.variant(CHAT, SMALL) == FAILED


FAILED = VariantState(consecutive_start_failures=2, last_start_failure_timestamp_seconds=NOW - 5)


@pytest.mark.parametrize(
    ("view", "footprints"),
    [
        pytest.param(make_replica_view(memory_bytes=2.5 * GIB), (int(2.5 * GIB),), id="measured"),
        pytest.param(make_replica_view(memory_bytes=stale(GIB)), (), id="stale"),
        pytest.param(make_replica_view(memory_bytes=0.0), (), id="nothing-yet"),
        pytest.param(make_replica_view(memory_bytes=-0.0), (), id="minus-nothing"),
        pytest.param(make_replica_view(memory_bytes=1.7e308), (), id="out-of-this-world"),
        pytest.param(
            make_replica_view(memory_bytes=GIB, state=ReplicaState.LOADING), (), id="still-growing"
        ),
        pytest.param(make_replica_view(memory_bytes=GIB, variant="gone"), (), id="undeclared"),
        pytest.param(make_replica_view(memory_bytes=GIB, service="gone"), (), id="stranger"),
    ],
)
def test_footprints_are_those_of_serving_replicas(
    view: ReplicaView, footprints: tuple[int, ...]
) -> None:
    state = observed(replicas=(view,))
    assert state.variant(CHAT, SMALL).footprint_bytes == footprints
    assert set(state.variants) == {CHAT}


def test_footprints_are_bounded() -> None:
    full = ControllerState(
        variants={CHAT: {SMALL: VariantState(footprint_bytes=(1,) * MAX_SAMPLES)}}
    )
    state = observed(replicas=(make_replica_view(memory_bytes=GIB),), state=full)
    footprints = state.variant(CHAT, SMALL).footprint_bytes
    assert (len(footprints), footprints[-1]) == (MAX_SAMPLES, GIB)


def test_replicas_that_are_gone_are_forgotten() -> None:
    first = observed(replicas=(make_replica_view("r1"), make_replica_view("r2")))
    assert set(first.replicas) == {"r1", "r2"}
    assert set(observed(replicas=(make_replica_view("r2"),), state=first).replicas) == {"r2"}


def ready(**fields: Any) -> ReplicaReady:
    given = {"service": CHAT, "variant": SMALL, "replica_id": "r1", "lead_time_seconds": 12.0}
    return ReplicaReady(**{**given, **fields})


def start_failed(at: float, *, ordered: float | None = None) -> ReplicaStartFailed:
    return ReplicaStartFailed(
        service=CHAT,
        variant=SMALL,
        replica_id="r1",
        failed_timestamp_seconds=at,
        message="no",
        ordered_timestamp_seconds=ordered,
    )


def died(at: float, *, lived_seconds: float) -> ReplicaDied:
    return ReplicaDied(
        service=CHAT,
        variant=SMALL,
        replica_id="r1",
        died_timestamp_seconds=at,
        lived_seconds=lived_seconds,
        message="exit 1",
    )


def after(*events: Event) -> VariantState:
    state = ControllerState()
    for event in events:
        state = apply_event(state, event)
    return state.variant(CHAT, SMALL)


@pytest.mark.parametrize(
    ("events", "failures", "at"),
    [
        pytest.param((start_failed(5.0),), 1, 5.0, id="failed-start"),
        pytest.param((start_failed(5.0), start_failed(9.0)), 2, 9.0, id="twice"),
        pytest.param(
            (start_failed(5.0, ordered=1.0), start_failed(9.0, ordered=4.0)),
            1,
            5.0,
            id="ordered-before-the-last-failure-counts-once",
        ),
        pytest.param(
            (start_failed(5.0, ordered=1.0), start_failed(9.0, ordered=6.0)),
            2,
            9.0,
            id="ordered-after-it-counts-again",
        ),
        pytest.param(
            (start_failed(5.0, ordered=1.0), ready(), start_failed(9.0, ordered=4.0)),
            1,
            9.0,
            id="after-a-success-it-counts-anew",
        ),
        pytest.param(
            (start_failed(3605.0, ordered=3600.0), start_failed(9.0, ordered=4.0)),
            2,
            9.0,
            id="a-failure-ahead-of-it-was-timed-by-another-clock",
        ),
        pytest.param((start_failed(5.0), ready()), 0, 5.0, id="success-ends-it"),
        pytest.param((died(7.0, lived_seconds=59.0),), 1, 7.0, id="a-short-life-is-a-failed-start"),
        pytest.param((died(7.0, lived_seconds=60.0),), 0, None, id="a-long-life-is-not"),
    ],
)
def test_failures_in_a_row_are_counted(
    events: tuple[Event, ...], failures: int, at: float | None
) -> None:
    variant = after(*events)
    assert variant.consecutive_start_failures == failures
    assert variant.last_start_failure_timestamp_seconds == at


def test_lead_times_are_remembered() -> None:
    assert after(ready(), ready(lead_time_seconds=20.0)).lead_time_seconds == (12.0, 20.0)


def test_a_probe_is_kept_when_a_later_start_was_not_probed() -> None:
    probe = CapacityPrior(prompt_seconds_per_token=1.0, output_seconds_per_token=2.0)
    assert after(ready(probed_capacity=probe), ready()).probed_capacity == probe


def test_an_event_touches_its_own_variant_only() -> None:
    other = VariantState(probed_capacity=PRIOR)
    state = ControllerState(variants={CHAT: {"other": other}, "b": {SMALL: other}})
    changed = apply_event(state, start_failed(5.0))
    assert changed.variant(CHAT, "other") == changed.variant("b", SMALL) == other
