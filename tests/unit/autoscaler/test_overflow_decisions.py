"""What decisions say about overflows, who may open them, and what the rest of a decision makes of them."""

from dataclasses import replace
from typing import Any

import pytest

from autoscaler.assess import assess
from autoscaler.checkpoint import decisions_json, state_json
from autoscaler.decide import Decided, decide
from autoscaler.execute.overflow import overflow_grants
from autoscaler.learn import observe
from autoscaler.model.action import Reason
from autoscaler.model.decision import Decision, Verdict
from autoscaler.model.inputs import Inputs
from autoscaler.model.overflow import OverflowState
from collector.model.catalogue import AuthorityLevel, Mode
from collector.model.histogram import Histogram
from collector.model.history import Signal
from collector.model.reading import Fresh
from foresail.news import LastRecorded
from support.builders import (
    CHAT,
    NOW,
    make_authority,
    make_catalogue,
    make_history,
    make_overflow,
    make_replica_view,
    make_replica_views,
    make_service,
    make_service_state,
    make_snapshot,
    make_state,
    make_variant,
    make_view,
    steady,
    with_latency,
)

TOLD = {"overflow_prompt_tokens_total": 0.0, "overflow_output_tokens_total": 0.0}


def inputs(*, demand: float = 2.0, replicas: int = 1, state: Any = None, **given: Any) -> Inputs:
    numbers = {**TOLD, "overflow_in_flight_requests": 0.0, **given.pop("numbers", {})}
    service = given.pop("service", make_service(overflow=make_overflow()))
    return Inputs(
        snapshot=make_snapshot(
            services=(make_view(**numbers),), replicas=make_replica_views(replicas)
        ),
        history=make_history({CHAT: steady(demand)}),
        catalogue=make_catalogue(service, **given),
        state=state or make_state(),
        now=NOW,
    )


def decided(**given: Any) -> Decided:
    of = inputs(**given)
    return decide(
        snapshot=of.snapshot, history=of.history, catalogue=of.catalogue, state=of.state, now=of.now
    )


def one(**given: Any) -> Decision:
    return decided(**given).decisions[0]


@pytest.mark.parametrize(
    ("mode", "level", "verdict"),
    [
        pytest.param(Mode.ACTIVE, AuthorityLevel.AUTO, Verdict.ACT, id="auto"),
        pytest.param(Mode.DRY_RUN, AuthorityLevel.AUTO, Verdict.DRY_RUN, id="dry-run"),
        pytest.param(Mode.ACTIVE, AuthorityLevel.ADVISE, Verdict.ADVISE, id="advise"),
        pytest.param(Mode.ACTIVE, AuthorityLevel.DENY, Verdict.DENIED, id="deny"),
    ],
)
def test_only_the_owners_leave_opens_it(
    mode: Mode, level: AuthorityLevel, verdict: Verdict
) -> None:
    decision = one(authority=make_authority(mode=mode, level=level))
    assert decision.overflow is not None
    assert decision.overflow.is_open
    assert decision.overflow_verdict is verdict
    assert bool(overflow_grants([decision], decide_interval_seconds=15.0)) is (
        verdict is Verdict.ACT
    )


def test_replicas_come_as_they_would_without_it() -> None:
    with_it, without = one(), one(service=make_service())
    assert (with_it.action, with_it.reason) == (without.action, without.reason)
    assert with_it.reason is Reason.DEMAND_FORECAST
    assert without.overflow is None
    assert "verflow" not in without.explanation


def test_a_decision_says_why_for_how_much_and_at_what_price() -> None:
    told = one().explanation.split("Overflow ")[1]
    assert told == (
        "open for 60 % of requests and what no replica has room for: what serves does not carry the "
        "demand, and violations cost more (spent within the hour 0.00, 5.00 left; per hour 1.21 for "
        "tokens against 36.00 for violations)."
    )
    closed = one(demand=0.5).explanation.split("Overflow ")[1]
    assert closed.startswith("closed: nothing needs it (")


def test_it_is_remembered_and_the_same_inputs_give_the_same_bytes() -> None:
    first, again = decided(), decided()
    assert decisions_json(first.decisions) == decisions_json(again.decisions)
    assert state_json(first.next_state) == state_json(again.next_state)
    known = first.next_state.service(CHAT).overflow
    assert (known.is_open, known.share_ratio, known.needed_timestamp_seconds) == (True, 0.6, NOW)
    later = decided(demand=0.5, state=first.next_state).decisions[0].overflow
    assert later is not None
    assert (later.is_open, later.share_ratio) == (True, 0.0)


def test_counters_that_are_not_told_close_it() -> None:
    state = make_state(**{CHAT: make_service_state(overflow=OverflowState(is_open=True))})
    snapshot = make_snapshot(services=(make_view(),), replicas=make_replica_views(1))
    of = inputs(state=state)
    (decision,) = decide(
        snapshot=snapshot, history=of.history, catalogue=of.catalogue, state=of.state, now=NOW
    ).decisions
    assert decision.overflow is not None
    assert (decision.overflow.is_open, decision.overflow.budget) == (False, 0.0)


def test_a_grant_is_named_by_its_decision_and_outlives_three_that_fail() -> None:
    (grant,) = overflow_grants([one()], decide_interval_seconds=15.0)
    assert (grant.service, grant.granted_timestamp_seconds, grant.lease_seconds) == (
        "chat", NOW, 60.0,
    )  # fmt: skip
    assert (grant.share_ratio, grant.budget) == (0.6, 5.0)


def test_a_grant_says_from_which_counters_its_budget_was_made() -> None:
    state = make_state(
        **{
            CHAT: make_service_state(
                overflow=OverflowState(prompt_tokens_total=70.0, output_tokens_total=9.0)
            )
        }
    )
    numbers = {"overflow_prompt_tokens_total": 80.0, "overflow_output_tokens_total": 9.0}
    (grant,) = overflow_grants([one(state=state, numbers=numbers)], decide_interval_seconds=15.0)
    assert (grant.prompt_tokens_total, grant.output_tokens_total) == (80.0, 9.0)


def test_a_change_of_it_is_news_and_its_money_is_not() -> None:
    recorded, decision = LastRecorded(), one(authority=make_authority(level=AuthorityLevel.ADVISE))
    recorded.remember(decision)
    assert decision.overflow is not None
    assert not recorded.is_news(
        replace(decision, overflow=replace(decision.overflow, budget=1.0, spent_last_hour=4.0))
    )
    assert recorded.is_news(replace(decision, overflow=replace(decision.overflow, share_ratio=0.7)))


@pytest.mark.parametrize(
    ("has_capacity", "backlog"),
    [
        pytest.param(True, 2.0, id="what-it-answers-is-no-queue"),
        pytest.param(False, 8.0, id="unless-nothing-else-tells-that-replicas-are-too-few"),
    ],
)
def test_requests_at_the_overflow_and_the_backlog(has_capacity: bool, backlog: float) -> None:
    variant = make_variant() if has_capacity else make_variant(capacity_prior=None)
    of = inputs(
        service=make_service(variants=(variant,), overflow=make_overflow()),
        numbers={"in_flight": 12.0, "overflow_in_flight_requests": 6.0},  # 4 slots
    )
    found = assess(of.catalogue.services[0], inputs=of)
    assert found.backlog_requests == backlog


@pytest.mark.parametrize(
    ("elsewhere", "has_overflow", "completed"),
    [
        pytest.param(1.5, True, 0.5, id="only-what-replicas-did"),
        pytest.param(0.0, True, 2.0, id="nothing-elsewhere"),
        pytest.param(9.0, True, 0.0, id="never-below-none"),
        pytest.param(None, True, None, id="not-told-is-not-none"),
        pytest.param(None, False, 2.0, id="without-an-overflow"),
    ],
)
def test_what_an_overflow_completes_says_nothing_about_our_replicas(
    elsewhere: float | None, has_overflow: bool, completed: float | None
) -> None:
    bins = steady(2.0)
    if elsewhere is not None:
        told = steady(elsewhere)[Signal.COMPLETED_REQUESTS]
        bins = {**bins, Signal.OVERFLOW_COMPLETED_REQUESTS: told}
    service = make_service(overflow=make_overflow() if has_overflow else None)
    of = replace(inputs(service=service), history=make_history({CHAT: bins}))
    found = assess(service, inputs=of)
    assert found.completed_requests_per_second == completed


def test_what_the_overflow_answers_alone_still_asks_for_a_replica() -> None:
    variant = make_variant(capacity_prior=None)
    decision = one(
        service=make_service(variants=(variant,), overflow=make_overflow()),
        replicas=0,
        numbers={"in_flight": 1.0, "overflow_in_flight_requests": 1.0},
    )
    assert decision.reason is Reason.HELD_REQUEST


GAPS = 40.0
"""Between tokens, 20 ms each, seen from one look to the next; half a minute would be a row of the fit."""


def gaps_learned(*, has_overflow: bool, tokens: float = 100.0, in_flight: float = 0.0) -> float:
    """Of two looks at a replica that works; `tokens` the overflow has given by the second, 100 by the first."""
    service = make_service(overflow=make_overflow() if has_overflow else None)
    known = make_service_state(overflow=OverflowState(output_tokens_total=100.0))
    state = make_state(**{CHAT: known})
    for count, told in enumerate((100.0, tokens)):
        at = NOW + 15.0 * count
        numbers = {"overflow_output_tokens_total": told, "overflow_in_flight_requests": in_flight}
        of = inputs(service=service, state=state, numbers=numbers)
        gaps = Histogram(upper_bounds=(1.0,), counts=(GAPS * count, 0.0), sum=0.02 * GAPS * count)
        view = with_latency(
            of.snapshot.services[0],
            inter_token_latency=Fresh(value=gaps, observed_timestamp_seconds=at, source="test"),
        )
        working = make_replica_view(at=at, output_tokens_total=100.0 * count)
        seen = replace(of.snapshot, services=(view,), replicas=(working,))
        state = observe(replace(of, snapshot=seen, now=at))
    return state.service(CHAT).step_run.token_gaps


@pytest.mark.parametrize(
    ("fields", "gaps"),
    [
        pytest.param({"has_overflow": True}, GAPS, id="it-stayed-closed"),
        pytest.param({"has_overflow": True, "tokens": 150.0}, 0.0, id="it-answered-too"),
        pytest.param({"has_overflow": False, "tokens": 150.0}, GAPS, id="none-is-there-any-more"),
        pytest.param(
            {"has_overflow": False, "tokens": 150.0, "in_flight": 1.0},
            0.0,
            id="of-one-that-went-an-answer-is-not-finished",
        ),
    ],
)
def test_times_between_tokens_teach_about_our_replicas_where_no_overflow_mixes_in(
    fields: dict[str, Any], gaps: float
) -> None:
    assert gaps_learned(**fields) == gaps
