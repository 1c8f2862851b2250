"""Who gets a replica when, in virtual time: order, limits, deadlines, refused connections."""

import asyncio

import pytest

from collector.clock import VirtualClock
from collector.gateway.books import Books, FinishReason, Ticket
from collector.gateway.dispatch import UNREACHABLE_PAUSE_SECONDS, Dispatcher, Shed
from collector.gateway.request_body import PromptSize
from collector.gateway.routing import ReplicaRoute, ServiceRoute
from collector.gateway.wake import ReplicaUnreachable, RequestHeld, WakeEvent
from support.gateways import overflow_route, replica_route, service_route, table


class Desk:
    """A dispatcher with one service and everything it says."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.books = Books()
        self.woken: list[WakeEvent] = []
        self.dispatcher = Dispatcher(clock=self.clock, books=self.books, wake=self.woken.append)
        self.version = 0

    def apply(self, *services: ServiceRoute) -> None:
        self.version += 1
        assert self.dispatcher.apply(table(*services, version=self.version))

    def ticket(self) -> Ticket:
        name = next(iter(self.books.services))
        return self.books.services[name].open_ticket(
            size=PromptSize(text_bytes=40, tokens=0),
            received_monotonic_seconds=self.clock.monotonic_seconds(),
        )

    async def ask(self, ticket: Ticket) -> "asyncio.Task[ReplicaRoute]":
        """The request for a replica, given the chance to begin."""
        asked = asyncio.create_task(self.dispatcher.acquire(ticket))
        await asyncio.sleep(0)
        return asked


@pytest.fixture(name="desk")
def _desk() -> Desk:
    return Desk()


async def test_the_first_to_wait_is_the_first_to_go(desk: Desk) -> None:
    desk.apply(service_route(replica_route("http://h:1"), max_in_flight_per_replica=1))
    tickets = [desk.ticket() for _ in range(3)]
    asked = [await desk.ask(ticket) for ticket in tickets]
    await asyncio.sleep(0)
    order = []
    for ticket in tickets:
        order.append([task.done() for task in asked])
        desk.dispatcher.finish(ticket, FinishReason.ANSWERED)
        await asyncio.sleep(0)
    assert order == [[True, False, False], [True, True, False], [True, True, True]]


async def test_a_newcomer_does_not_overtake_the_queue(desk: Desk) -> None:
    desk.apply(service_route())
    early = await desk.ask(desk.ticket())
    desk.apply(service_route(replica_route("http://h:1"), max_in_flight_per_replica=1))
    late = await desk.ask(desk.ticket())
    await asyncio.sleep(0)
    assert (early.done(), late.done()) == (True, False)
    late.cancel()


async def test_a_held_request_is_shed_at_its_deadline_and_not_before(desk: Desk) -> None:
    desk.apply(service_route(hold_timeout_seconds=30))
    ticket = desk.ticket()
    await desk.clock.advance(10)
    asked = await desk.ask(ticket)
    await desk.clock.advance(19.9)
    assert not asked.done()
    await desk.clock.advance(0.2)
    with pytest.raises(Shed) as caught:
        await asked
    assert caught.value.reason is FinishReason.HOLD_DEADLINE


async def test_each_hold_wakes_the_controller_and_a_served_request_does_not(desk: Desk) -> None:
    desk.apply(service_route(replica_route("http://h:1"), max_in_flight_per_replica=1))
    tickets = [desk.ticket() for _ in range(2)]
    asked = [await desk.ask(ticket) for ticket in tickets]
    assert desk.woken == [RequestHeld(service=tickets[0].book.service)]
    asked[1].cancel()


async def test_a_shed_request_was_not_admitted_and_a_held_one_was(desk: Desk) -> None:
    desk.apply(service_route(max_held_requests=1))
    held = await desk.ask(desk.ticket())
    turned_away = await desk.ask(desk.ticket())
    with pytest.raises(Shed):
        await turned_away
    (book,) = desk.books.services.values()
    assert book.prompt_tokens.total == 10
    held.cancel()


async def test_a_refused_request_goes_first_and_its_replica_rests(desk: Desk) -> None:
    desk.apply(service_route(replica_route("http://h:1", name="a"), max_held_requests=1))
    ticket = desk.ticket()
    chosen = await desk.dispatcher.acquire(ticket)
    desk.dispatcher.report_unreachable(ticket)
    assert desk.woken == [ReplicaUnreachable(replica_id=chosen.replica_id)]
    newcomer = await desk.ask(desk.ticket())
    again = asyncio.create_task(desk.dispatcher.acquire(ticket, avoid=chosen.replica_id))
    await desk.clock.advance(UNREACHABLE_PAUSE_SECONDS * 0.9)
    assert not again.done()
    await desk.clock.advance(UNREACHABLE_PAUSE_SECONDS * 0.2)
    assert (await again, await newcomer) == (chosen, chosen)


async def test_a_retry_avoids_the_replica_that_failed_unless_it_is_the_only_one(
    desk: Desk,
) -> None:
    one, two = replica_route("http://h:1", name="a"), replica_route("http://h:2", name="b")
    desk.apply(service_route(one, two))
    ticket = desk.ticket()
    first = await desk.dispatcher.acquire(ticket)
    ticket.hold_again()
    assert await desk.dispatcher.acquire(ticket, avoid=first.replica_id) != first
    desk.apply(service_route(one))
    ticket.hold_again()
    assert await desk.dispatcher.acquire(ticket, avoid=one.replica_id) == one


async def test_a_place_that_a_cancelled_request_was_just_given_is_given_on(desk: Desk) -> None:
    desk.apply(service_route(replica_route("http://h:1"), max_in_flight_per_replica=1))
    tickets = [desk.ticket() for _ in range(3)]
    asked = [await desk.ask(ticket) for ticket in tickets]
    desk.dispatcher.finish(tickets[0], FinishReason.ANSWERED)  # the second one is assigned …
    asked[1].cancel()  # … and hangs up before it hears of it
    with pytest.raises(asyncio.CancelledError):
        await asked[1]
    desk.dispatcher.finish(tickets[1], FinishReason.CLIENT_GONE)
    assert (await asked[2]).base_url == "http://h:1"


async def test_stopping_sheds_the_queue_and_every_newcomer(desk: Desk) -> None:
    desk.apply(service_route())
    held = await desk.ask(desk.ticket())
    await desk.dispatcher.stop()
    for asked in (held, await desk.ask(desk.ticket())):
        with pytest.raises(Shed) as caught:
            await asked
        assert caught.value.reason is FinishReason.STOPPING


async def test_a_model_named_twice_belongs_to_the_first_service(desk: Desk) -> None:
    desk.apply(service_route(name="one"), service_route(name="two", models=("tiny", "other")))
    assert desk.dispatcher.service_of("tiny") == "one"
    assert desk.dispatcher.service_of("other") == "two"
    assert desk.dispatcher.service_of("none") is None
    assert desk.dispatcher.models() == ("tiny", "other")


def overflowing(desk: Desk) -> Ticket:
    ticket = desk.ticket()
    ticket.may_overflow = True
    return ticket


async def test_who_may_not_go_to_the_overflow_keeps_nobody_from_it(desk: Desk) -> None:
    desk.apply(service_route())
    stays, waits = await desk.ask(desk.ticket()), await desk.ask(overflowing(desk))
    desk.apply(service_route(overflow=overflow_route("http://h:2")))
    comes = await desk.ask(overflowing(desk))
    assert (await waits).base_url == (await comes).base_url == "http://h:2"
    assert not stays.done()
    desk.apply(service_route(replica_route("http://h:1")))
    assert (await stays).base_url == "http://h:1"


async def test_what_is_held_goes_to_the_overflow_when_its_rest_is_over(desk: Desk) -> None:
    desk.apply(service_route(hold_timeout_seconds=30.0, overflow=overflow_route("http://h:2")))
    refused = overflowing(desk)
    await desk.ask(refused)
    desk.dispatcher.report_overflow_failed(refused, was_sent=True, pause_seconds=5.0)
    waits = await desk.ask(overflowing(desk))
    assert not waits.done()
    await desk.clock.advance(5.0)
    assert (await waits).base_url == "http://h:2"


async def test_a_request_gets_the_key_of_the_address_it_was_given(desk: Desk) -> None:
    desk.apply(service_route())
    waits = await desk.ask(overflowing(desk))
    desk.apply(service_route(overflow=overflow_route("http://h:2", api_key_file="/k/two")))
    desk.apply(service_route(overflow=overflow_route("http://h:3", api_key_file="/k/three")))
    given = await waits
    assert (given.base_url, given.api_key_file) == ("http://h:2", "/k/two")
