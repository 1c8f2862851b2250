"""What Prometheus is asked for each signal."""

from collector.history.promql import Expression, SignalQueries
from collector.model.catalogue import Objective, Sli
from collector.model.history import Signal
from support.builders import make_catalogue, make_service


def objective(sli: Sli, threshold: float | None) -> Objective:
    return Objective(sli=sli, threshold_seconds=threshold, target_ratio=0.9, window_seconds=3600.0)


def queries(**match: str) -> SignalQueries:
    catalogue = make_catalogue(
        make_service("chat", objectives=(objective(Sli.TIME_TO_FIRST_TOKEN, 2.5),)),
        make_service("code", objectives=(objective(Sli.TIME_TO_FIRST_TOKEN, 1.0),)),
        make_service("embed", objectives=(objective(Sli.AVAILABILITY, None),)),
    )
    return SignalQueries(bin_seconds=60.0, match=match, catalogue=catalogue)


def test_a_counter_is_one_query_for_all_services():
    assert list(queries(job="gw").sums(Signal.COMPLETED_REQUESTS)) == [
        Expression(
            text="sum by (service) (increase(foresail_requests_finished_total"
            '{job="gw",outcome=~"completed"}[60s]))'
        )
    ]


def test_good_events_are_those_under_each_services_own_threshold():
    series = "foresail_time_to_first_token_seconds_bucket"
    assert list(queries().sums(Signal.TIME_TO_FIRST_TOKEN_GOOD_EVENTS)) == [
        Expression(
            text=f'sum by (service) (increase({series}{{le=~"2[.]5"}}[60s]))',
            services=frozenset({"chat"}),
        ),
        Expression(
            text=f'sum by (service) (increase({series}{{le=~"1|1[.]0"}}[60s]))',
            services=frozenset({"code"}),
        ),
    ]


def test_refused_requests_are_judged_for_the_first_token():
    (first, _) = queries().sums(Signal.TIME_TO_FIRST_TOKEN_JUDGED_EVENTS)
    assert first.text == (
        "sum by (service) (increase(foresail_time_to_first_token_seconds_count[60s])) + "
        'sum by (service) (increase(foresail_requests_finished_total{outcome=~"failed|shed"}[60s]))'
    )


def test_an_objective_nobody_has_is_not_asked_for():
    assert list(queries().sums(Signal.INTER_TOKEN_LATENCY_GOOD_EVENTS)) == []
    (availability,) = queries().sums(Signal.AVAILABILITY_GOOD_EVENTS)
    assert availability.services == frozenset({"embed"})


def test_values_of_labels_are_quoted():
    assert 'a="x\\"y"' in queries(a='x"y').scrapes()
