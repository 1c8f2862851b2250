"""At which load objectives were missed is remembered, and what an overload leaves behind is not mistaken."""

from dataclasses import replace

import pytest

from autoscaler.model.assessment import Assessment
from autoscaler.model.state import LOAD_BINS, BurnCurve, ControllerState, ObjectiveTotals
from autoscaler.plan.size import size
from autoscaler.remember import remember_burns
from autoscaler.slo.burn_curve import counts
from collector.model.catalogue import Control
from support.builders import (
    CHAT,
    NOW,
    TTFT_OBJECTIVE,
    make_assessment,
    make_rates,
    make_service,
    make_service_state,
    make_state,
    with_capacity,
)

SERVICE = make_service(objectives=(TTFT_OBJECTIVE,))
QUIET, BUSY, OVERLOADED = 1.0, 1.7, 2.5
"""Requests per second for two replicas that sustain one each: loads of 0.5, 0.85 and 1.25."""


def state(*, good: float, judged: float, at: float, known: ControllerState) -> ControllerState:
    totals = ObjectiveTotals(seconds=at, good=(good,), judged=(judged,))
    return make_state(chat=replace(known.service(CHAT), objective_totals=totals))


def looked(*looks: tuple[float, float, float], **fields: object) -> ControllerState:
    """(seconds after NOW, demand, misses of the hundred since the last look) each, from two replicas."""
    known = state(good=0.0, judged=0.0, at=NOW, known=make_state(chat=make_service_state()))
    for count, (seconds, demand, misses) in enumerate(looks, 1):
        before, totals = known, known.service(CHAT).objective_totals
        assert totals is not None
        known = state(
            good=totals.good[0] + 100.0 - misses,
            judged=100.0 * count,
            at=NOW + seconds,
            known=known,
        )
        assessment = make_assessment(service=SERVICE, serving=2, demand=demand, **fields)
        needs = [size(assessment, control=Control())]
        known = remember_burns(
            known, before=before, assessments=[assessment], needs=needs, now=NOW + seconds
        )
    return known


def bins(known: ControllerState) -> dict[int, tuple[int, int]]:
    """(missed, judged) by tenth of the load."""
    bad, judged = counts(known.service(CHAT).burn_curve, objectives=(TTFT_OBJECTIVE,))
    return {
        place: (round(bad[0][place]), round(judged[0][place]))
        for place in range(LOAD_BINS)
        if judged[0][place]
    }


def test_what_was_missed_is_laid_on_the_load_of_now() -> None:
    assert bins(looked((15, QUIET, 1.0), (30, BUSY, 4.0))) == {5: (1, 100), 8: (4, 100)}


def test_an_overload_is_laid_on_its_own_load() -> None:
    assert bins(looked((15, OVERLOADED, 60.0))) == {12: (60, 100)}


def test_what_is_missed_just_after_an_overload_says_nothing_of_the_load_of_now() -> None:
    echo = looked((15, OVERLOADED, 60.0), (30, QUIET, 40.0), (90, QUIET, 5.0), (195, QUIET, 0.0))
    assert bins(echo) == {12: (60, 100)}


def test_three_minutes_later_it_does_again() -> None:
    after = looked((15, OVERLOADED, 60.0), (105, QUIET, 5.0), (200, QUIET, 1.0))
    assert bins(after) == {5: (1, 100), 12: (60, 100)}


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"held_requests": 1.0}, id="one-is-held"),
        pytest.param({"backlog_requests": 6.0}, id="six-seconds-of-arrivals-wait"),
    ],
)
def test_a_queue_that_stands_is_an_overload_whatever_arrives(fields: dict[str, object]) -> None:
    known = looked((15, QUIET, 50.0), **fields)
    assert bins(known) == {}
    assert known.service(CHAT).overloaded_timestamp_seconds == NOW + 15


def test_a_short_queue_is_no_overload() -> None:
    assert bins(looked((15, QUIET, 1.0), backlog_requests=4.0)) == {5: (1, 100)}


@pytest.mark.parametrize(
    "unknown",
    [
        pytest.param(make_assessment(service=SERVICE, serving=0, demand=1.0), id="none-serves"),
        pytest.param(make_assessment(service=SERVICE, serving=2), id="demand-not-measured"),
        pytest.param(
            with_capacity(make_assessment(service=SERVICE, serving=2, demand=1.0), None),
            id="capacity-not-known",
        ),
        pytest.param(
            make_assessment(service=SERVICE, serving=2, demand_now=make_rates(float("nan"))),
            id="demand-is-no-number",
        ),
    ],
)
def test_without_a_load_nothing_is_learned(unknown: Assessment) -> None:
    start = state(good=0.0, judged=0.0, at=NOW, known=make_state(chat=make_service_state()))
    later = state(good=50.0, judged=100.0, at=NOW + 15, known=start)
    needs = [size(unknown, control=Control())]
    after = remember_burns(
        later,
        before=start,
        assessments=[unknown],
        needs=needs,
        now=NOW + 15,
    )
    assert after.service(CHAT).burn_curve == BurnCurve()
