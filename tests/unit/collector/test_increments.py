"""Two snapshots to increases: resets, restarts, outages, and what objectives count."""

from dataclasses import replace

import pytest

from collector.increments import increments
from collector.model.catalogue import Sli
from collector.model.history import Signal
from collector.model.reading import Missing, MissingReason
from collector.model.snapshot import Snapshot
from support.builders import make_overflow, make_replica_view
from support.collector_worlds import (
    CHAT,
    answered,
    failed,
    gateway_page,
    make_catalogue,
    make_service,
    objective,
    snapshot_of,
)

CATALOGUE = make_catalogue(
    make_service(objectives=[objective(Sli.TIME_TO_FIRST_TOKEN, 1.0), objective(Sli.AVAILABILITY)])
)


def seen(at, *, previous=None, catalogue=CATALOGUE, **numbers):
    page = answered("gateway", gateway_page(**numbers), at=at)
    return snapshot_of(page, at=at + 1, catalogue=catalogue, previous=previous)


def silent(at, previous):
    return snapshot_of(failed("gateway", at=at), at=at, catalogue=CATALOGUE, previous=previous)


def between(before, after, catalogue=CATALOGUE):
    return increments(before, after, catalogue=catalogue)


def increase(found, signal):
    return found.increases.get((signal, CHAT))


def test_counters_become_increases_and_gauges_levels():
    found = between(
        seen(100, arrived=10, completed=6, prompt_tokens=100, output_tokens=50),
        seen(
            105, arrived=13, completed=8, prompt_tokens=130, output_tokens=70, in_flight=2, held=3
        ),
    )
    assert (found.start_timestamp_seconds, found.end_timestamp_seconds) == (100, 105)
    assert [
        increase(found, signal)
        for signal in (
            Signal.ARRIVED_REQUESTS,
            Signal.COMPLETED_REQUESTS,
            Signal.FAILED_REQUESTS,
            Signal.ADMITTED_PROMPT_TOKENS,
            Signal.OUTPUT_TOKENS,
        )
    ] == [3, 2, 0, 30, 20]
    assert found.levels == {(Signal.PENDING_REQUESTS, CHAT): 5}


@pytest.mark.parametrize(
    ("starts", "counts", "expected", "counted_from"),
    [
        pytest.param((50, 50), (10, 13), 3, 100, id="no restart"),
        pytest.param((None, None), (10, 4), 4, 100, id="reset seen by the smaller value"),
        pytest.param((50, 103), (10, 4), 4, 103, id="restart"),
        pytest.param(
            (50, 103), (10, 12), 12, 103, id="restart that already counted past the old value"
        ),
        pytest.param(
            (50, 99), (10, 4), 4, 100, id="restart before the interval by the gateway's clock"
        ),
        pytest.param((50, 50), (10, 4), None, 100, id="smaller without a restart contradicts"),
    ],
)
def test_restarts(starts, counts, expected, counted_from):
    found = between(
        seen(100, arrived=counts[0], start=starts[0]), seen(105, arrived=counts[1], start=starts[1])
    )
    assert increase(found, Signal.ARRIVED_REQUESTS) == expected
    assert found.start_timestamp_seconds == counted_from


def test_a_counter_that_falls_without_a_restart_is_reported():
    found = between(seen(100, arrived=10), seen(105, arrived=4))
    assert [p.message for p in found.problems] == [
        "arrived_requests_total fell from 10 to 4 without a restart"
    ]


def test_a_restart_counts_histograms_from_zero():
    found = between(
        seen(100, start=50, ttft=(("0.5", 1), ("1.0", 2), ("+Inf", 2))),
        seen(105, start=103, ttft=(("0.5", 2), ("1.0", 3), ("+Inf", 4))),
    )
    assert increase(found, Signal.TIME_TO_FIRST_TOKEN_GOOD_EVENTS) == 3
    assert increase(found, Signal.TIME_TO_FIRST_TOKEN_JUDGED_EVENTS) == 4


def test_good_events_of_each_objective():
    found = between(
        seen(100, completed=5, ttft=(("0.5", 1), ("1.0", 4), ("+Inf", 5))),
        seen(
            105,
            completed=11,
            failed=1,
            shed=2,
            aborted=7,
            ttft=(("0.5", 2), ("1.0", 8), ("+Inf", 11)),
        ),
    )
    # 6 first tokens, 4 in time; the failed one and the two shed ones are bad too. Who went away
    # is not judged.
    assert increase(found, Signal.TIME_TO_FIRST_TOKEN_GOOD_EVENTS) == 4
    assert increase(found, Signal.TIME_TO_FIRST_TOKEN_JUDGED_EVENTS) == 9
    assert increase(found, Signal.AVAILABILITY_GOOD_EVENTS) == 6
    assert increase(found, Signal.AVAILABILITY_JUDGED_EVENTS) == 9


def test_signals_without_an_objective_are_not_counted():
    catalogue = make_catalogue(make_service())
    found = between(seen(100), seen(105), catalogue)
    assert increase(found, Signal.AVAILABILITY_JUDGED_EVENTS) is None


def test_a_threshold_off_the_edges_counts_nothing_and_says_so():
    catalogue = make_catalogue(make_service(objectives=[objective(Sli.TIME_TO_FIRST_TOKEN, 0.7)]))
    found = between(seen(100), seen(105), catalogue)
    assert increase(found, Signal.TIME_TO_FIRST_TOKEN_JUDGED_EVENTS) is None
    assert [p.message for p in found.problems] == [
        "time_to_first_token threshold 0.7 s is no bucket edge; good events cannot be counted"
    ]


def test_an_absent_counter_is_no_increase_of_zero():
    after = seen(105, arrived=3)
    view = after.services[0]
    gone = Missing(reason=MissingReason.SERIES_ABSENT, source="gateway")
    traffic = replace(view.traffic, completed_requests_total=gone)
    after = replace(after, services=(replace(view, traffic=traffic),))
    for found in (between(seen(100), after), between(after, seen(110, arrived=5))):
        assert increase(found, Signal.COMPLETED_REQUESTS) is None
        assert increase(found, Signal.AVAILABILITY_JUDGED_EVENTS) is None
        assert increase(found, Signal.ARRIVED_REQUESTS) is not None


def test_an_outage_gives_nothing_and_its_end_gives_all_of_it():
    first = seen(100, arrived=10)
    second = silent(105, first)
    third = seen(110, arrived=30, in_flight=2, previous=second)
    assert between(first, second).increases == {}
    found = between(second, third)
    assert (found.start_timestamp_seconds, found.end_timestamp_seconds) == (100, 110)
    assert increase(found, Signal.ARRIVED_REQUESTS) == 20
    assert found.levels == {}  # nobody saw the queue in between


@pytest.mark.parametrize("at", [100, 40], ids=["the same answer", "the clock went back"])
def test_no_time_no_increments(at):
    found = between(seen(100, arrived=1), seen(at, arrived=5))
    assert found.increases == {}
    assert found.start_timestamp_seconds == found.end_timestamp_seconds


def test_a_new_service_starts_with_nothing():
    both = make_catalogue(*CATALOGUE.services, make_service("embed"))
    page = gateway_page(arrived=1) + gateway_page("embed", arrived=70, start=None)
    after = snapshot_of(answered("gateway", page, at=105), at=105, catalogue=both)
    found = between(seen(100), after, both)
    assert {service for _, service in found.increases} == {CHAT}


def test_rounding_of_weighted_buckets_is_no_restart():
    before = seen(100, ttft=(("0.5", 0.1), ("1.0", 0.30000000000000004), ("+Inf", 0.4)))
    after = seen(105, ttft=(("0.5", 0.1), ("1.0", 0.3), ("+Inf", 0.4)))
    found = between(before, after)
    assert increase(found, Signal.TIME_TO_FIRST_TOKEN_JUDGED_EVENTS) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("has_overflow", [True, False], ids=["declared", "not-declared"])
def test_what_an_overflow_completes_is_told_apart_from_what_replicas_do(has_overflow: bool) -> None:
    overflow = make_overflow() if has_overflow else None
    catalogue = make_catalogue(replace(make_service(), overflow=overflow))

    def looked(at: float, **counted: float) -> Snapshot:
        page = answered("gateway", gateway_page(**counted), at=at)
        return snapshot_of(page, at=at + 1, catalogue=catalogue)

    found = between(
        looked(100, completed=10, completed_elsewhere=4),
        looked(105, completed=18, completed_elsewhere=9),
        catalogue,
    )
    assert increase(found, Signal.COMPLETED_REQUESTS) == 8
    assert increase(found, Signal.OVERFLOW_COMPLETED_REQUESTS) == (5 if has_overflow else None)


@pytest.mark.parametrize(
    ("overflow", "tokens"),
    [
        pytest.param((0, 90, 0), 70.0, id="both-together"),
        pytest.param((0, 10, 0), None, id="a-counter-that-fell-tells-nothing"),
    ],
)
def test_what_an_overflow_produces_is_asked_for_too(
    overflow: tuple[float, float, float], tokens: float | None
) -> None:
    declared = replace(make_service(), overflow=make_overflow())
    catalogue = make_catalogue(declared)

    def looked(at: float, *, produced: float, told: tuple[float, float, float]) -> Snapshot:
        page = answered("gateway", gateway_page(overflow=told), at=at)
        snapshot = snapshot_of(page, at=at + 1, catalogue=catalogue)
        view = make_replica_view("r1", service=CHAT, at=at, output_tokens_total=produced)
        return replace(snapshot, replicas=(view,))

    found = between(
        looked(100, produced=500.0, told=(0, 40, 0)),
        looked(105, produced=520.0, told=overflow),
        catalogue,
    )
    assert increase(found, Signal.ENGINE_OUTPUT_TOKENS) == tokens
