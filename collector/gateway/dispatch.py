"""Gives each request a replica, or a place in the queue of its service.

First come, first served within a service; services never wait for each other. The queue moves when
a replica gets free, a new table comes, or a replica that could not be reached is tried again.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field

from collector.clock import Clock
from collector.gateway.books import Books, FinishReason, Ticket
from collector.gateway.overflow import OverflowGate
from collector.gateway.routing import ReplicaRoute, RoutingTable, ServiceRoute, choose_replica
from collector.gateway.wake import ReplicaUnreachable, RequestHeld, WakeEvent
from collector.model.ids import ReplicaId, ServiceName

UNREACHABLE_PAUSE_SECONDS = 0.5
"""How long a replica that refused a connection gets nothing; a dead one is soon out of the table."""


class Shed(Exception):
    """The request gets no replica."""

    def __init__(self, reason: FinishReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(slots=True, kw_only=True, eq=False)
class _Waiter:
    ticket: Ticket
    replica: "asyncio.Future[ReplicaRoute]"


@dataclass(slots=True, kw_only=True)
class _Queue:
    route: ServiceRoute | None  # None: no longer in the table
    gate: OverflowGate
    waiters: deque[_Waiter] = field(default_factory=deque)
    paused: set[ReplicaId] = field(default_factory=set)
    last_chosen: dict[ReplicaId, int] = field(default_factory=dict)  # number of the choice


class Dispatcher:
    """The live side of the routing table."""

    def __init__(self, *, clock: Clock, books: Books, wake: Callable[[WakeEvent], object]) -> None:
        self._clock = clock
        self._books = books
        self._wake = wake
        self._queues: dict[ServiceName, _Queue] = {}
        self._by_model: dict[str, ServiceName] = {}
        self._choices = 0
        self._timers: set[asyncio.Task[None]] = set()
        self.table: RoutingTable | None = None
        self.is_stopping = False

    def apply(self, table: RoutingTable) -> bool:
        """Obeys `table` unless it is not newer than the one in force; whether it did."""
        if not table.supersedes(self.table):
            return False
        self.table = table
        self._by_model = {m: each.service for each in reversed(table.services) for m in each.models}
        routes = {each.service: each for each in table.services}
        for service, route in routes.items():
            book = self._books.follow(service, thresholds=route.thresholds_seconds)
            if service not in self._queues:
                gate = OverflowGate(clock=self._clock, book=book)
                self._queues[service] = _Queue(route=route, gate=gate)
        for service, queue in self._queues.items():
            self._reroute(queue, routes.get(service))
        return True

    def service_of(self, model: str) -> ServiceName | None:
        """Who serves the model; None for an unknown one."""
        return self._by_model.get(model)

    def models(self) -> tuple[str, ...]:
        """All names clients may use, those of sleeping services too."""
        services = self.table.services if self.table else ()
        return tuple(dict.fromkeys(model for each in services for model in each.models))

    def routed_replicas(self) -> Mapping[ServiceName, tuple[ReplicaId, ...]]:
        """Replicas in the table, by service."""
        services = self.table.services if self.table else ()
        return {each.service: tuple(r.replica_id for r in each.replicas) for each in services}

    def route(self, service: ServiceName) -> ServiceRoute | None:
        """The service's entry in the table."""
        queue = self._queues.get(service)
        return queue.route if queue else None

    def open_overflows(self) -> frozenset[ServiceName]:
        """Services whose requests may go to their overflow now."""
        return frozenset(name for name, queue in self._queues.items() if queue.gate.is_open)

    async def acquire(self, ticket: Ticket, *, avoid: ReplicaId | None = None) -> ReplicaRoute:
        """A replica, with the ticket assigned to it; `avoid` is taken only if there is no other.

        Waits while the service holds requests. Raises Shed.
        """
        queue = self._queues[ticket.book.service]
        is_retry = avoid is not None
        if not is_retry:
            queue.gate.note_arrival()
        if is_retry or not queue.waiters:
            replica = self._choose(ticket, queue, avoid=avoid)
        else:
            replica = queue.gate.take(ticket)  # whoever still waits may not go there
        if replica is not None:
            self._advance(queue)  # a retry has left a place elsewhere
            return replica
        self._check_hold(ticket, queue, is_retry=is_retry)
        return await self._hold(ticket, queue, is_retry=is_retry)

    def finish(self, ticket: Ticket, reason: FinishReason) -> None:
        """Ends the request and gives its place to the next one."""
        ticket.finish(reason)
        self._advance(self._queues[ticket.book.service])

    def report_unreachable(self, ticket: Ticket) -> None:
        """Takes the ticket back from a replica that refused it and leaves that one alone a while."""
        replica_id = ticket.replica_id
        ticket.hold_again()
        if replica_id is None:
            return
        queue = self._queues[ticket.book.service]
        queue.paused.add(replica_id)
        self._wake(ReplicaUnreachable(replica_id=replica_id))
        self._start(self._resume(queue, replica_id))

    def report_overflow_failed(
        self, ticket: Ticket, *, was_sent: bool, pause_seconds: float
    ) -> None:
        """Takes the ticket back from the overflow; replicas of ours are what is left for it."""
        if was_sent:
            ticket.hold_again()
        else:
            ticket.take_back_unsent()
        queue = self._queues[ticket.book.service]
        queue.gate.pause(pause_seconds)
        if pause_seconds > 0:
            self._start(self._resume_overflow(queue, pause_seconds))

    async def stop(self) -> None:
        """Sheds all held requests and every further one; those in flight go on."""
        self.is_stopping = True
        for queue in self._queues.values():
            self._shed_all(queue, FinishReason.STOPPING)
        for timer in tuple(self._timers):
            timer.cancel()
        await asyncio.gather(*self._timers, return_exceptions=True)

    def _reroute(self, queue: _Queue, route: ServiceRoute | None) -> None:
        queue.route = route
        queue.gate.follow(route.overflow if route else None)
        if route is None:
            self._shed_all(queue, FinishReason.SERVICE_REMOVED)
            return
        known = {replica.replica_id for replica in route.replicas}
        queue.paused &= known
        queue.last_chosen = {key: n for key, n in queue.last_chosen.items() if key in known}
        self._advance(queue)

    def _choose(
        self, ticket: Ticket, queue: _Queue, *, avoid: ReplicaId | None = None
    ) -> ReplicaRoute | None:
        if queue.route is None or self.is_stopping:
            return None
        return (
            queue.gate.take_share(ticket)
            or self._choose_own(ticket, queue, route=queue.route, avoid=avoid)
            or queue.gate.take(ticket)
        )

    def _choose_own(
        self, ticket: Ticket, queue: _Queue, *, route: ServiceRoute, avoid: ReplicaId | None
    ) -> ReplicaRoute | None:
        usable = [r for r in route.replicas if r.replica_id not in queue.paused]
        others = [r for r in usable if r.replica_id != avoid]
        chosen = choose_replica(
            others or usable,
            in_flight=ticket.book.in_flight,
            last_chosen=queue.last_chosen,
            limit=route.max_in_flight_per_replica,
        )
        if chosen is not None:
            self._choices += 1
            queue.last_chosen[chosen.replica_id] = self._choices
            ticket.assign(chosen.replica_id)
        return chosen

    def _check_hold(self, ticket: Ticket, queue: _Queue, *, is_retry: bool) -> None:
        route = queue.route
        if self.is_stopping:
            raise Shed(FinishReason.STOPPING)
        if route is None:
            raise Shed(FinishReason.SERVICE_REMOVED)
        if not route.replicas and 0 in {route.max_held_requests, route.hold_timeout_seconds}:
            raise Shed(FinishReason.NO_REPLICA)
        if not is_retry and len(queue.waiters) >= route.max_held_requests:
            raise Shed(FinishReason.QUEUE_FULL)

    async def _hold(self, ticket: Ticket, queue: _Queue, *, is_retry: bool) -> ReplicaRoute:
        ticket.admit()
        waiter = _Waiter(ticket=ticket, replica=asyncio.get_running_loop().create_future())
        if is_retry:
            queue.waiters.appendleft(waiter)
        else:
            queue.waiters.append(waiter)
        self._wake(RequestHeld(service=ticket.book.service))
        timer = self._start(self._expire(waiter, queue))
        try:
            return await waiter.replica
        finally:
            timer.cancel()
            _forget(waiter, queue)

    async def _expire(self, waiter: _Waiter, queue: _Queue) -> None:
        limit = queue.route.hold_timeout_seconds if queue.route else 0.0
        deadline = waiter.ticket.received_monotonic_seconds + limit
        await self._clock.sleep(deadline - self._clock.monotonic_seconds())
        if not waiter.replica.done():
            waiter.replica.set_exception(Shed(FinishReason.HOLD_DEADLINE))

    async def _resume(self, queue: _Queue, replica_id: ReplicaId) -> None:
        await self._clock.sleep(UNREACHABLE_PAUSE_SECONDS)
        queue.paused.discard(replica_id)
        self._advance(queue)

    async def _resume_overflow(self, queue: _Queue, pause_seconds: float) -> None:
        await self._clock.sleep(pause_seconds)
        self._advance(queue)

    def _advance(self, queue: _Queue) -> None:
        while queue.waiters:
            waiter = queue.waiters[0]
            if not waiter.replica.done():
                replica = self._choose(waiter.ticket, queue)
                if replica is None:
                    break
                waiter.replica.set_result(replica)
            queue.waiters.popleft()
        self._pass_by(queue)

    def _pass_by(self, queue: _Queue) -> None:
        """Sends to the overflow who may go there and waits behind somebody who may not."""
        if queue.route is None or self.is_stopping or not queue.gate.has_room:
            return
        for waiter in tuple(queue.waiters):
            if not waiter.replica.done() and (replica := queue.gate.take(waiter.ticket)):
                waiter.replica.set_result(replica)
                queue.waiters.remove(waiter)

    def _shed_all(self, queue: _Queue, reason: FinishReason) -> None:
        while queue.waiters:
            waiter = queue.waiters.popleft()
            if not waiter.replica.done():
                waiter.replica.set_exception(Shed(reason))

    def _start(self, work: Coroutine[object, object, None]) -> "asyncio.Task[None]":
        timer = asyncio.get_running_loop().create_task(work)
        self._timers.add(timer)
        timer.add_done_callback(self._timers.discard)
        return timer


def _forget(waiter: _Waiter, queue: _Queue) -> None:
    if waiter in queue.waiters:
        queue.waiters.remove(waiter)
    if waiter.replica.done() and not waiter.replica.cancelled():
        waiter.replica.exception()  # seen, so that asyncio does not complain about it
