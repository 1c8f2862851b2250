"""One request from its admission to its end: a replica, a retry if that is safe, the answer back.

Every path out of `serve` finishes the ticket exactly once. Time is read here; what is measured is
decided in `meters` and `recording`.
"""

import asyncio
import contextlib
import math
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from collector.clock import Clock
from collector.gateway.books import FinishReason, Ticket
from collector.gateway.dispatch import Dispatcher, Shed
from collector.gateway.headers import response_headers
from collector.gateway.meters import AnswerMeter, Meter, StreamMeter
from collector.gateway.openai_errors import error_event
from collector.gateway.overflow_upstream import (
    OverflowFailed,
    OverflowUpstream,
    overflow_answer_headers,
)
from collector.gateway.recording import record_answer, record_completion, record_first_content
from collector.gateway.replies import message_of, refusal_reply, status_of
from collector.gateway.request_body import InferenceRequest, upstream_body
from collector.gateway.routing import ReplicaRoute
from collector.gateway.upstream import Lost, Unreachable, Upstreams, read_piece
from collector.model.ids import ReplicaId

MAX_SENDS = 2
"""A request that was sent is sent once more at most: it may be what kills the engines."""

_MAX_RETRY_AFTER_SECONDS = 30
_SMALL_PIECE_BYTES = 1 << 14  # well under asyncio's 64 KiB, above which a write waits


class ClientGone(Exception):
    """The client hung up, or takes nothing any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What belongs to one request."""

    client: web.BaseRequest
    path: str  # with the query, as received
    headers: CIMultiDict[str]  # for the engine
    inference: InferenceRequest
    ticket: Ticket


class Proxy:
    """Carries requests to engines and answers to clients."""

    def __init__(
        self,
        *,
        clock: Clock,
        dispatcher: Dispatcher,
        upstreams: Upstreams,
        write_timeout_seconds: float,
    ) -> None:
        self._clock = clock
        self._dispatcher = dispatcher
        self._upstreams = upstreams
        self._overflow = OverflowUpstream(upstreams)
        self._write_timeout_seconds = write_timeout_seconds

    async def serve(self, exchange: Exchange) -> web.StreamResponse:
        """The answer, already sent if it came from an engine."""
        reason = FinishReason.INTERNAL
        try:
            answer, first = await self._reach_engine(exchange)
            return await self._relay(exchange, answer, first)
        except Shed as shed:
            reason = shed.reason
        except Lost as lost:
            reason = lost.reason
        except ClientGone:
            reason = FinishReason.CLIENT_GONE
        except asyncio.CancelledError:
            stopping = self._dispatcher.is_stopping
            reason = FinishReason.STOPPED if stopping else FinishReason.CLIENT_GONE
            raise
        finally:
            exchange.ticket.count_overflow_output(None)  # begun there, and cut before it was told
            self._dispatcher.finish(exchange.ticket, reason)
        return self._refusal(exchange, reason)

    async def _reach_engine(self, exchange: Exchange) -> tuple[aiohttp.ClientResponse, bytes]:
        """An answer and its first bytes; until those are here another replica can take over."""
        avoid: ReplicaId | None = None
        sends = 0
        was_unreachable = False
        while True:
            try:
                replica = await self._dispatcher.acquire(exchange.ticket, avoid=avoid)
            except Shed as shed:
                if was_unreachable and shed.reason is FinishReason.HOLD_DEADLINE:
                    raise Lost(FinishReason.UNREACHABLE) from shed
                raise
            if avoid is None or not exchange.ticket.is_overflow:
                avoid = replica.replica_id
            try:
                return await self._send(exchange, replica)
            except OverflowFailed as failed:
                sends += failed.may_cost  # a refusal kills nobody
                self._take_back(exchange.ticket, failed, is_last=sends == MAX_SENDS)
            except Unreachable:
                was_unreachable = True
                self._dispatcher.report_unreachable(exchange.ticket)
            except Lost as lost:
                sends += 1
                if sends == MAX_SENDS or lost.reason is FinishReason.UPSTREAM_TIMEOUT:
                    raise
                exchange.ticket.hold_again()

    def _take_back(self, ticket: Ticket, failed: OverflowFailed, *, is_last: bool) -> None:
        """The ticket from the overflow, for a replica of ours. Raises Lost when none may have it."""
        if failed.may_cost:
            ticket.count_overflow_output(None)
        if is_last or failed.reason is FinishReason.UPSTREAM_TIMEOUT:
            raise Lost(failed.reason) from failed
        self._dispatcher.report_overflow_failed(
            ticket, was_sent=failed.was_sent, pause_seconds=failed.pause_seconds
        )

    async def _send(
        self, exchange: Exchange, replica: ReplicaRoute
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        """Raises Unreachable, Lost; of the overflow OverflowFailed."""
        body = upstream_body(exchange.inference, upstream_model=replica.upstream_model)
        if not exchange.ticket.is_overflow:
            answer = await self._upstreams.send(
                replica, path=exchange.path, headers=exchange.headers, body=body
            )
            return answer, await _first_piece(answer)
        return await self._overflow.send(
            replica,
            service=exchange.ticket.book.service,
            path=exchange.path,
            headers=exchange.headers,
            body=body,
        )

    async def _relay(
        self, exchange: Exchange, answer: aiohttp.ClientResponse, first: bytes
    ) -> web.StreamResponse:
        is_stream = answer.content_type == "text/event-stream"
        meter = _meter(exchange.inference, answer, is_stream=is_stream)
        headers = response_headers(answer.headers, is_stream=is_stream)
        if exchange.ticket.is_overflow:
            headers = overflow_answer_headers(headers)
        client = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
        try:
            failure = await self._pass_on(exchange, answer, client, meter=meter, first=first)
        finally:
            answer.close()  # a client that is gone must not keep the engine busy
            record_answer(exchange.ticket, meter)
        await self._end(exchange, client, failure=failure, is_stream=is_stream)
        return client

    async def _pass_on(
        self,
        exchange: Exchange,
        answer: aiohttp.ClientResponse,
        client: web.StreamResponse,
        *,
        meter: Meter,
        first: bytes,
    ) -> FinishReason | None:
        """All of the answer; returns why it is a failure. Counts a success itself."""
        await self._write(exchange, client, b"")
        piece = first
        try:
            while piece:
                await self._write(exchange, client, self._measured(exchange, meter, piece))
                if meter.is_announced_whole:  # the client has it all and may hang up from here on
                    self._count_answer(exchange, meter, status=answer.status)
                piece = await read_piece(answer)
        except Lost as lost:
            if not meter.is_announced_whole:
                return _broken_off(lost)
        rest = meter.end()
        failure = meter.failure() if answer.ok else None
        if failure is not FinishReason.TRUNCATED:
            await self._write(exchange, client, rest)
        if failure is None:
            self._count_answer(exchange, meter, status=answer.status)
        return failure

    def _measured(self, exchange: Exchange, meter: Meter, piece: bytes) -> bytes:
        now = self._clock.monotonic_seconds()
        had_content = meter.first_content_monotonic_seconds is not None
        passed = meter.pass_on(piece, now_monotonic_seconds=now)
        if not had_content and meter.first_content_monotonic_seconds is not None:
            record_first_content(exchange.ticket, now_monotonic_seconds=now)
        return passed

    def _count_answer(self, exchange: Exchange, meter: Meter, *, status: int) -> None:
        """Counts it once, however often it is told."""
        if exchange.ticket.reason is not None:
            return
        reason = _answer_reason(status)
        if reason is FinishReason.ANSWERED:
            now = self._clock.monotonic_seconds()
            record_completion(exchange.ticket, meter, now_monotonic_seconds=now)
        self._dispatcher.finish(exchange.ticket, reason)

    async def _end(
        self,
        exchange: Exchange,
        client: web.StreamResponse,
        *,
        failure: FinishReason | None,
        is_stream: bool,
    ) -> None:
        """Ends the client's answer so that a failure cannot be taken for a short success."""
        if failure is not None:
            self._dispatcher.finish(exchange.ticket, failure)
        is_cut = failure in {FinishReason.TRUNCATED, FinishReason.UPSTREAM_TIMEOUT}
        if is_cut and not is_stream:
            transport = exchange.client.transport
            if transport is not None:
                transport.abort()
            return
        if is_cut and failure is not None:
            message = message_of(exchange.inference.model, failure)
            event = error_event(message, status=status_of(failure), code=failure.value)
            await self._write(exchange, client, event)
        with contextlib.suppress(ConnectionError):  # counted already; nobody is there to be told
            await client.write_eof()

    async def _write(self, exchange: Exchange, client: web.StreamResponse, data: bytes) -> None:
        try:
            if not client.prepared:
                await client.prepare(exchange.client)
            if _fits(exchange.client.transport, data):
                await client.write(data)  # cannot wait, so it needs no timer
            elif data:
                async with asyncio.timeout(self._write_timeout_seconds):
                    await client.write(data)
        except (ConnectionError, TimeoutError) as error:
            if exchange.client.transport is not None:
                exchange.client.transport.abort()
            raise ClientGone from error

    def _refusal(self, exchange: Exchange, reason: FinishReason) -> web.StreamResponse:
        return refusal_reply(
            exchange.inference.model,
            reason,
            retry_after_seconds=self._retry_after_seconds(exchange.ticket),
        )

    def _retry_after_seconds(self, ticket: Ticket) -> int:
        """By then the request held longest has left the queue, one way or another."""
        route = self._dispatcher.route(ticket.book.service)
        oldest = ticket.book.oldest_held_seconds(self._clock.monotonic_seconds())
        left = (route.hold_timeout_seconds if route else 0.0) - oldest
        return min(_MAX_RETRY_AFTER_SECONDS, max(1, math.ceil(left)))


def _fits(transport: asyncio.Transport | None, data: bytes) -> bool:
    """Whether writing `data` leaves the connection's buffer too empty to wait for the client."""
    if not data or transport is None or len(data) > _SMALL_PIECE_BYTES:
        return False
    return transport.get_write_buffer_size() == 0


def _broken_off(lost: Lost) -> FinishReason:
    """Why an answer that had begun did not end."""
    return FinishReason.TRUNCATED if lost.reason is FinishReason.DISCONNECTED else lost.reason


async def _first_piece(answer: aiohttp.ClientResponse) -> bytes:
    try:
        return await read_piece(answer)
    except BaseException:
        answer.close()
        raise


def _meter(
    inference: InferenceRequest, answer: aiohttp.ClientResponse, *, is_stream: bool
) -> Meter:
    if not is_stream or answer.headers.get("Content-Encoding", "identity") != "identity":
        return AnswerMeter()
    return StreamMeter(
        strips_usage=inference.injects_usage,
        expects_end=inference.endpoint.has_stream_options,
    )


def _answer_reason(status: int) -> FinishReason:
    if status in {429, 503}:
        return FinishReason.UPSTREAM_OVERLOADED
    if status >= 500:
        return FinishReason.UPSTREAM_ERROR
    return FinishReason.CLIENT_ERROR if status >= 400 else FinishReason.ANSWERED
