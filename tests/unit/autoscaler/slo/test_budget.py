"""The long run of the error budget, counted from look to look."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from autoscaler.model.state import BudgetSpending, ServiceState
from autoscaler.slo.budget import burn_rates, long_burn_rate, spend, watched_ratio
from collector.model.catalogue import Objective, Service, Sli
from collector.model.histogram import Histogram
from collector.model.reading import Fresh
from collector.model.snapshot import ServiceView
from support.builders import NOW, TTFT_OBJECTIVE, make_service, make_view, stale, with_latency

SERVICE = make_service()  # first token within 1 s for 99 %
AVAILABLE = Objective(
    sli=Sli.AVAILABILITY, threshold_seconds=None, target_ratio=0.9, window_seconds=86_400.0
)
BOTH = make_service(objectives=(TTFT_OBJECTIVE, AVAILABLE))
TWO_LATENCIES = make_service(
    objectives=(TTFT_OBJECTIVE, replace(TTFT_OBJECTIVE, sli=Sli.INTER_TOKEN_LATENCY))
)
WATCHED = f"time_to_first_token<={TTFT_OBJECTIVE.threshold_seconds}@{TTFT_OBJECTIVE.target_ratio}"
LOOSER = replace(TTFT_OBJECTIVE, threshold_seconds=5.0)
Look = tuple[float, ServiceView | None]  # seconds after NOW, what was read


def view(good: float, slow: float = 0.0, **traffic: Any) -> ServiceView:
    first_token = Histogram(upper_bounds=(1.0,), counts=(good, slow), sum=good)
    reading = Fresh(value=first_token, observed_timestamp_seconds=NOW, source="test")
    numbers = {"completed_requests_total": good + slow, **traffic}
    return with_latency(make_view(**numbers), time_to_first_token=reading)


def both_latencies(good: float, slow: float) -> ServiceView:
    """A hundred tokens per request, none of them late."""
    tokens = Histogram(upper_bounds=(1.0,), counts=(100.0 * (good + slow), 0.0), sum=good)
    reading = Fresh(value=tokens, observed_timestamp_seconds=NOW, source="test")
    return with_latency(view(good, slow), inter_token_latency=reading)


def after(looks: Sequence[Look], *, service: Service = SERVICE) -> ServiceState:
    state = ServiceState()
    for seconds, seen in looks:
        state = spend(state, service=service, view=seen, now=NOW + seconds)
    return state


def spent(looks: Sequence[Look]) -> tuple[float, float]:
    (budget,) = after(looks).budgets or (BudgetSpending(),)
    return budget.bad, budget.allowed


def approx(bad: float, allowed: float) -> object:
    return pytest.approx((bad, allowed), abs=1e-12)


@pytest.mark.parametrize(
    ("looks", "bad", "allowed"),
    [
        pytest.param([(0, view(50, 50))], 0.0, 0.0, id="what-came-before-the-first-look"),
        pytest.param([(0, view(0)), (15, view(97, 3))], 3.0, 1.0, id="slow-ones-are-bad"),
        pytest.param(
            [(0, view(0)), (15, view(98, shed_requests_total=2.0))], 2.0, 1.0, id="so-are-shed-ones"
        ),
        pytest.param(
            [(0, view(0)), (15, view(98, failed_requests_total=2.0))], 2.0, 1.0, id="and-failed"
        ),
        pytest.param([(0, view(5)), (15, view(5))], 0.0, 0.0, id="nothing-judged"),
        pytest.param(
            [(0, view(0)), (15, view(1.7e308, 1.7e308))], 0.0, 0.0, id="out-of-this-world"
        ),
        pytest.param([(0, view(0)), (15, None), (30, view(99, 1))], 1.0, 1.0, id="a-look-missed"),
        pytest.param(
            [(0, view(0)), (15, make_view(shed_requests_total=stale(0.0)))],
            0.0,
            0.0,
            id="stale-counts-nothing",
        ),
        pytest.param([(0, view(500)), (15, view(9, 1))], 0.0, 0.0, id="counters-fell"),
        pytest.param(
            [(0, view(500)), (15, view(0)), (30, view(99, 1))],
            1.0,
            1.0,
            id="and-count-on-from-there",
        ),
        pytest.param([(0, view(0)), (0, view(99, 1))], 0.0, 0.0, id="the-same-moment-again"),
        pytest.param([(0, view(0)), (-60, view(99, 1))], 0.0, 0.0, id="the-clock-went-back"),
    ],
)
def test_bad_and_allowed_events_are_counted_between_looks(
    looks: list[Look], bad: float, allowed: float
) -> None:
    assert spent(looks) == approx(bad, allowed)


def test_an_outage_counts_nothing_and_forgets_nothing() -> None:
    before = after([(0, view(0)), (15, view(99, 1))])
    blind = spend(before, service=SERVICE, view=None, now=NOW + 3600)
    assert blind == before


def test_each_objective_is_counted_by_itself_and_the_worst_tells_the_rate() -> None:
    looks: list[Look] = [(0, view(0)), (15, view(80, shed_requests_total=20.0))]
    state = after(looks, service=BOTH)
    # 20 shed: of 1 allowed by the first token, of 10 by availability.
    assert [(each.bad, each.allowed) for each in state.budgets] == [approx(20, 1), approx(20, 10)]
    assert long_burn_rate(state, objectives=BOTH.objectives) == pytest.approx(20.0)
    assert burn_rates(state, objectives=BOTH.objectives) == pytest.approx((20.0, 2.0))


def test_an_objective_with_many_events_does_not_drown_one_with_few() -> None:
    """Tokens are hundreds of times as many as requests: quiet looks of theirs hide no missed request."""
    state = after(
        [(0, both_latencies(0, 0)), (15, both_latencies(95, 5)), (30, both_latencies(195, 5))],
        service=TWO_LATENCIES,
    )
    assert burn_rates(state, objectives=TWO_LATENCIES.objectives) == pytest.approx(
        (2.5, 0.0), abs=1e-3
    )
    assert long_burn_rate(state, objectives=TWO_LATENCIES.objectives) == pytest.approx(
        2.5, abs=1e-3
    )


@pytest.mark.parametrize(
    ("tokens_per_request", "judged_requests"),
    [
        pytest.param(100.0, 100.0, id="as-many-requests-as-gave-the-tokens"),
        pytest.param(400.0, 25.0, id="long-answers-are-few"),
        pytest.param(0.0, 10_000.0, id="answers-of-nothing"),
        pytest.param(None, 10_000.0, id="lengths-not-known-yet"),
    ],
)
def test_times_between_tokens_are_counted_in_requests(
    tokens_per_request: float | None, judged_requests: float
) -> None:
    state = ServiceState(output_tokens_per_request=tokens_per_request)
    for seconds, seen in ((0, both_latencies(0, 0)), (15, both_latencies(100, 0))):
        state = spend(state, service=TWO_LATENCIES, view=seen, now=NOW + seconds)
    assert [each.allowed for each in state.budgets] == pytest.approx([1.0, judged_requests / 100])


def test_what_was_not_judged_burns_as_allowed() -> None:
    assert burn_rates(ServiceState(), objectives=BOTH.objectives) == (1.0, 1.0)


def test_an_objective_that_cannot_be_judged_is_no_good_news() -> None:
    unread = make_view(completed_requests_total=99.0)
    assert after([(0, unread), (15, unread)], service=BOTH).objective_totals is None


def test_other_objectives_begin_anew() -> None:
    one = after([(0, view(0)), (15, view(99, 1))])
    both = spend(one, service=BOTH, view=view(150, 50), now=NOW + 30)
    assert long_burn_rate(one, objectives=(LOOSER,)) is None
    assert burn_rates(both, objectives=(AVAILABLE, *SERVICE.objectives)) == pytest.approx(
        (1.0, 1.0)
    )
    assert both.budgets == one.budgets  # there is nothing to count from yet
    later = spend(both, service=BOTH, view=view(249, 51), now=NOW + 45)
    assert [each.bad for each in later.budgets] == pytest.approx([2.0, 0.0], rel=1e-3)
    assert both.objective_totals is not None
    assert len(both.objective_totals.good) == 2


def test_a_service_without_objectives_spends_nothing() -> None:
    free = make_service(objectives=())
    assert after([(0, view(0)), (15, view(0, 9))], service=free) == ServiceState()


def test_a_quiet_time_makes_the_past_worth_less_and_is_no_good_news() -> None:
    bad = after([(0, view(0)), (15, view(0, 100))])
    quiet = spend(bad, service=SERVICE, view=view(0, 100), now=NOW + 86_415)
    assert long_burn_rate(quiet, objectives=SERVICE.objectives) == pytest.approx(
        long_burn_rate(bad, objectives=SERVICE.objectives)
    )
    assert quiet.budgets[0].bad < 75.0
    assert watched_ratio(quiet) < 0.75 * watched_ratio(bad)


def test_three_days_ago_counts_a_third() -> None:
    busy = after([(0, view(0)), (15, view(0, 100)), (259_215, view(900, 100))])
    assert busy.budgets[0].bad == pytest.approx(36.8, rel=0.001)
    assert busy.budgets[0].allowed == pytest.approx(0.368 + 9.0, rel=0.001)


@pytest.mark.parametrize(
    ("budget", "rate"),
    [
        pytest.param(BudgetSpending(), None, id="nothing-judged"),
        pytest.param(BudgetSpending(bad=0.0, allowed=2.0), 0.0, id="unspent"),
        pytest.param(BudgetSpending(bad=3.0, allowed=2.0), 1.5, id="overspent"),
    ],
)
def test_the_long_run_rate_is_bad_over_allowed(budget: BudgetSpending, rate: float | None) -> None:
    state = ServiceState(budgets=(replace(budget, objective=WATCHED),))
    assert long_burn_rate(state, objectives=SERVICE.objectives) == rate


@pytest.mark.parametrize(
    ("seconds", "ratio"),
    [
        pytest.param(0.0, 0.0, id="not-at-all"),
        pytest.param(86_400.0, 0.5, id="a-day"),
        pytest.param(6 * 86_400.0, 6 / 7, id="six-days"),
    ],
)
def test_the_rate_is_worth_what_was_watched(seconds: float, ratio: float) -> None:
    state = ServiceState(budgets=(BudgetSpending(), BudgetSpending(seconds=seconds)))
    assert watched_ratio(state) == pytest.approx(ratio)


def test_only_time_that_was_judged_counts_as_watched() -> None:
    state = after([(0, view(0)), (15, view(9)), (30, None), (45, view(9)), (60, view(18))])
    assert state.budgets[0].seconds == pytest.approx(30.0, rel=1e-3)
    assert state.budgets[0].bad == 0.0
