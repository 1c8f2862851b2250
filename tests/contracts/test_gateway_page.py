"""The gateway's page, as it writes it, is what the gateway's contract file says."""

from collector.contract.loader import load_contracts
from collector.gateway.books import Books, FinishReason
from collector.gateway.exposition import render
from collector.gateway.request_body import PromptSize
from collector.gateway.routing import overflow_id
from collector.model.catalogue import Sli
from collector.model.contract import GatewaySignal as G
from collector.model.ids import ReplicaId, ServiceName
from collector.model.page import PageIdentity
from collector.normalise.exposition import parse_exposition
from collector.normalise.page import page_readings

CHAT, EMBED = ServiceName("chat"), ServiceName('em"bed\\')
SIZE = PromptSize(text_bytes=40, tokens=0)
R1, R2 = ReplicaId("r1"), ReplicaId("r2")


def page_of(books, *, routes_version=3):
    text = render(
        books,
        replicas={CHAT: (R1, R2)},
        routes_version=routes_version,
        start_timestamp_seconds=1234.5,
        now_monotonic_seconds=20.0,
    ).decode()
    return page_readings(
        parse_exposition(text, source="gateway"),
        contract=load_contracts().gateway,
        identity=PageIdentity(key="gateway", source="gateway"),
        observed_timestamp_seconds=7.0,
    )


def busy_books():
    books = Books()
    books.follow(EMBED, thresholds={})
    book = books.follow(CHAT, thresholds={Sli.TIME_TO_FIRST_TOKEN: (0.7,)})
    for reason in (FinishReason.ANSWERED, FinishReason.ANSWERED, FinishReason.QUEUE_FULL):
        book.open_ticket(size=SIZE, received_monotonic_seconds=1.0).finish(reason)
    book.open_ticket(size=SIZE, received_monotonic_seconds=5.0).assign(R1)
    abroad = book.open_ticket(size=SIZE, received_monotonic_seconds=6.0)
    abroad.assign_to_overflow(overflow_id(CHAT))
    for reason in (FinishReason.ANSWERED, FinishReason.CLIENT_GONE):
        ended = book.open_ticket(size=SIZE, received_monotonic_seconds=7.0)
        ended.assign_to_overflow(overflow_id(CHAT))
        ended.finish(reason)
    taken_back = book.open_ticket(size=SIZE, received_monotonic_seconds=8.0)
    taken_back.assign_to_overflow(overflow_id(CHAT))
    taken_back.hold_again()
    taken_back.assign(R1)
    taken_back.finish(FinishReason.ANSWERED)
    book.open_ticket(size=SIZE, received_monotonic_seconds=15.0)
    book.latency[Sli.TIME_TO_FIRST_TOKEN].observe(0.6)
    book.latency[Sli.INTER_TOKEN_LATENCY].observe(0.01, weight=2.5)
    return books


def test_what_the_gateway_counts_is_what_is_read():
    page = page_of(busy_books())
    read = {
        "arrived": page.number(G.ARRIVED_REQUESTS_TOTAL, CHAT),
        "completed": page.number(G.FINISHED_REQUESTS_TOTAL, CHAT, "completed"),
        "failed": page.number(G.FINISHED_REQUESTS_TOTAL, CHAT, "failed"),
        "aborted": page.number(G.FINISHED_REQUESTS_TOTAL, CHAT, "aborted"),
        "shed": page.number(G.FINISHED_REQUESTS_TOTAL, CHAT, "shed"),
        "in flight": page.number(G.IN_FLIGHT_REQUESTS, CHAT),
        "at r1": page.number(G.REPLICA_IN_FLIGHT_REQUESTS, R1),
        "at r2": page.number(G.REPLICA_IN_FLIGHT_REQUESTS, R2),
        "held": page.number(G.HELD_REQUESTS, CHAT),
        "given to the overflow": page.number(G.OVERFLOW_REQUESTS_TOTAL, CHAT),
        "completed there": page.number(G.OVERFLOW_COMPLETED_REQUESTS_TOTAL, CHAT),
        "at the overflow": page.number(G.OVERFLOW_IN_FLIGHT_REQUESTS, CHAT),
        "overflow prompt tokens": page.number(G.OVERFLOW_PROMPT_TOKENS_TOTAL, CHAT),
        "overflow output tokens": page.number(G.OVERFLOW_OUTPUT_TOKENS_TOTAL, CHAT),
        "overflow open": page.number(G.OVERFLOW_OPEN, CHAT),
        "oldest": page.number(G.OLDEST_HELD_SECONDS, CHAT),
        "start": page.number(G.START_TIMESTAMP_SECONDS),
        "routes": page.number(G.ROUTES_VERSION),
        "idle": page.number(G.ARRIVED_REQUESTS_TOTAL, EMBED),
    }
    assert {name: reading.value for name, reading in read.items()} == {
        "arrived": 9,
        "completed": 4,
        "failed": 0,
        "aborted": 1,
        "shed": 1,
        "in flight": 2,
        "at r1": 1,
        "at r2": 0,
        "held": 1,
        "given to the overflow": 4,
        "completed there": 1,
        "at the overflow": 1,
        "overflow prompt tokens": 40,
        "overflow output tokens": 0,
        "overflow open": 0,
        "oldest": 5,
        "start": 1234.5,
        "routes": 3,
        "idle": 0,
    }
    assert page.problems == ()


def test_histograms_arrive_whole():
    books = busy_books()
    page = page_of(books)
    for sli, signal in (
        (Sli.TIME_TO_FIRST_TOKEN, G.TIME_TO_FIRST_TOKEN),
        (Sli.INTER_TOKEN_LATENCY, G.INTER_TOKEN_LATENCY),
        (Sli.END_TO_END_LATENCY, G.END_TO_END_LATENCY),
    ):
        for service in (CHAT, EMBED):
            kept = books.services[service].latency[sli].value()
            assert page.histogram(signal, service).value == kept


def test_every_signal_is_on_the_page_and_little_else():
    page = page_of(busy_books())
    assert page.absent == {}
    assert page.unknown_series_count == 1  # requests turned away before they counted for a service


def test_before_the_first_routing_table_its_version_is_absent():
    assert set(page_of(Books(), routes_version=None).absent) == set(G) - {G.START_TIMESTAMP_SECONDS}
