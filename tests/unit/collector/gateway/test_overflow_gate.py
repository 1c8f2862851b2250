"""When the gateway lets a request go to the overflow, in virtual time: share, room, lease, budget."""

from dataclasses import replace

import pytest

from collector.clock import VirtualClock
from collector.gateway.books import UNKNOWN_OUTPUT_TOKENS, Books, FinishReason, Ticket
from collector.gateway.overflow import OverflowGate
from collector.gateway.request_body import PromptSize
from collector.gateway.routing import OverflowRoute
from collector.model.ids import ServiceName
from support.gateways import overflow_route, service_route, table

URL = "http://127.0.0.1:9"


class Gated:
    """A gate with its clock and book."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.book = Books().follow(ServiceName("chat"), thresholds={})
        self.gate = OverflowGate(clock=self.clock, book=self.book)

    def ticket(self) -> Ticket:
        ticket = self.book.open_ticket(
            size=PromptSize(text_bytes=0, tokens=10),
            received_monotonic_seconds=self.clock.monotonic_seconds(),
        )
        ticket.may_overflow = True
        return ticket

    def take(self) -> bool:
        return self.gate.take(self.ticket()) is not None


@pytest.fixture(name="it")
def _it() -> Gated:
    return Gated()


def test_without_a_grant_nothing_goes(it: Gated) -> None:
    assert not it.take()
    it.gate.follow(overflow_route(URL))
    assert it.take()
    it.gate.follow(None)
    assert not it.take()


@pytest.mark.parametrize(
    ("share", "taken"),
    [
        pytest.param(0.0, 0, id="none"),
        pytest.param(0.25, 5, id="a-quarter"),
        pytest.param(0.7, 14, id="seven-tenths"),
        pytest.param(1.0, 20, id="all"),
    ],
)
def test_its_share_of_arrivals(it: Gated, share: float, taken: int) -> None:
    it.gate.follow(overflow_route(URL, share_ratio=share))
    found = 0
    for _ in range(20):
        it.gate.note_arrival()
        found += it.gate.take_share(it.ticket()) is not None
    assert found == pytest.approx(taken, abs=1)


def test_a_share_that_could_not_be_taken_does_not_pile_up(it: Gated) -> None:
    it.gate.follow(overflow_route(URL, share_ratio=1.0))
    for _ in range(50):
        it.gate.note_arrival()
    took = [it.gate.take_share(it.ticket()) is not None for _ in range(3)]
    assert took == [True, True, False]


async def test_a_lease_ends_unless_a_newer_grant_renews_it(it: Gated) -> None:
    it.gate.follow(overflow_route(URL, granted_at=1.0, lease_seconds=60.0))
    await it.clock.advance(50.0)
    it.gate.follow(overflow_route(URL, granted_at=1.0, lease_seconds=60.0))  # the same, told again
    await it.clock.advance(9.9)
    assert it.gate.is_open
    await it.clock.advance(0.2)
    assert not it.gate.is_open
    assert not it.take()
    it.gate.follow(overflow_route(URL, granted_at=2.0, lease_seconds=60.0))
    assert it.take()


async def test_a_grant_that_was_taken_away_is_not_renewed_by_coming_back(it: Gated) -> None:
    it.gate.follow(overflow_route(URL, granted_at=1.0, lease_seconds=60.0))
    await it.clock.advance(50.0)
    it.gate.follow(None)
    it.gate.follow(overflow_route(URL, granted_at=1.0, lease_seconds=60.0))
    await it.clock.advance(11.0)
    assert not it.gate.is_open


def test_the_budget_of_a_grant_is_spent_by_tokens(it: Gated) -> None:
    it.gate.follow(overflow_route(URL, granted_at=1.0, budget=25.0))
    assert it.take()  # 10 prompt tokens at 1 each
    it.book.overflow_output_tokens += 14
    assert it.take()  # 24 were spent: the one that reaches the limit still goes
    assert not it.take()
    it.gate.follow(overflow_route(URL, granted_at=1.0, budget=25.0))
    assert not it.take()
    it.gate.follow(overflow_route(URL, granted_at=2.0, budget=1.0))
    assert it.take()


def counted(prompt: float, output: float, *, granted_at: float = 1.0) -> OverflowRoute:
    route = overflow_route(URL, granted_at=granted_at, budget=30.0)
    grant = replace(route.grant, prompt_tokens_total=prompt, output_tokens_total=output)
    return replace(route, grant=grant)


def test_what_was_spent_while_the_budget_was_made_is_not_given_twice(it: Gated) -> None:
    it.book.overflow_output_tokens = 100
    it.gate.follow(counted(0.0, 75.0))
    assert it.gate.is_open
    it.book.overflow_output_tokens = 105
    assert not it.gate.is_open


def test_a_grant_for_a_gateway_that_is_gone_opens_nothing(it: Gated) -> None:
    it.book.overflow_output_tokens = 10
    it.gate.follow(counted(50.0, 10.0))
    assert not it.take()
    it.gate.follow(counted(0.0, 10.0, granted_at=2.0))
    assert it.take()


def test_a_price_that_falls_under_a_grant_gives_back_nothing(it: Gated) -> None:
    it.book.overflow_output_tokens = 1000
    dear = overflow_route(URL, granted_at=1.0, budget=10.0)
    it.gate.follow(dear)
    cheap = replace(dear.target, price_per_million_output_tokens=0.5e6)
    it.gate.follow(replace(dear, target=cheap))
    it.book.overflow_output_tokens += 20
    assert not it.gate.is_open


def test_an_answer_of_unknown_length_is_not_free(it: Gated) -> None:
    it.gate.follow(overflow_route(URL))
    ticket = it.ticket()
    it.gate.take(ticket)
    ticket.count_overflow_output(None)
    assert it.book.overflow_output_tokens == UNKNOWN_OUTPUT_TOKENS


def test_an_embedding_has_no_output_to_guess(it: Gated) -> None:
    it.gate.follow(overflow_route(URL))
    ticket = it.ticket()
    ticket.generates = False
    it.gate.take(ticket)
    ticket.count_overflow_output(None)
    assert it.book.overflow_output_tokens == 0


def test_no_more_at_once_than_declared(it: Gated) -> None:
    it.gate.follow(overflow_route(URL, max_requests_in_flight=2))
    first = it.ticket()
    assert it.gate.take(first)
    assert (it.take(), it.take()) == (True, False)
    first.finish(FinishReason.ANSWERED)
    assert it.take()


async def test_after_a_failure_it_is_left_alone_for_a_while(it: Gated) -> None:
    it.gate.follow(overflow_route(URL))
    it.gate.pause(5.0)
    assert not it.take()
    await it.clock.advance(5.1)
    assert it.take()


def test_a_request_goes_there_once_and_only_if_it_can_be_priced(it: Gated) -> None:
    it.gate.follow(overflow_route(URL))
    ticket = it.ticket()
    assert it.gate.take(ticket)
    ticket.hold_again()
    assert it.gate.take(ticket) is None
    other = it.ticket()
    other.may_overflow = False
    assert it.gate.take(other) is None


def test_what_was_never_sent_is_not_paid(it: Gated) -> None:
    it.gate.follow(overflow_route(URL))
    ticket = it.ticket()
    it.gate.take(ticket)
    ticket.take_back_unsent()
    it.take()
    assert it.book.overflow_prompt_tokens.total == 10.0
    assert it.book.overflow_in_flight_requests == 1


def test_a_table_from_the_disk_opens_nothing() -> None:
    routed = service_route(overflow=overflow_route(URL))
    kept = table(routed).without_overflows()
    assert kept == table(replace(routed, overflow=None))
