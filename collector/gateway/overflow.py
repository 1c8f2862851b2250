"""When a request may go to its service's overflow, as far as the gateway decides that. Pure but for being kept.

In: grants of the controller, arrivals, what the service's book counts. Out: yes or no per request. A
grant ends by itself: with its lease, which only a newer grant renews, and with its budget.
"""

from collector.clock import Clock
from collector.gateway.books import ServiceBook, Ticket
from collector.gateway.routing import OverflowRoute, ReplicaRoute


class OverflowGate:
    """The way to one service's overflow."""

    def __init__(self, *, clock: Clock, book: ServiceBook) -> None:
        self._clock = clock
        self._book = book
        self._route: OverflowRoute | None = None
        self._grant_timestamp_seconds: float | None = None  # of the newest grant ever heard of
        self._lease_end_monotonic_seconds = 0.0
        self._tokens_at_grant = (0.0, 0.0)  # prompt, output
        self._paused_until_monotonic_seconds = 0.0
        self._due = 0.0  # requests that the share has given it and it has not got; under 2

    @property
    def is_open(self) -> bool:
        """Whether the grant in force still holds."""
        route, now = self._route, self._clock.monotonic_seconds()
        if route is None or now >= self._lease_end_monotonic_seconds or self._is_of_another_life():
            return False
        return self._cost_since_grant(route) < route.grant.budget

    @property
    def has_room(self) -> bool:
        """Whether one more request may go there now."""
        route = self._route
        if route is None or not self.is_open:
            return False
        if self._clock.monotonic_seconds() < self._paused_until_monotonic_seconds:
            return False
        return self._book.overflow_in_flight_requests < route.target.max_requests_in_flight

    def follow(self, route: OverflowRoute | None) -> None:
        """Obeys a routing table: None closes; a grant that is known already renews nothing."""
        self._route = route
        if route is None or route.grant.granted_timestamp_seconds == self._grant_timestamp_seconds:
            return
        self._grant_timestamp_seconds = route.grant.granted_timestamp_seconds
        self._lease_end_monotonic_seconds = (
            self._clock.monotonic_seconds() + route.grant.lease_seconds
        )
        self._tokens_at_grant = self._tokens_counted_for(route)

    def note_arrival(self) -> None:
        """Gives it its share of one more request."""
        if self._route is not None:
            share = self._route.grant.share_ratio
            self._due = min(1.0 + share, self._due + share)

    def take_share(self, ticket: Ticket) -> ReplicaRoute | None:
        """The overflow, with the ticket assigned to it, if the share has come to a whole request."""
        return self.take(ticket) if self._due >= 1.0 else None

    def take(self, ticket: Ticket) -> ReplicaRoute | None:
        """The overflow, with the ticket assigned to it; None where that may not be."""
        route = self._route
        if route is None or not ticket.may_overflow or not self.has_room:
            return None
        self._due = max(0.0, self._due - 1.0)
        ticket.assign_to_overflow(route.replica.replica_id)
        return route.replica

    def pause(self, seconds: float) -> None:
        """Leaves it alone for a while: it refused, or could not be reached."""
        self._paused_until_monotonic_seconds = self._clock.monotonic_seconds() + seconds

    def _cost_since_grant(self, route: OverflowRoute) -> float:
        """Money at the prices in force, which may have changed under the grant."""
        (prompt, output), (prompt_before, output_before) = self._tokens(), self._tokens_at_grant
        return route.target.cost(
            prompt_tokens=prompt - prompt_before, output_tokens=output - output_before
        )

    def _is_of_another_life(self) -> bool:
        """Whether the grant's budget was made from counters that have begun anew since."""
        return any(
            now < before for now, before in zip(self._tokens(), self._tokens_at_grant, strict=True)
        )

    def _tokens_counted_for(self, route: OverflowRoute) -> tuple[float, float]:
        """What was in the budget already: what was spent while it was made is not given twice."""
        prompt, output = self._tokens()
        told = route.grant.prompt_tokens_total, route.grant.output_tokens_total
        return (prompt if told[0] is None else told[0], output if told[1] is None else told[1])

    def _tokens(self) -> tuple[float, float]:
        """All that was ever sent there, and generated there."""
        return self._book.overflow_prompt_tokens.total, float(self._book.overflow_output_tokens)
