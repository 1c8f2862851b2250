"""Latency histograms and the metrics page."""

from prometheus_client.parser import text_string_to_metric_families

from collector.gateway.books import Books, FinishReason
from collector.gateway.exposition import render
from collector.gateway.latency import DEFAULT_EDGES_SECONDS, LatencyHistogram, merged_edges
from collector.gateway.request_body import PromptSize
from collector.model.catalogue import Sli
from collector.model.ids import ReplicaId, ServiceName
from support.gateways import matching, parse_samples

NAMES = {
    "foresail_requests_arrived",
    "foresail_requests_finished",
    "foresail_prompt_tokens_admitted",
    "foresail_output_tokens",
    "foresail_overflow_open",
    "foresail_overflow_requests",
    "foresail_overflow_requests_completed",
    "foresail_overflow_prompt_tokens",
    "foresail_overflow_output_tokens",
    "foresail_overflow_requests_in_flight",
    "foresail_requests_in_flight",
    "foresail_replica_requests_in_flight",
    "foresail_requests_held",
    "foresail_oldest_held_seconds",
    "foresail_time_to_first_token_seconds",
    "foresail_inter_token_latency_seconds",
    "foresail_end_to_end_latency_seconds",
    "foresail_prompt_bytes_per_token_ratio",
    "foresail_gateway_start_timestamp_seconds",
    "foresail_gateway_routes_version",
    "foresail_gateway_rejected",
}


def _page(books: Books, **replicas: tuple[ReplicaId, ...]) -> str:
    return render(
        books,
        replicas={ServiceName(service): ids for service, ids in replicas.items()},
        routes_version=4,
        start_timestamp_seconds=1.5,
        now_monotonic_seconds=10.0,
    ).decode()


def test_an_observation_on_an_edge_is_inside_it() -> None:
    histogram = LatencyHistogram((1.0, 2.0))
    for seconds, weight in [(1.0, 1.0), (1.5, 2.5), (2.0, 1.0), (2.1, 1.0), (0.0, 1.0)]:
        histogram.observe(seconds, weight=weight)
    assert histogram.value().counts == (2.0, 3.5, 1.0)
    assert histogram.value().sum == 1.0 + 1.5 * 2.5 + 2.0 + 2.1


def test_thresholds_join_the_edges_once_and_in_order() -> None:
    assert merged_edges((1.0, 2.0), (1.5, 2.0)) == (1.0, 1.5, 2.0)


def test_other_edges_start_the_histogram_again_and_equal_ones_do_not() -> None:
    books = Books()
    book = books.follow(ServiceName("s"), thresholds={})
    book.latency[Sli.TIME_TO_FIRST_TOKEN].observe(1.0)
    books.follow(ServiceName("s"), thresholds={Sli.TIME_TO_FIRST_TOKEN: (1.0,)})
    assert book.latency[Sli.TIME_TO_FIRST_TOKEN].value().total == 1
    books.follow(ServiceName("s"), thresholds={Sli.TIME_TO_FIRST_TOKEN: (0.7,)})
    assert book.latency[Sli.TIME_TO_FIRST_TOKEN].value().total == 0
    assert 0.7 in book.latency[Sli.TIME_TO_FIRST_TOKEN].value().upper_bounds


def test_all_series_of_a_service_exist_from_its_first_appearance() -> None:
    books = Books()
    books.follow(ServiceName("s"), thresholds={})
    page = _page(books, s=(ReplicaId("r"),))
    assert {family.name for family in text_string_to_metric_families(page)} == NAMES
    samples = parse_samples(page)
    of_service = [value for (_, labels), value in samples.items() if ("service", "s") in labels]
    assert set(of_service) == {0.0, 4.0}  # 4: bytes per token
    assert len(matching(samples, "foresail_requests_finished_total")) == len(FinishReason)
    assert matching(samples, "foresail_replica_requests_in_flight", replica="r") == [0]


def test_bucket_edges_read_as_vllm_writes_them() -> None:
    books = Books()
    books.follow(ServiceName("s"), thresholds={})
    page = _page(books)
    assert 'foresail_time_to_first_token_seconds_bucket{service="s",le="1.0"} 0.0' in page
    assert 'le="10.0"' in page


def test_buckets_are_cumulative_and_end_at_the_count() -> None:
    books = Books()
    book = books.follow(ServiceName("s"), thresholds={})
    for seconds in (0.0005, 0.3, 5000.0):
        book.latency[Sli.TIME_TO_FIRST_TOKEN].observe(seconds)
    samples = parse_samples(_page(books))
    name = "foresail_time_to_first_token_seconds"
    assert matching(samples, f"{name}_bucket", le="0.25") == [1]
    assert matching(samples, f"{name}_bucket", le="0.5") == [2]
    assert matching(samples, f"{name}_bucket", le="+Inf") == [3]
    assert matching(samples, f"{name}_count") == [3]


def test_hostile_names_stay_inside_their_quotes() -> None:
    books = Books()
    name = 'a"b\\c\nd{}'
    books.follow(ServiceName(name), thresholds={})
    assert matching(parse_samples(_page(books)), "foresail_requests_held", service=name) == [0]


def test_a_replica_shows_while_it_has_requests_even_out_of_the_table() -> None:
    books = Books()
    book = books.follow(ServiceName("s"), thresholds={})
    ticket = book.open_ticket(
        size=PromptSize(text_bytes=4, tokens=0), received_monotonic_seconds=8.0
    )
    assert matching(parse_samples(_page(books)), "foresail_oldest_held_seconds") == [2]
    ticket.assign(ReplicaId("gone"))
    samples = parse_samples(_page(books))
    assert matching(samples, "foresail_replica_requests_in_flight", replica="gone") == [1]
    ticket.finish(FinishReason.ANSWERED)
    ticket.finish(FinishReason.CLIENT_GONE)
    samples = parse_samples(_page(books))
    assert not matching(samples, "foresail_replica_requests_in_flight")
    assert matching(samples, "foresail_requests_finished_total", outcome="aborted") == [0]


def test_every_latency_has_default_edges() -> None:
    assert set(DEFAULT_EDGES_SECONDS) == set(Sli) - {Sli.AVAILABILITY}
