"""What is counted per service, and the life of one request in it. Pure but for being kept.

A `Ticket` is in exactly one place (held, in flight at a replica, finished), and moves there in one
step; so arrived = completed + failed + aborted + shed + held + in flight at every moment.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from collector.gateway.latency import (
    DEFAULT_EDGES_SECONDS,
    LATENCY_SLIS,
    LatencyHistogram,
    merged_edges,
)
from collector.gateway.openai_errors import Rejected
from collector.gateway.request_body import PromptSize
from collector.gateway.routing import overflow_id
from collector.gateway.tokens import CorrectedCounter, PromptTokenEstimator
from collector.model.catalogue import Sli
from collector.model.ids import ReplicaId, ServiceName

Edges = Mapping[Sli, Sequence[float]]

UNKNOWN_OUTPUT_TOKENS = 500
"""Of an answer that is paid for and did not tell its length, before any other did: not zero."""


class Outcome(StrEnum):
    """How a request ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    ABORTED = "aborted"
    SHED = "shed"


class FinishReason(StrEnum):
    """Why it ended so; a label, so the list is closed."""

    ANSWERED = "answered"
    CLIENT_ERROR = "client_error"  # the engine refused the request as wrong (4xx): its work is done
    UNREACHABLE = "unreachable"  # no replica could be connected to
    DISCONNECTED = "disconnected"  # connection lost before the first byte, twice
    TRUNCATED = "truncated"  # connection lost, or end without a sign, after the first byte
    UPSTREAM_TIMEOUT = "upstream_timeout"
    UPSTREAM_ERROR = "upstream_error"  # 5xx
    UPSTREAM_OVERLOADED = "upstream_overloaded"  # 429 or 503
    ERROR_EVENT = "error_event"  # an error inside a stream under HTTP 200
    ENGINE_ABORTED = "engine_aborted"  # finish_reason `abort`
    STOPPED = "stopped"  # the gateway's own end came first
    INTERNAL = "internal"
    CLIENT_GONE = "client_gone"
    QUEUE_FULL = "queue_full"
    HOLD_DEADLINE = "hold_deadline"
    NO_REPLICA = "no_replica"  # nothing serves, and the service does not hold
    SERVICE_REMOVED = "service_removed"
    STOPPING = "stopping"

    @property
    def outcome(self) -> Outcome:
        """The outcome this reason belongs to."""
        return _OUTCOMES.get(self, Outcome.FAILED)


_OUTCOMES: Mapping[FinishReason, Outcome] = {
    FinishReason.ANSWERED: Outcome.COMPLETED,
    FinishReason.CLIENT_ERROR: Outcome.COMPLETED,
    FinishReason.CLIENT_GONE: Outcome.ABORTED,
    FinishReason.QUEUE_FULL: Outcome.SHED,
    FinishReason.HOLD_DEADLINE: Outcome.SHED,
    FinishReason.NO_REPLICA: Outcome.SHED,
    FinishReason.SERVICE_REMOVED: Outcome.SHED,
    FinishReason.STOPPING: Outcome.SHED,
}


class ServiceBook:
    """Counters of one service since the gateway started."""

    def __init__(self, service: ServiceName, *, edges: Edges) -> None:
        self.service = service
        self.arrived = 0
        self.finished = dict.fromkeys(FinishReason, 0)
        self.prompt_tokens = CorrectedCounter()
        self.estimator = PromptTokenEstimator()
        self.output_tokens = 0
        self.told_answers = 0  # whose output tokens are among these
        self.overflow_requests = 0  # given to it, whatever became of them
        self.overflow_completed_requests = 0  # of `finished` as completed, those it answered
        self.overflow_prompt_tokens = CorrectedCounter()
        self.overflow_output_tokens = 0  # of broken-off answers too: they are paid for
        self.tokens_per_chunk = 1.0  # learned; stands in where a stream ends without usage
        self.held: dict[Ticket, float] = {}  # since when (monotonic)
        self.in_flight: dict[ReplicaId, int] = {}  # only replicas with requests
        self.latency = {sli: LatencyHistogram(edges[sli]) for sli in LATENCY_SLIS}

    @property
    def in_flight_requests(self) -> int:
        """Forwarded and not finished, over all replicas."""
        return sum(self.in_flight.values())

    @property
    def overflow_in_flight_requests(self) -> int:
        """Of these, the ones at the overflow."""
        return self.in_flight.get(overflow_id(self.service), 0)

    @property
    def usual_output_tokens(self) -> int:
        """Mean of the answers that told theirs; before the first UNKNOWN_OUTPUT_TOKENS."""
        answers = self.told_answers
        return round(self.output_tokens / answers) if answers else UNKNOWN_OUTPUT_TOKENS

    def oldest_held_seconds(self, now_monotonic_seconds: float) -> float:
        """Age of the longest held request; 0 when none is held."""
        return max((now_monotonic_seconds - since for since in self.held.values()), default=0.0)

    def open_ticket(self, *, size: PromptSize, received_monotonic_seconds: float) -> "Ticket":
        """Counts one arrival; the request is held from its receipt until it is assigned."""
        self.arrived += 1
        ticket = Ticket(self, size=size, received_monotonic_seconds=received_monotonic_seconds)
        self.held[ticket] = received_monotonic_seconds
        return ticket


class Ticket:
    """One request of one service."""

    def __init__(
        self, book: ServiceBook, *, size: PromptSize, received_monotonic_seconds: float
    ) -> None:
        self.book = book
        self.received_monotonic_seconds = received_monotonic_seconds
        self.replica_id: ReplicaId | None = None  # None: held or finished
        self.reason: FinishReason | None = None  # None: not finished
        self.may_overflow = False  # of a kind that can be priced, and not tried there before
        self.generates = True  # an answer has output tokens, told or not; embeddings have none
        self.is_overflow = False  # was sent to the overflow last
        self._is_output_counted = False  # of the overflow
        self._size = size
        self._counted_tokens = 0  # 0: not admitted

    def admit(self) -> None:
        """Counts the prompt at its estimated size, once."""
        if self._counted_tokens == 0:
            self._counted_tokens = self.book.estimator.estimate_tokens(self._size)
            self.book.prompt_tokens.add(self._counted_tokens)

    def correct(self, prompt_tokens: int) -> None:
        """Replaces the estimate by what the engine counted."""
        self.book.estimator.learn(self._size, prompt_tokens=prompt_tokens)
        difference = prompt_tokens - self._counted_tokens
        self.book.prompt_tokens.add(difference)
        if self.is_overflow:
            self.book.overflow_prompt_tokens.add(difference)
        self._counted_tokens = prompt_tokens

    def assign(self, replica_id: ReplicaId) -> None:
        """From held to in flight, which is an admission."""
        self.admit()
        del self.book.held[self]
        self.book.in_flight[replica_id] = self.book.in_flight.get(replica_id, 0) + 1
        self.replica_id = replica_id
        self.is_overflow = False

    def assign_to_overflow(self, replica_id: ReplicaId) -> None:
        """The same where `replica_id` stands for the overflow, which gets each request once."""
        self.assign(replica_id)
        self.is_overflow, self.may_overflow = True, False
        self.book.overflow_requests += 1
        self.book.overflow_prompt_tokens.add(self._counted_tokens)

    def count_overflow_output(self, tokens: int | None) -> None:
        """Counts what the overflow generated, once; None: it did not say, so as much as is usual.

        Nothing for a request that was not sent there last.
        """
        if self.is_overflow and not self._is_output_counted:
            self._is_output_counted = True
            untold = self.book.usual_output_tokens if self.generates else 0
            self.book.overflow_output_tokens += untold if tokens is None else tokens

    def take_back_unsent(self) -> None:
        """From the overflow, which never saw it, back to held."""
        self.book.overflow_prompt_tokens.add(-self._counted_tokens)
        self.hold_again()

    def hold_again(self) -> None:
        """From in flight back to held; its age is that of the request."""
        self._leave_replica()
        self.is_overflow = False
        self.book.held[self] = self.received_monotonic_seconds

    def finish(self, reason: FinishReason) -> None:
        """Ends it; only the first call counts."""
        if self.reason is not None:
            return
        self.book.held.pop(self, None)
        self._leave_replica()
        self.book.finished[reason] += 1
        if self.is_overflow and reason.outcome is Outcome.COMPLETED:
            self.book.overflow_completed_requests += 1
        self.reason = reason

    def _leave_replica(self) -> None:
        if self.replica_id is None:
            return
        left = self.book.in_flight[self.replica_id] - 1
        if left:
            self.book.in_flight[self.replica_id] = left
        else:
            del self.book.in_flight[self.replica_id]
        self.replica_id = None


class Books:
    """All services that were ever in the routing table; a counter that existed stays."""

    def __init__(self, *, edges: Edges = DEFAULT_EDGES_SECONDS) -> None:
        self._edges = edges
        self.services: dict[ServiceName, ServiceBook] = {}
        self.rejected = dict.fromkeys(Rejected, 0)

    def follow(self, service: ServiceName, *, thresholds: Edges) -> ServiceBook:
        """The service's book, with its latencies cut at these thresholds."""
        edges = {
            sli: merged_edges(self._edges[sli], thresholds.get(sli, ())) for sli in LATENCY_SLIS
        }
        book = self.services.get(service)
        if book is None:
            book = self.services[service] = ServiceBook(service, edges=edges)
        for sli, histogram in book.latency.items():
            histogram.follow(edges[sli])
        return book

    def reject(self, reason: Rejected) -> None:
        """Counts a request that belongs to no service."""
        self.rejected[reason] += 1
